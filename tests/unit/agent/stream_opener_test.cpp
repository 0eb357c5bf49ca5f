// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/stream_opener.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/unit/agent/scratch.h"

namespace assay::agent {
namespace {

using tests::Scratch;

struct Store {
  Scratch scratch;
  StoreStreamOpener opener;
  Store() { scratch.write("store/layers/one", "bytes"); }
  ErrorCode open(const std::string& path) {
    const auto fd = opener.open({StreamPlace::Kind::kTarSplit, scratch.path("store"), path, ""});
    return fd ? ErrorCode::kInternal : fd.error().code;
  }
};

// What an ordinary user's store looks like is what a test without root makes anyway.
constexpr ErrorCode kOpened = ErrorCode::kInternal;

TEST_CASE("a store's stream is opened beneath it and nowhere else", "[agent][unit]") {
  Store store;
  CHECK(store.open("layers/one") == (::geteuid() == 0 ? kOpened : ErrorCode::kUntrusted));
  CHECK(store.open("layers/two") == ErrorCode::kNotFound);
  CHECK(store.open("layers") == ErrorCode::kNotFound);
  store.scratch.write("outside", "bytes");
  CHECK(store.open("../outside") == ErrorCode::kNotFound);
  CHECK(store.open(store.scratch.path("outside")) == ErrorCode::kNotFound);
  std::filesystem::create_symlink("one", store.scratch.path("store/layers/link"));
  CHECK(store.open("layers/link") == ErrorCode::kNotFound);
  REQUIRE(::mkfifo(store.scratch.path("store/layers/pipe").c_str(), 0600) == 0);
  CHECK(store.open("layers/pipe") == ErrorCode::kNotFound);
}

TEST_CASE("a stream that someone but root may write is not believed", "[agent][unit]") {
  Store store;
  SECTION("the file") {
    ::chmod(store.scratch.path("store/layers/one").c_str(), 0666);
  }
  SECTION("a folder on the way") {
    ::chmod(store.scratch.path("store/layers").c_str(), 0777);
  }
  SECTION("the store") {
    ::chmod(store.scratch.path("store").c_str(), 0770);
  }
  CHECK(store.open("layers/one") == ErrorCode::kUntrusted);
}

}  // namespace
}  // namespace assay::agent
