// SPDX-License-Identifier: Apache-2.0
#include "common/image/image.h"

#include <catch2/catch.hpp>

#include <filesystem>

#include "tests/support/command.h"
#include "tests/support/tar_builder.h"

using namespace assay;
using namespace assay::image;
using namespace assay::tests;

namespace {

std::string layer_tar(const std::string& name, const std::string& data = "data") {
  TarItem item;
  item.name = name;
  item.data = data;
  return TarBuilder().add(item).finish();
}

ImageLayerBytes packed(const std::string& tar, std::string (*pack_with)(std::string_view)) {
  return {pack_with(tar), digest_text(tar), "application/vnd.oci.image.layer.v1.tar+gzip"};
}

Result<Image> read(const std::string& source, const std::string& platform = {}) {
  ImageOptions options;
  options.platform = platform;
  return read_image(source, options, {});
}

Image must(const std::string& source, const std::string& platform = {}) {
  auto image = read(source, platform);
  if (!image) FAIL(image.error().text());
  return *image;
}

Error error_of(const std::string& source, const std::string& platform = {}) {
  auto image = read(source, platform);
  REQUIRE_FALSE(image);
  return image.error();
}

bool names(const Error& error, const std::string& word) {
  return error.message.find(word) != std::string::npos;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

struct Files {
  TempFolder folder{"img"};
  std::string archive(const std::vector<ImageFile>& files, const std::string& name = "image.tar") {
    write_bytes(folder / name, pack(files));
    return folder / name;
  }
};

}  // namespace

TEST_CASE("one image gives the same layers from every container format", "[image][unit]") {
  Files files;
  const std::vector<std::string> tars = {layer_tar("bottom"), layer_tar("top")};
  const std::vector<ImageLayerBytes> plain = {{tars[0], "", ""}, {tars[1], "", ""}};
  const auto oci = oci_files(plain);
  const std::vector<std::string> sources = {
      files.archive(oci, "oci.tar"),
      files.archive(docker_files(plain), "docker.tar"),
      files.archive(oci_files({packed(tars[0], gzip), packed(tars[1], zstd)}), "packed.tar"),
  };
  write_files(files.folder / "layout", oci);
  write_bytes(files.folder / "oci.tar.gz", gzip(pack(oci)));
  const Image wanted = must(sources[0]);
  CHECK(wanted.kind == SourceKind::kOciArchive);
  CHECK(wanted.platform == "linux/amd64");
  CHECK(wanted.created == "2026-01-02T03:04:05Z");
  REQUIRE(wanted.layers.size() == 2);
  CHECK(wanted.layers[0].diff_id->text() == digest_text(tars[0]));
  CHECK(wanted.layers[0].chain_id->text() == digest_text(tars[0]));
  CHECK(wanted.layers[1].chain_id->text() ==
        digest_text(digest_text(tars[0]) + " " + digest_text(tars[1])));
  for (const std::string& source :
       {sources[1], sources[2], files.folder / "layout", files.folder / "oci.tar.gz",
        "oci-archive:" + sources[0], "docker-archive:" + sources[1],
        "oci:" + (files.folder / "layout")}) {
    CAPTURE(source);
    const Image image = must(source);
    REQUIRE(image.layers.size() == 2);
    for (std::size_t i = 0; i < 2; ++i) {
      CHECK(image.layers[i].diff_id == wanted.layers[i].diff_id);
      CHECK(image.layers[i].fingerprint.content == wanted.layers[i].fingerprint.content);
    }
  }
  CHECK(must(sources[1]).reference == "example/app:1");
}

TEST_CASE("a plain directory is one layer without diff ID", "[image][unit]") {
  const TempFolder folder("img");
  write_bytes(folder / "file", "x");
  const Image image = must(folder.path());
  CHECK(image.kind == SourceKind::kDirectory);
  REQUIRE(image.layers.size() == 1);
  CHECK_FALSE(image.layers[0].diff_id.has_value());
  CHECK(must("dir:" + folder.path()).layers[0].fingerprint.shape ==
        image.layers[0].fingerprint.shape);
}

TEST_CASE("a layer that the manifest names twice counts twice", "[image][unit]") {
  Files files;
  const ImageLayerBytes layer = {layer_tar("a"), "", ""};
  auto list = oci_files({layer, layer});
  list.pop_back();  // the blob lies in the archive once
  const Image image = must(files.archive(list));
  REQUIRE(image.layers.size() == 2);
  CHECK(image.layers[0].fingerprint.content == image.layers[1].fingerprint.content);
  CHECK(image.layers[0].chain_id != image.layers[1].chain_id);
}

TEST_CASE("docker archives may hold links in place of layers, but no circles", "[image][unit]") {
  Files files;
  const auto list = docker_files({{layer_tar("a"), "", ""}, {layer_tar("a"), "", ""}});
  const auto archive_with_link = [&](const std::string& target) {
    TarBuilder tar;
    for (const ImageFile& file : list) {
      TarItem item;
      item.name = file.name;
      if (file.name == "layer1/layer.tar") {
        item.type = '2';
        item.link = target;
      } else {
        item.data = file.bytes;
      }
      tar.add(item);
    }
    write_bytes(files.folder / "d.tar", tar.finish());
    return files.folder / "d.tar";
  };
  CHECK(must(archive_with_link("../layer0/layer.tar")).layers.size() == 2);
  CHECK(error_of(archive_with_link("layer.tar")).code == ErrorCode::kCorrupt);
  CHECK(error_of(archive_with_link("../../etc/passwd")).code == ErrorCode::kCorrupt);
  CHECK(error_of(archive_with_link("../nothing")).code == ErrorCode::kNotFound);
}

TEST_CASE("a changed byte in a layer, a manifest or a config is found", "[image][unit]") {
  Files files;
  auto layer = oci_files({{layer_tar("a", "good"), "", ""}});
  layer.back().bytes = replaced(layer.back().bytes, "good", "evil");
  const Error in_layer = error_of(files.archive(layer));
  CHECK(in_layer.code == ErrorCode::kCorrupt);
  CHECK(names(in_layer, layer.back().name));
  auto manifest = oci_files({{layer_tar("a"), "", ""}});
  manifest[2].bytes = replaced(manifest[2].bytes, "\"schemaVersion\":2", "\"schemaVersion\":3");
  CHECK(error_of(files.archive(manifest)).code == ErrorCode::kCorrupt);
  auto config = oci_files({{layer_tar("a"), "", ""}});
  config[3].bytes = replaced(config[3].bytes, "2026", "2027");
  CHECK(error_of(files.archive(config)).code == ErrorCode::kCorrupt);
}

TEST_CASE("a layer whose diff ID is a lie is refused", "[image][unit]") {
  Files files;
  const std::string lie = digest_text("other");
  for (const auto& list :
       {oci_files({{layer_tar("a"), lie, ""}}), docker_files({{layer_tar("a"), lie, ""}})}) {
    const Error error = error_of(files.archive(list));
    CHECK(error.code == ErrorCode::kCorrupt);
    CHECK(names(error, "diff ID"));
  }
}

TEST_CASE("bytes behind the end of a layer's tar belong to its digest", "[image][unit]") {
  Files files;
  const std::string tar = layer_tar("a") + std::string(2000, 'z');
  const Image image = must(files.archive(oci_files({packed(tar, gzip)})));
  CHECK(image.layers[0].diff_id->text() == digest_text(tar));
}

TEST_CASE("a truncated archive is an error wherever it is cut", "[image][unit]") {
  Files files;
  const std::string whole = pack(oci_files({packed(layer_tar("a", std::string(5000, 'x')), gzip)}));
  const std::string zipped = gzip(whole);
  for (std::size_t cut = 100; cut + 1024 < whole.size(); cut += 511) {
    write_bytes(files.folder / "cut.tar", std::string_view(whole).substr(0, cut));
    CHECK_FALSE(read(files.folder / "cut.tar"));
  }
  for (std::size_t cut = 30; cut < zipped.size(); cut += 97) {
    write_bytes(files.folder / "cut.tar.gz", std::string_view(zipped).substr(0, cut));
    CHECK_FALSE(read(files.folder / "cut.tar.gz"));
  }
}

TEST_CASE("a missing layer is named", "[image][unit]") {
  Files files;
  auto list = oci_files({{layer_tar("a"), "", ""}});
  const std::string name = list.back().name;
  list.pop_back();
  const Error error = error_of(files.archive(list));
  CHECK(error.code == ErrorCode::kNotFound);
  CHECK(names(error, name));
}

TEST_CASE("more layers than diff IDs is corrupt", "[image][unit]") {
  Files files;
  auto list = docker_files({{layer_tar("a"), "", ""}});
  list.back().bytes = replaced(list.back().bytes, "[\"layer0/layer.tar\"]",
                               "[\"layer0/layer.tar\",\"layer0/layer.tar\"]");
  CHECK(error_of(files.archive(list)).code == ErrorCode::kCorrupt);
}

TEST_CASE("decompression stops at the limit", "[image][unit]") {
  Files files;
  const std::string bomb = gzip(layer_tar("zeros", std::string(3 << 20, '\0')));
  const std::string path = files.archive(
      oci_files({{bomb, digest_text("any"), "application/vnd.oci.image.layer.v1.tar+gzip"}}));
  ImageOptions options;
  options.max_image_bytes = 1 << 20;
  const auto image = read_image(path, options, {});
  REQUIRE_FALSE(image);
  CHECK(image.error().code == ErrorCode::kLimitExceeded);
}

TEST_CASE("a multi-platform index gives the platform that was asked for", "[image][unit]") {
  Files files;
  auto amd = oci_files({{layer_tar("amd"), "", ""}}, "linux", "amd64");
  const auto arm = oci_files({{layer_tar("arm"), "", ""}}, "linux", "arm64");
  const auto entry = [](const std::vector<ImageFile>& image, const std::string& platform) {
    std::string text = image[1].bytes;  // {"schemaVersion":2,"manifests":[{…}]}
    text = text.substr(text.find('[') + 1);
    text.resize(text.size() - 3);
    return text + R"(,"platform":)" + platform + "}";
  };
  const std::string attestation =
      R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":")" +
      digest_text("none") +
      R"(","size":4,"platform":{"os":"unknown","architecture":"unknown"},"annotations":)"
      R"({"vnd.docker.reference.type":"attestation-manifest"}})";
  amd[1].bytes = R"({"schemaVersion":2,"manifests":[)" +
                 entry(amd, R"({"os":"linux","architecture":"amd64"})") + "," +
                 entry(arm, R"({"os":"linux","architecture":"arm64","variant":"v8"})") + "," +
                 attestation + "]}";
  amd.insert(amd.end(), arm.begin() + 2, arm.end());
  const std::string path = files.archive(amd);
  CHECK(must(path, "linux/amd64").layers[0].diff_id->text() == digest_text(layer_tar("amd")));
  CHECK(must(path, "linux/arm64").layers[0].diff_id->text() == digest_text(layer_tar("arm")));
  CHECK(must(path, "linux/arm64/v8").platform == "linux/arm64");
  const Error missing = error_of(path, "linux/s390x");
  CHECK(missing.code == ErrorCode::kNotFound);
  CHECK(names(missing, "linux/amd64"));
  CHECK(names(missing, "linux/arm64/v8"));
  CHECK(error_of(path, "nonsense").code == ErrorCode::kInvalidArgument);
}

TEST_CASE("the only image is refused when another platform was asked for", "[image][unit]") {
  Files files;
  const std::string path = files.archive(oci_files({{layer_tar("a"), "", ""}}));
  CHECK(error_of(path, "linux/arm64").code == ErrorCode::kNotFound);
}

TEST_CASE("what is no image is refused and says so", "[image][unit]") {
  Files files;
  write_bytes(files.folder / "text", std::string(2000, 'x'));
  CHECK(error_of(files.folder / "text").code == ErrorCode::kInvalidArgument);
  CHECK(error_of(files.archive({{"etc/passwd", "root"}})).code == ErrorCode::kInvalidArgument);
  write_bytes(files.folder / "xz",
              "\xfd"
              "7zXZ" +
                  std::string(100, '\0'));
  CHECK(error_of(files.folder / "xz").code == ErrorCode::kUnsupported);
  CHECK(error_of("oci:" + (files.folder / "text")).code == ErrorCode::kInvalidArgument);
  auto chart = oci_files({{layer_tar("a"), "", ""}});
  CHECK(error_of("docker-archive:" + files.archive(chart)).code == ErrorCode::kInvalidArgument);
}

TEST_CASE("a stop ends the reading of an image", "[image][unit]") {
  Files files;
  std::stop_source stop;
  stop.request_stop();
  const auto image =
      read_image(files.archive(oci_files({{layer_tar("a"), "", ""}})), {}, stop.get_token());
  REQUIRE_FALSE(image);
  CHECK(image.error().code == ErrorCode::kCancelled);
}
