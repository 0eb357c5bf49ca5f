// SPDX-License-Identifier: Apache-2.0
#include "common/image/layer_stream.h"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "common/base/sha256.h"
#include "common/image/crc64.h"
#include "tests/support/command.h"
#include "tests/support/tar_builder.h"
#include "tests/support/tar_split.h"

using namespace assay;
using namespace assay::image;
using namespace assay::tests;

namespace fs = std::filesystem;

namespace {

const std::string kGolden = std::string(ASSAY_SOURCE_DIR) + "/tests/golden/tar_split/";

/// One layer as a tar, as its tar-split and as a directory.
struct Layer {
  TempFolder folder{"stream"};
  std::string tar;
  std::vector<TarSplitPiece> pieces;
  std::string tree = folder / "tree";

  explicit Layer(std::string bytes) : tar(std::move(bytes)), pieces(split_tar(tar)) {
    fs::create_directory(tree);
    write_bytes(folder / "layer.tar", tar);
    must_run({"tar", "-xf", folder / "layer.tar", "-C", tree, "--no-same-owner"});
  }

  UniqueFd file(const std::string& bytes) const {
    write_bytes(folder / "source", bytes);
    return UniqueFd(::open((folder / "source").c_str(), O_RDONLY | O_CLOEXEC));
  }
  Result<LayerStream> read(const std::string& tar_split, FingerprintLimits limits = {}) const {
    const UniqueFd root(::open(tree.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    return read_tar_split(file(tar_split), root.get(), limits, nullptr, {});
  }
  Result<LayerStream> read() const { return read(tar_split_text(pieces)); }
  LayerStream blob(const std::string& bytes) const {
    auto stream = read_layer_blob(file(bytes), {}, nullptr, {});
    REQUIRE(stream);
    return std::move(*stream);
  }
  TarSplitPiece& file_piece(const std::string& name) {
    for (TarSplitPiece& piece : pieces)
      if (piece.is_file && piece.name == name) return piece;
    throw std::runtime_error("no such piece");
  }
};

std::string simple_tar() {
  TarBuilder tar;
  tar.add(tar_item("etc/", '5'));
  tar.add(tar_item("etc/one", '0', "one\n"));
  tar.add(tar_item("etc/empty"));
  tar.add(tar_item("./etc/big", '0', std::string(100'000, 'b')));
  tar.add(tar_link("etc/hard", '1', "etc/one"));
  tar.add(tar_link("etc/soft", '2', "one"));
  return tar.finish();
}

std::string error_of(const Result<LayerStream>& stream) {
  return stream ? "" : std::string(to_string(stream.error().code)) + ": " + stream.error().text();
}

void check_is_tar(const Result<LayerStream>& stream, const Layer& layer) {
  CAPTURE(error_of(stream));
  REQUIRE(stream);
  CHECK(stream->diff_id.text() == sha256(layer.tar).text());
  CHECK(stream->bytes == layer.tar.size());
  CHECK(stream->problem_count == 0);
  const LayerStream blob = layer.blob(layer.tar);
  CHECK(blob.diff_id == stream->diff_id);
  CHECK(blob.layer.shape == stream->layer.shape);
  CHECK(blob.layer.content == stream->layer.content);
  CHECK(blob.layer.deletions == stream->layer.deletions);
}

}  // namespace

TEST_CASE("the CRC is Go's crc64.ISO", "[image][unit]") {
  Crc64 crc;
  crc.update(std::string_view("123456789"));
  CHECK(crc.value() == 0xb90956c775a41001);
  Crc64 pieces;
  for (const std::string_view part : {"1", "2345", "6789"})
    pieces.update(part);
  CHECK(pieces.value() == crc.value());
}

TEST_CASE("what docker and podman keep of a layer gives its tar", "[image][unit][golden]") {
  const Layer layer(read_bytes(kGolden + "layer.tar"));
  for (const char* const name : {"docker.json.gz", "podman.json.gz"}) {
    CAPTURE(name);
    check_is_tar(layer.read(read_bytes(kGolden + name)), layer);
  }
}

TEST_CASE("a tar-split is read plain and compressed", "[image][unit]") {
  const Layer layer(simple_tar());
  const std::string text = tar_split_text(layer.pieces);
  check_is_tar(layer.read(text), layer);
  check_is_tar(layer.read(gzip(text)), layer);
  check_is_tar(layer.read(zstd(text)), layer);
  CHECK(layer.blob(gzip(layer.tar)).diff_id.text() == sha256(layer.tar).text());
}

TEST_CASE("a file that is not what it was is named, and the stream is another", "[image][unit]") {
  struct Row {
    const char* what;
    void (*act)(const std::string& path);
  };
  const auto row = GENERATE(
      Row{"content", [](const std::string& path) { write_bytes(path, "ONE\n"); }},
      Row{"size", [](const std::string& path) { write_bytes(path, "longer than it was\n"); }},
      Row{"size", [](const std::string& path) { write_bytes(path, ""); }},
      Row{"missing", [](const std::string& path) { fs::remove(path); }},
      Row{"type",
          [](const std::string& path) {
            fs::remove(path);
            fs::create_symlink("/etc/passwd", path);
          }},
      Row{"type", [](const std::string& path) {
            fs::remove(path);
            fs::create_directory(path);
          }});
  CAPTURE(row.what);
  const Layer layer(simple_tar());
  row.act(layer.tree + "/etc/one");
  const auto stream = layer.read();
  CAPTURE(error_of(stream));
  REQUIRE(stream);
  CHECK(stream->diff_id.text() != sha256(layer.tar).text());
  CHECK(stream->bytes == layer.tar.size());
  REQUIRE(stream->problem_count == 1);
  CHECK(stream->problems.at(0).path == "etc/one");
  CHECK(stream->problems.at(0).what == row.what);
}

TEST_CASE("no byte of a file counts that the tar-split carries itself", "[image][unit]") {
  Layer layer(simple_tar());
  SECTION("the whole tar in one segment") {
    const auto stream = layer.read(segment_line(0, layer.tar));
    CHECK(error_of(stream).find("holds bytes of the file \"etc/one\" itself") != std::string::npos);
  }
  SECTION("one file, with its entry as an empty one beside it") {
    layer.file_piece("etc/one").is_file = false;
    const auto stream = layer.read();
    CHECK(error_of(stream).find("holds bytes of the file \"etc/one\" itself") != std::string::npos);
  }
  SECTION("the last byte of one file") {
    std::vector<TarSplitPiece> pieces;
    for (TarSplitPiece& piece : layer.pieces) {
      pieces.push_back(piece);
      if (piece.name != "etc/one") continue;
      pieces.back().bytes = "one";
      pieces.push_back({false, "", "\n"});
    }
    CHECK_FALSE(layer.read(tar_split_text(pieces)));
  }
}

TEST_CASE("payloads stand only where the tar has that file", "[image][unit]") {
  Layer layer(simple_tar());
  SECTION("another file's bytes") {
    layer.file_piece("etc/one").name = "etc/two";
    write_bytes(layer.tree + "/etc/two", "one\n");
    CHECK(error_of(layer.read()).find("corrupt: ") == 0);
  }
  SECTION("a file's bytes as headers") {
    write_bytes(layer.tree + "/headers", layer.tar);
    const auto stream = layer.read(tar_split_text({{true, "headers", layer.tar}}));
    CHECK(error_of(stream).find("unsupported: ") == 0);
  }
  SECTION("a size that is not the header's") {
    std::string text = tar_split_text(layer.pieces);
    const std::size_t at = text.find(R"("size":4,)");
    REQUIRE(at != std::string::npos);
    text.replace(at, 9, R"("size":5,)");
    CHECK(error_of(layer.read(text)).find("unsupported: ") == 0);
  }
}

TEST_CASE("no payload comes from outside the directory", "[image][unit]") {
  const auto read_one = [](const std::string& name, const std::string& link) {
    TarBuilder tar;
    tar.add(tar_item(name, '0', "one\n"));
    Layer layer(simple_tar());
    fs::create_directory(layer.folder / "outside");
    write_bytes(layer.folder / "outside/one", "one\n");
    if (!link.empty()) fs::create_symlink(link, layer.tree + "/link");
    return error_of(layer.read(tar_split_text(split_tar(tar.finish()))));
  };
  CHECK(read_one("../outside/one", "").find("leaves its folder") != std::string::npos);
  CHECK(read_one("link/one", "../outside").find("behind a symbolic link") != std::string::npos);
  CHECK(read_one("link/one", "link").find("behind a symbolic link") != std::string::npos);
}

TEST_CASE("lines that are none end the reading", "[image][unit]") {
  const auto line = GENERATE(
      "x\n", "[]\n", "{}\n", "\n", R"({"type":2,"payload":"?","position":0})",
      R"({"type":3,"payload":"","position":0})", R"({"type":2,"payload":"","position":1})",
      R"({"type":2,"payload":{"a":1},"position":0})", R"({"type":2,"payload":[[[]]],"position":0})",
      R"({"type":-1,"payload":"","position":0})", R"({"type":"2","payload":"","position":0})",
      R"({"type":1,"name":"a","size":1,"payload":null,"position":0})",
      R"({"type":1,"name":"a","size":-1,"payload":"KrLdsAAAAAA=","position":0})",
      R"({"type":1,"name":"a","size":18446744073709551615,"payload":"KrLdsAAAAAA=","position":0})",
      R"({"type":1,"name_raw":"?","size":1,"payload":"KrLdsAAAAAA=","position":0})",
      R"({"type":2,"payload":"","position":0)");
  CAPTURE(line);
  const Layer layer(simple_tar());
  CHECK(error_of(layer.read(line)).find("corrupt: ") == 0);
}

TEST_CASE("a tar-split has limits", "[image][unit]") {
  const Layer layer(simple_tar());
  const auto is_over = [&](const std::string& text, FingerprintLimits limits = {}) {
    const std::string error = error_of(layer.read(text, limits));
    CAPTURE(error);
    CHECK(error.find("limit-exceeded: ") == 0);
  };
  is_over(segment_line(0, std::string(5U << 20, '\0')));
  is_over(file_line(0, std::string(4097, 'n'), 0, 0));
  is_over(gzip(std::string(64U << 20, ' ')));
  FingerprintLimits few;
  few.max_entries = 3;
  is_over(tar_split_text(layer.pieces), few);
  FingerprintLimits little;
  little.max_content_bytes = 1000;
  is_over(tar_split_text(layer.pieces), little);
}

TEST_CASE("a huge file that is not there is not made up", "[image][unit]") {
  TarItem item = tar_item("huge");
  item.patches = {{124, "77777777777"}};
  TarBuilder tar;
  tar.add(item);
  const std::string header = tar.bytes();
  const Layer layer(simple_tar());
  FingerprintLimits limits;
  limits.max_content_bytes = 1U << 20;
  const std::string text = segment_line(0, header) + file_line(1, "huge", 077777777777, 1);
  CHECK(error_of(layer.read(text, limits)).find("limit-exceeded: ") == 0);
}

TEST_CASE("reading a stream ends when it is asked to", "[image][unit]") {
  const Layer layer(simple_tar());
  std::stop_source stop;
  stop.request_stop();
  const UniqueFd root(::open(layer.tree.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const auto stream = read_tar_split(layer.file(tar_split_text(layer.pieces)), root.get(), {},
                                     nullptr, stop.get_token());
  CHECK(error_of(stream).find("cancelled: ") == 0);
}

TEST_CASE("a truncated tar-split is no shorter layer", "[image][unit]") {
  const Layer layer(simple_tar());
  const std::string text = tar_split_text(layer.pieces);
  const std::string packed = gzip(text);
  const std::string whole = sha256(layer.tar).text();
  for (const std::string& part : {packed.substr(0, packed.size() / 2),
                                  text.substr(0, text.find('\n', text.size() / 2) + 1)}) {
    const auto stream = layer.read(part);
    CHECK((!stream || stream->diff_id.text() != whole));
  }
}
