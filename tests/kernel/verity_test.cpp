// SPDX-License-Identifier: Apache-2.0
// fs-verity as a kernel does it: runs in a guest whose disk is ext4 with the feature (boot.sh).
// The working directory lies on that disk.
#include "common/image/kernel_verity.h"

#include <fcntl.h>
#include <linux/fsverity.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <string>

#include "common/base/unique_fd.h"
#include "common/image/directory.h"
#include "common/image/safe_open.h"
#include "common/image/verity.h"
#include "tests/support/page_cache.h"

using namespace assay;
using namespace assay::image;
using assay::tests::cached_pages;
using assay::tests::drop_pages;

namespace {

std::string bytes(std::size_t size) {
  std::string data(size, '\0');
  std::uint32_t state = 7;
  for (char& byte : data)
    byte = static_cast<char>((state = state * 1664525U + 1013904223U) >> 24);
  return data;
}

UniqueFd open_file(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  REQUIRE(file);
  return file;
}

void write_file(const std::string& path, const std::string& data) {
  std::ofstream(path, std::ios::binary) << data;
  REQUIRE(std::filesystem::file_size(path) == data.size());
}

void enable(const std::string& path, std::uint32_t block_size = 4096, const std::string& salt = "",
            std::uint32_t algorithm = FS_VERITY_HASH_ALG_SHA256) {
  const UniqueFd file = open_file(path);
  fsverity_enable_arg request = {};
  request.version = 1;
  request.hash_algorithm = algorithm;
  request.block_size = block_size;
  request.salt_size = static_cast<std::uint32_t>(salt.size());
  request.salt_ptr = reinterpret_cast<std::uint64_t>(salt.data());
  REQUIRE(::ioctl(file.get(), FS_IOC_ENABLE_VERITY, &request) == 0);
}

std::optional<FileDigest> digest_of(const std::string& path) {
  const UniqueFd file = open_file(path);
  struct statx status = {};
  REQUIRE(stat_at(file.get(), "", status));
  return kernel_verity_digest(file.get(), status);
}

LayerFingerprint walk(const std::string& path) {
  const UniqueFd root(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  REQUIRE(root);
  WalkOptions options;
  options.dialect = Dialect::kPlain;
  auto found = fingerprint_directory(root.get(), options, {});
  if (!found) FAIL(found.error().text());
  return *found;
}

}  // namespace

TEST_CASE("the kernel's digest is ours, for files of any size", "[kernel]") {
  std::filesystem::create_directory("sizes");
  for (const std::size_t size : {0, 1, 4096, 4097, 524'288, 1'000'000}) {
    CAPTURE(size);
    const std::string path = "sizes/" + std::to_string(size);
    const std::string data = bytes(size);
    write_file(path, data);
    CHECK_FALSE(digest_of(path));  // nobody has switched it on
    enable(path);
    CHECK(digest_of(path) == verity_digest(data));
  }
}

TEST_CASE("the kernel's digest of another kind is none of ours", "[kernel]") {
  const std::string data = bytes(100'000);
  for (const char* name : {"salted", "small-blocks", "sha512"})
    write_file(name, data);
  enable("salted", 4096, "salt");
  enable("small-blocks", 1024);
  enable("sha512", 4096, "", FS_VERITY_HASH_ALG_SHA512);
  CHECK_FALSE(digest_of("salted"));
  CHECK_FALSE(digest_of("small-blocks"));
  CHECK_FALSE(digest_of("sha512"));
}

TEST_CASE("a walk takes digests from the kernel and reads no such file", "[kernel]") {
  for (const char* tree : {"plain", "verity"}) {
    std::filesystem::create_directory(tree);
    for (const char* name : {"/a", "/b", "/salted", "/c"})
      write_file(tree + std::string(name), bytes(300'000) + name);
  }
  enable("verity/a");
  enable("verity/c");
  enable("verity/salted", 4096, "salt");
  for (const char* name : {"/a", "/b", "/salted", "/c"})
    drop_pages("verity" + std::string(name));
  REQUIRE(cached_pages("verity/a") == 0);
  const LayerFingerprint with = walk("verity");
  CHECK(cached_pages("verity/a") == 0);
  CHECK(cached_pages("verity/c") == 0);
  CHECK(cached_pages("verity/b") > 0);
  CHECK(cached_pages("verity/salted") > 0);  // hashed again
  const LayerFingerprint without = walk("plain");
  CHECK(with.content == without.content);
  CHECK(with.content_bytes == without.content_bytes);
}

TEST_CASE("fs-verity counts on file systems whose kernel code does it", "[kernel]") {
  const UniqueFd disk(::open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  CHECK(has_kernel_verity(disk.get()));
  const UniqueFd memory(::open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  CHECK_FALSE(has_kernel_verity(memory.get()));
}
