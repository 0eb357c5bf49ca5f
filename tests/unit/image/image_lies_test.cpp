// SPDX-License-Identifier: Apache-2.0
// Where an image as a file can lie: every row is an image that is refused, with what the error
// says.
#include <catch2/catch.hpp>

#include <filesystem>
#include <functional>

#include "common/image/image.h"
#include "tests/support/command.h"
#include "tests/support/tar_builder.h"

using namespace assay;
using namespace assay::image;
using namespace assay::tests;

namespace {

using FileList = std::vector<ImageFile>;

std::string layer_tar(const std::string& name) {
  return TarBuilder().add(tar_item(name, '0', "data of " + name)).finish();
}

// An OCI image with two layers: oci-layout, index.json, manifest, config, layer, layer.
FileList two_layers() {
  return oci_files({{layer_tar("bottom"), "", ""}, {layer_tar("top"), "", ""}});
}

FileList first_of_two_layers(std::size_t count) {
  FileList files = two_layers();
  files.resize(count);
  return files;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

// Changes the manifest and everything that names it, so that only the lie itself is wrong.
FileList with_manifest(FileList files, const std::function<std::string(std::string)>& change) {
  const ImageFile old = files[2];
  files[2].bytes = change(old.bytes);
  files[2].name = "blobs/sha256/" + digest_text(files[2].bytes).substr(7);
  files[1].bytes = replaced(files[1].bytes, digest_text(old.bytes), digest_text(files[2].bytes));
  files[1].bytes = replaced(files[1].bytes, "\"size\":" + std::to_string(old.bytes.size()),
                            "\"size\":" + std::to_string(files[2].bytes.size()));
  return files;
}

FileList with_media_type(const std::string& media_type) {
  auto files = oci_files({{layer_tar("a"), "", media_type}});
  files.pop_back();
  return files;
}

FileList of_layer(const std::string& blob, const std::string& diff_id = "") {
  return oci_files({{blob, diff_id.empty() ? digest_text("any") : diff_id, "tar"}});
}

struct Lie {
  std::string name;
  std::string archive;
  ErrorCode code;
  std::string words;  // that the message has
};

std::vector<Lie> blob_lies() {
  std::vector<Lie> lies;
  auto swapped = two_layers();
  std::swap(swapped[4].bytes, swapped[5].bytes);
  lies.push_back({"two blobs under one another's name", pack(swapped), ErrorCode::kCorrupt,
                  "do not have the digest that the manifest says"});
  const std::string size = std::to_string(two_layers()[4].bytes.size());
  const auto resized = [&](const std::string& to) {
    return pack(with_manifest(two_layers(), [&](std::string text) {
      return replaced(std::move(text), "\"size\":" + size + "}", "\"size\":" + to + "}");
    }));
  };
  lies.push_back({"a layer smaller than the manifest says", resized("99999"), ErrorCode::kCorrupt,
                  "the manifest says 99999"});
  lies.push_back({"a layer larger than the manifest says", resized("1"), ErrorCode::kCorrupt,
                  "the manifest says 1"});
  lies.push_back({"a layer of negative size", resized("-1"), ErrorCode::kCorrupt, "no size"});
  auto index = two_layers();
  index[1].bytes = replaced(index[1].bytes, "\"size\":", "\"size\":1");
  lies.push_back(
      {"a manifest of another size", pack(index), ErrorCode::kCorrupt, "digest and size"});
  auto twice = two_layers();
  twice.push_back({twice[4].name, "something else"});
  lies.push_back({"a blob that comes again with other bytes", pack(twice), ErrorCode::kCorrupt,
                  twice[4].name});
  auto folder = pack(first_of_two_layers(4));
  folder.resize(folder.size() - 1024);
  folder += TarBuilder().add(tar_item(two_layers()[4].name + "/", '5')).finish();
  lies.push_back({"a folder in place of a blob", folder, ErrorCode::kNotFound, "incomplete"});
  auto out = pack(first_of_two_layers(5));
  out.resize(out.size() - 1024);
  out += TarBuilder().add(tar_link(two_layers()[5].name, '2', "../../../etc/passwd")).finish();
  lies.push_back({"a link out of the archive in place of a blob", out, ErrorCode::kCorrupt,
                  "leaves the archive"});
  return lies;
}

std::vector<Lie> manifest_lies() {
  std::vector<Lie> lies;
  const auto without_layer = [](std::string text) {
    const std::size_t start = text.find("[{") + 1;
    const std::size_t end = text.find("},{", start) + 2;
    return text.erase(start, end - start);
  };
  lies.push_back({"fewer layers than diff IDs", pack(with_manifest(two_layers(), without_layer)),
                  ErrorCode::kCorrupt, "has 1 layers, the config 2 diff IDs"});
  lies.push_back({"a foreign layer that is elsewhere",
                  pack(with_media_type("application/vnd.oci.image.layer.nondistributable.v1.tar")),
                  ErrorCode::kNotFound, "foreign layer"});
  lies.push_back(
      {"docker's foreign layer",
       pack(with_media_type("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")),
       ErrorCode::kNotFound, "foreign layer"});
  lies.push_back({"an encrypted layer",
                  pack(with_media_type("application/vnd.oci.image.layer.v1.tar+gzip+encrypted")),
                  ErrorCode::kUnsupported, "skopeo copy --decryption-key"});
  const auto changed = [](const std::string& from, const std::string& to) {
    return pack(with_manifest(
        two_layers(), [&](std::string text) { return replaced(std::move(text), from, to); }));
  };
  lies.push_back({"a layer named by another hash", changed("sha256:", "sha512:"),
                  ErrorCode::kUnsupported, "only sha256"});
  lies.push_back({"a digest that does not say its hash",
                  changed("\"digest\":\"sha256:", "\"digest\":\""), ErrorCode::kCorrupt,
                  "is no digest"});
  lies.push_back({"a manifest of docker's schema 1", changed("\"layers\":", "\"fsLayers\":"),
                  ErrorCode::kUnsupported, "schema 1"});
  lies.push_back({"a manifest that is no JSON", changed("{", "("), ErrorCode::kCorrupt, "JSON"});
  lies.push_back({"layers in two spellings",
                  changed("\"schemaVersion\":2", "\"Layers\":[],\"schemaVersion\":2"),
                  ErrorCode::kCorrupt, "some read as \"layers\""});
  lies.push_back({"layers that come twice",
                  changed("\"schemaVersion\":2", "\"layers\":[],\"schemaVersion\":2"),
                  ErrorCode::kCorrupt, "twice"});
  lies.push_back({"layers in another alphabet",
                  changed("\"schemaVersion\":2", "\"layer\xc5\xbf\":[],\"schemaVersion\":2"),
                  ErrorCode::kCorrupt, "some read as \"layers\""});
  lies.push_back({"a digest in two spellings", changed("\"size\"", "\"Digest\":\"x\",\"size\""),
                  ErrorCode::kCorrupt, "some read as \"digest\""});
  lies.push_back({"a manifest that is an index too",
                  changed("\"schemaVersion\":2", "\"manifests\":[],\"schemaVersion\":2"),
                  ErrorCode::kCorrupt, "in one"});
  auto both = two_layers();
  both[1].bytes = replaced(both[1].bytes, "{", "{\"layers\":[],");
  lies.push_back({"an index that is a manifest too", pack(both), ErrorCode::kCorrupt, "in one"});
  auto chart = two_layers();
  chart[3].bytes = R"({"name":"chart","version":"1"})";
  const std::string config_name = two_layers()[3].name.substr(13);
  chart = with_manifest(chart, [&](std::string text) {
    text = replaced(std::move(text), config_name, digest_text(chart[3].bytes).substr(7));
    return replaced(std::move(text), "\"size\":" + std::to_string(two_layers()[3].bytes.size()),
                    "\"size\":" + std::to_string(chart[3].bytes.size()));
  });
  chart[3].name = "blobs/sha256/" + digest_text(chart[3].bytes).substr(7);
  lies.push_back({"an artifact that is no image", pack(chart), ErrorCode::kInvalidArgument,
                  "not a container image"});
  lies.push_back({"an archive of an old docker",
                  pack({{"repositories", "{}"}, {"x/layer.tar", "x"}}), ErrorCode::kUnsupported,
                  "before 1.10"});
  return lies;
}

std::vector<Lie> stream_lies() {
  const std::string tar = layer_tar("a");
  const std::string packed = gzip(tar);
  const std::string packed_zstd = zstd(tar);
  return {
      {"a gzip layer that ends too early",
       pack(of_layer(packed.substr(0, packed.size() / 2), digest_text(tar))), ErrorCode::kCorrupt,
       "layer"},
      {"a zstd layer that ends too early",
       pack(of_layer(packed_zstd.substr(0, packed_zstd.size() / 2), digest_text(tar))),
       ErrorCode::kCorrupt, "layer"},
      {"a layer that was packed twice", pack(of_layer(gzip(packed), digest_text(tar))),
       ErrorCode::kCorrupt, "layer"},
      {"a layer packed with xz",
       pack(of_layer("\xfd"
                     "7zXZ" +
                     std::string(100, '\0'))),
       ErrorCode::kUnsupported, "--dest-compress-format gzip"},
      {"a zstd layer whose window takes 2 GiB",
       pack(of_layer(std::string("\x28\xb5\x2f\xfd\x00\xa8", 6) + std::string(100, '\1'))),
       ErrorCode::kCorrupt, "layer"},
      {"a layer that is no tar", pack(of_layer(std::string(5000, 'x'))), ErrorCode::kCorrupt,
       "checksum"},
  };
}

}  // namespace

TEST_CASE("an image that lies is refused, and the error says where", "[image][unit]") {
  const TempFolder folder("lie");
  std::vector<Lie> lies = blob_lies();
  for (auto more : {manifest_lies(), stream_lies()})
    lies.insert(lies.end(), more.begin(), more.end());
  for (const Lie& lie : lies) {
    CAPTURE(lie.name);
    write_bytes(folder / "image.tar", lie.archive);
    const auto image = read_image(folder / "image.tar", {}, {});
    REQUIRE_FALSE(image);
    CAPTURE(image.error().message);
    CHECK(image.error().code == lie.code);
    CHECK(image.error().message.find(lie.words) != std::string::npos);
    if (lie.code == ErrorCode::kCorrupt)
      CHECK(image.error().message.find("copy or save the image again") != std::string::npos);
  }
}

TEST_CASE("of two members with one name the last is read", "[image][unit]") {
  const TempFolder folder("lie");
  auto files = two_layers();
  files.insert(files.begin(), {files[4].name, "an older one"});
  write_bytes(folder / "image.tar", pack(files));
  CHECK(read_image(folder / "image.tar", {}, {}));
}

TEST_CASE("bombs end at the limit wherever they are packed", "[image][unit]") {
  const TempFolder folder("bomb");
  const std::string zeros(3 << 20, '\0');
  const std::string tar = TarBuilder().add(tar_item("zeros", '0', zeros)).finish();
  ImageOptions options;
  options.max_image_bytes = 1 << 20;
  const auto refused = [&](const std::string& bytes) {
    write_bytes(folder / "image", bytes);
    const auto image = read_image(folder / "image", options, {});
    return !image && image.error().code == ErrorCode::kLimitExceeded;
  };
  CHECK(refused(gzip(tar)));
  CHECK(refused(zstd(tar)));
  CHECK(refused(pack(of_layer(gzip(tar)))));
  CHECK(refused(pack(of_layer(zstd(tar)))));
  // Many frames, each small, and one that is passed over.
  std::string frames;
  for (int i = 0; i < 300; ++i)
    frames += zstd(std::string(8192, '\0'));
  CHECK(refused(pack(of_layer(zstd(TarBuilder().add(tar_item("a", '0', "")).bytes()) + frames))));
}

TEST_CASE("holes of all layers together end at the limit", "[image][unit]") {
  const TempFolder folder("bomb");
  const auto hole = [](const std::string& name) {
    return TarBuilder()
        .pax({{"GNU.sparse.major", "1"},
              {"GNU.sparse.minor", "0"},
              {"GNU.sparse.realsize", std::to_string(600 << 10)}})
        .add(tar_item(name, '0', "0\n" + std::string(510, '\0')))
        .finish();
  };
  write_bytes(folder / "image.tar", pack(oci_files({{hole("a"), "", ""}, {hole("b"), "", ""}})));
  ImageOptions options;
  options.max_image_bytes = 1 << 20;
  const auto image = read_image(folder / "image.tar", options, {});
  REQUIRE_FALSE(image);
  CHECK(image.error().code == ErrorCode::kLimitExceeded);
  options.max_image_bytes = 2 << 20;
  CHECK(read_image(folder / "image.tar", options, {}));
}

TEST_CASE("an archive cannot fill the memory with JSON or names", "[image][unit]") {
  const TempFolder folder("bomb");
  const auto code_of = [&](const std::string& bytes) {
    write_bytes(folder / "image", bytes);
    const auto image = read_image(folder / "image", {}, {});
    REQUIRE_FALSE(image);
    return image.error().code;
  };
  const std::string json = "{" + std::string((4 << 20) - 1, ' ');
  const std::string frame = zstd(TarBuilder().add(tar_item("x.json", '0', json)).bytes());
  std::string frames;
  for (int i = 0; i < 17; ++i)
    frames += frame;
  CHECK(code_of(frames) == ErrorCode::kLimitExceeded);
  CHECK(code_of(TarBuilder().pax({{"path", std::string(5000, 'n')}}).add(tar_item("x")).finish()) ==
        ErrorCode::kLimitExceeded);
  auto deep = two_layers();
  for (const char* opening : {"[", "{\"a\":", "[{\"a\":"}) {
    std::string text;
    while (text.size() < 1 << 20)
      text += opening;
    deep[1].bytes = text;
    CHECK(code_of(pack(deep)) == ErrorCode::kLimitExceeded);
  }
  auto many = two_layers();
  std::string layers = many[2].bytes.substr(many[2].bytes.find("[{") + 1);
  layers.resize(layers.find("},{") + 1);
  many = with_manifest(many, [&](std::string text) {
    std::string list = layers;
    for (int i = 0; i < 1000; ++i)
      list += "," + layers;
    const std::size_t at = text.find("[{") + 1;
    return text.replace(at, text.rfind(']') - at, list);
  });
  CHECK(code_of(pack(many)) == ErrorCode::kLimitExceeded);
}
