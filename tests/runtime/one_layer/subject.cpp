// SPDX-License-Identifier: Apache-2.0
#include "tests/runtime/one_layer/subject.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "common/base/unique_fd.h"
#include "tests/support/tar_builder.h"

namespace assay::tests {
namespace {

void must(bool is_done, const std::string& what) {
  if (!is_done) throw std::runtime_error("cannot " + what);
}

void set_time(const std::string& path, std::int64_t seconds, long nanoseconds) {
  const timespec times[2] = {{seconds, nanoseconds}, {seconds, nanoseconds}};
  must(::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) == 0, "set a time");
}

void make_files(const std::string& root) {
  std::filesystem::create_directories(root + "/bin");
  std::filesystem::create_directories(root + "/var/lib/app/sub");
  std::filesystem::create_directories(root + "/private");
  std::filesystem::create_directories(root + "/etc");
  std::filesystem::copy_file(must_run({"sh", "-c", "command -v busybox"}), root + "/bin/busybox");
  std::filesystem::create_symlink("busybox", root + "/bin/sh");
  std::filesystem::create_hard_link(root + "/bin/busybox", root + "/bin/sleep");
  write_bytes(root + "/etc/os-release", "NAME=Varied\n");
  write_bytes(root + "/etc/empty", "");
  write_bytes(root + "/var/lib/app/old", std::string(300'000, 'o'));
  write_bytes(root + "/var/lib/app/sub/deep", "deep");
  write_bytes(root + "/private/\xff\xfe name", "not UTF-8");
  write_bytes(root + "/" + std::string(200, 'n'), "long name");
  write_bytes(root + "/setuid", "#!/bin/sh\n");
  write_bytes(root + "/ping", "elf");
  must(::mkfifo((root + "/pipe").c_str(), 0640) == 0, "make a pipe");
  must(::mknod((root + "/null").c_str(), S_IFCHR | 0666, makedev(1, 3)) == 0, "make a device");
  must(::mknod((root + "/disk").c_str(), S_IFBLK | 0660, makedev(8, 0)) == 0, "make a device");
}

void set_metadata(const std::string& root) {
  ::chmod((root + "/private").c_str(), 0700);
  ::chmod(root.c_str(), 0711);
  must(::chown((root + "/setuid").c_str(), 3'000'000, 2'500'000) == 0, "set an owner");
  ::chmod((root + "/setuid").c_str(), 06755);
  set_time(root + "/setuid", 1'234'567'890, 987'654'321);
  must(::lchown((root + "/bin/sh").c_str(), 12, 34) == 0, "set an owner");
  set_time(root + "/bin/sh", 1'000'000'000, 5);
  const std::string capability(
      "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
      "\x00\x00\x00",
      20);  // cap_net_raw+ep
  must(::setxattr((root + "/ping").c_str(), "security.capability", capability.data(),
                  capability.size(), 0) == 0,
       "set a capability");
}

// What an application's layer does: new files without their folders, a whiteout, an opaque folder.
std::string application_layer() {
  const auto item = [](const std::string& name, const std::string& data) {
    TarItem made;
    made.name = name;
    made.data = data;
    return made;
  };
  return TarBuilder()
      .add(item("opt/app/bin/run", "#!/bin/sh\n"))
      .add(item("etc/.wh.os-release", ""))
      .add(item("var/lib/app/.wh..wh..opq", ""))
      .add(item("var/lib/app/new", "new"))
      .finish();
}

Expected to_expected(const nlohmann::json& json) {
  return {json.at("shape"), json.at("content"), json.at("deletions"), json.at("entries")};
}

// `expected` with the digests of another form.
Expected with_form(Expected expected, const nlohmann::json& form) {
  expected.shape = form.at("shape");
  expected.content = form.at("content");
  expected.entries = form.at("entries");
  return expected;
}

Expected without_devices(const nlohmann::json& json) {
  const nlohmann::json& form = json.at("deviceless");
  return form.is_null() ? to_expected(json) : with_form(to_expected(json), form);
}

}  // namespace

Subject::Subject() {
  const char* base = std::getenv("ASSAY_TEST_BASE");
  is_varied_tree_ = base == nullptr;
  tree_ = is_varied_tree_ ? folder_ / "tree" : base;
  if (is_varied_tree_) {
    std::filesystem::create_directories(tree_);
    make_files(tree_);
    set_metadata(tree_);
  }
  must_run({"tar", "-C", tree_, "--numeric-owner", "--format=pax", "--xattrs", "--xattrs-include=*",
            "-cf", base_tar(), "."});
  write_bytes(app_tar(), application_layer());
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
  const std::string program = std::string(ASSAY_SOURCE_DIR) + "/tests/support/fingerprint.py";
  const auto results = nlohmann::json::parse(
      must_run({"/usr/bin/python3", "-B", program, "--merge", base_tar(), app_tar()}));
  layers_ = {to_expected(results.at(0)), to_expected(results.at(1))};
  deviceless_layers_ = {without_devices(results.at(0)), without_devices(results.at(1))};
  merged_ = to_expected(results.at(2));
  root_ = with_form(merged_, results.at(2).at("root"));
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
  must(static_cast<bool>(root), "open " + path);
  auto layer = image::fingerprint_directory(root.get(), options, {});
  if (!layer) throw std::runtime_error(path + ": " + layer.error().text());
  return *layer;
}

}  // namespace assay::tests
