// SPDX-License-Identifier: Apache-2.0
#include "common/image/verity.h"

#include <libfsverity.h>
#include <catch2/catch.hpp>

#include <cstring>

using namespace assay;
using namespace assay::image;

namespace {

std::string pattern(std::size_t bytes) {
  std::string data(bytes, '\0');
  std::uint32_t state = 1;
  for (char& byte : data)
    byte = static_cast<char>((state = state * 1664525U + 1013904223U) >> 24);
  return data;
}

struct Reader {
  const std::string* data;
  std::size_t at = 0;
};

int read_some(void* file, void* buffer, std::size_t count) {
  auto& reader = *static_cast<Reader*>(file);
  std::memcpy(buffer, reader.data->data() + reader.at, count);
  reader.at += count;
  return 0;
}

// What libfsverity, the kernel's own companion, says.
FileDigest reference(const std::string& data) {
  libfsverity_merkle_tree_params params = {};
  params.version = 1;
  params.hash_algorithm = FS_VERITY_HASH_ALG_SHA256;
  params.file_size = data.size();
  params.block_size = 4096;
  Reader reader{&data};
  libfsverity_digest* computed = nullptr;
  REQUIRE(libfsverity_compute_digest(&reader, read_some, &params, &computed) == 0);
  FileDigest digest;
  std::memcpy(digest.bytes.data(), computed->digest, digest.bytes.size());
  std::free(computed);
  return digest;
}

std::vector<std::unique_ptr<BlockHasher>> all_hashers() {
  std::vector<std::unique_ptr<BlockHasher>> hashers;
  hashers.push_back(make_openssl_block_hasher());
  if (auto multi = make_ipsec_mb_block_hasher()) hashers.push_back(std::move(multi));
  return hashers;
}

}  // namespace

TEST_CASE("a file's digest is the one that libfsverity computes", "[image][unit]") {
  const std::size_t size = GENERATE(as<std::size_t>{}, 0, 1, 4095, 4096, 4097, 128 * 4096 - 1,
                                    128 * 4096, 128 * 4096 + 1, 1 << 20, 3 * (1 << 20) + 5);
  const std::string data = pattern(size);
  CAPTURE(size);
  for (const auto& hasher : all_hashers()) {
    CAPTURE(hasher->name());
    VerityBatch batch(*hasher, 7);
    const std::size_t slot = batch.begin_file();
    batch.append(data);
    batch.end_file();
    CHECK(batch.finish().at(slot) == reference(data));
  }
  CHECK(verity_digest(data) == reference(data));
}

TEST_CASE("a tree of three levels hashes as libfsverity does, with digests handed on early",
          "[image][unit]") {
  // 33 MiB: the first 8,192 digests are hashed on before the file ends.
  std::string data = pattern(1U << 20);
  data.reserve((33U << 20) + 4097);
  while (data.size() < (33U << 20))
    data.append(data, 0, 1U << 20);
  data += pattern(4097);
  const auto hasher = make_block_hasher();
  VerityBatch batch(*hasher, 128, GENERATE(HashThread::kCaller, HashThread::kOwn));
  batch.begin_file();
  batch.append(data);
  batch.end_file();
  CHECK(batch.finish().front() == reference(data));
}

TEST_CASE("files share a batch in pieces of any size and keep their slots", "[image][unit]") {
  const std::string data = pattern(70'000);
  const HashThread thread = GENERATE(HashThread::kCaller, HashThread::kOwn);
  for (const auto& hasher : all_hashers()) {
    VerityBatch batch(*hasher, 5, thread);
    std::vector<std::string> files;
    for (std::size_t i = 0; i < 60; ++i) {
      files.push_back(data.substr(0, (i * 7919) % data.size()));
      REQUIRE(batch.begin_file() == i);
      for (std::size_t at = 0; at < files[i].size(); at += 1 + i * 100)
        batch.append(std::string_view(files[i]).substr(at, 1 + i * 100));
      batch.end_file();
    }
    const auto digests = batch.finish();
    REQUIRE(digests.size() == files.size());
    for (std::size_t i = 0; i < files.size(); ++i)
      CHECK(digests[i] == reference(files[i]));
  }
}

TEST_CASE("a file given up in the middle does not disturb the next one", "[image][unit]") {
  const auto hasher = make_block_hasher();
  VerityBatch batch(*hasher, 3, GENERATE(HashThread::kCaller, HashThread::kOwn));
  batch.begin_file();
  batch.append(pattern(20'000));
  const std::size_t slot = batch.begin_file();
  batch.append("kept");
  batch.end_file();
  CHECK(batch.finish().at(slot) == reference("kept"));
}

TEST_CASE("libipsec-mb and OpenSSL give the same bytes", "[image][unit]") {
  const auto multi = make_ipsec_mb_block_hasher();
  if (!multi) {
    WARN("libipsec-mb is not built in");
    return;
  }
  const auto plain = make_openssl_block_hasher();
  const std::string data = pattern(300 * 4096);
  const std::span messages(reinterpret_cast<const std::uint8_t*>(data.data()), data.size());
  for (const std::size_t length : {1U, 55U, 64U, 256U, 4096U}) {
    const std::size_t count = 299;
    std::vector<DigestBytes> a(count);
    std::vector<DigestBytes> b(count);
    multi->hash(messages.first(count * length), length, a);
    plain->hash(messages.first(count * length), length, b);
    CHECK(a == b);
  }
}

TEST_CASE("files without bytes fill no batch, and known digests keep their slots",
          "[image][unit]") {
  const auto hasher = make_block_hasher();
  VerityBatch batch(*hasher, 2, GENERATE(HashThread::kCaller, HashThread::kOwn));
  const FileDigest known{DigestBytes{7}};
  for (int i = 0; i < 10'000; ++i) {
    batch.begin_file();
    batch.end_file();
  }
  CHECK(batch.add_known(known) == 10'000);
  const std::size_t last = batch.begin_file();
  batch.append("x");
  const auto digests = batch.finish();
  REQUIRE(digests.size() == 10'002);
  CHECK(digests.front() == reference(""));
  CHECK(digests[9'999] == reference(""));
  CHECK(digests[10'000] == known);
  CHECK(digests[last] == reference("x"));
  CHECK(batch.begin_file() == 0);
}
