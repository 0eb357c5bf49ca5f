// SPDX-License-Identifier: Apache-2.0
#include "tests/runtime/one_layer/subject.h"

#include <fcntl.h>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "common/base/unique_fd.h"
#include "tests/support/tar_builder.h"

namespace assay::tests {
namespace {

nlohmann::json fingerprints(const std::vector<std::string>& arguments) {
  std::vector<std::string> argv = {"/usr/bin/python3", "-B",
                                   std::string(ASSAY_SOURCE_DIR) + "/tests/support/fingerprint.py"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return nlohmann::json::parse(must_run(argv));
}

// `expected` with the digests of another form.
Expected with_form(Expected expected, const nlohmann::json& form) {
  expected.shape = form.at("shape");
  expected.content = form.at("content");
  expected.entries = form.at("entries");
  return expected;
}

Expected without_devices(const Expected& layer, const nlohmann::json& form) {
  return form.is_null() ? layer : with_form(layer, form);
}

}  // namespace

Subject::Subject() {
  const char* base = std::getenv("ASSAY_TEST_BASE");
  is_varied_tree_ = base == nullptr;
  tree_ = is_varied_tree_ ? folder_ / "tree" : base;
  if (is_varied_tree_) {
    std::filesystem::create_directories(tree_);
    make_varied_tree(tree_);
  }
  // With records of one block nothing follows the two zero blocks: podman 4.3 leaves that out of
  // zstd:chunked layers, which then do not have the diff ID that their config says.
  must_run({"tar", "-C", tree_, "--numeric-owner", "--format=pax", "--xattrs", "--xattrs-include=*",
            "--blocking-factor=1", "-cf", base_tar(), "."});
  write_bytes(app_tar(), application_tar(false));
  compute_expected();
  make_image();
}

void Subject::make_image() {
  const std::string image = layout() + ":1";
  must_run({"umoci", "init", "--layout", layout()});
  must_run({"umoci", "new", "--image", image});
  must_run({"umoci", "raw", "add-layer", "--image", image, base_tar()});
  must_run({"umoci", "raw", "add-layer", "--image", image, app_tar()});
  must_run({"umoci", "gc", "--layout", layout()});
  must_run({"skopeo", "copy", "oci:" + image, "oci-archive:" + oci_archive() + ":1"});
  must_run({"skopeo", "copy", "oci:" + image,
            "docker-archive:" + docker_archive() + ":" + std::string(name())});
}

void Subject::compute_expected() {
  write_bytes(folder_ / "spelled.tar", application_tar(true));
  const auto whole = fingerprints({"--merge", base_tar(), app_tar()});
  const auto plain = fingerprints({"--without-xattrs", base_tar(), app_tar()});
  const auto spelled = fingerprints({base_tar(), folder_ / "spelled.tar"});
  for (std::size_t i = 0; i < 2; ++i)
    layers_.push_back({whole[i]["shape"], whole[i]["content"], whole[i]["deletions"],
                       whole[i]["entries"], plain[i]["content"], spelled[i]["deletions"]});
  merged_ = {
      whole[2]["shape"], whole[2]["content"], whole[2]["deletions"], whole[2]["entries"], "", ""};
  deviceless_layers_ = {without_devices(layers_[0], whole[0]["deviceless"]),
                        without_devices(layers_[1], whole[1]["deviceless"])};
  root_ = with_form(merged_, whole[2]["root"]);
}

std::string Subject::top_chain_id() const {
  return must_read(layout()).layers.back().chain_id->text();
}

const Subject& subject() {
  static const Subject made;
  return made;
}

image::Image must_read(const std::string& source, const image::ImageOptions& options) {
  auto image = image::read_image(source, options, {});
  if (!image) throw std::runtime_error(image.error().text());
  return std::move(*image);
}

image::LayerFingerprint must_walk(const std::string& path, const image::WalkOptions& options) {
  const UniqueFd root(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) throw std::runtime_error("cannot open " + path);
  auto layer = image::fingerprint_directory(root.get(), options, {});
  if (!layer) throw std::runtime_error(path + ": " + layer.error().text());
  return *layer;
}

}  // namespace assay::tests
