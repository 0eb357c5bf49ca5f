// SPDX-License-Identifier: Apache-2.0
#include "common/image/kernel_verity.h"

#include <linux/fsverity.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

#include <array>
#include <cstring>

#include "common/base/sha256.h"
#include "common/image/verity_descriptor.h"

namespace assay::image {
namespace {

// linux/magic.h, and the file systems' own sources.
constexpr std::uint32_t kExt4 = 0xEF53;
constexpr std::uint32_t kBtrfs = 0x9123683E;
constexpr std::uint32_t kF2fs = 0xF2F52010;

std::optional<DigestBytes> measure(int fd) {
  // The structure's digest is a flexible array.
  alignas(fsverity_digest) std::array<std::uint8_t, sizeof(fsverity_digest) + sizeof(DigestBytes)>
      buffer = {};
  fsverity_digest header = {};
  header.digest_size = sizeof(DigestBytes);
  std::memcpy(buffer.data(), &header, sizeof(header));
  if (::ioctl(fd, FS_IOC_MEASURE_VERITY, buffer.data()) != 0) return std::nullopt;
  std::memcpy(&header, buffer.data(), sizeof(header));
  DigestBytes digest = {};
  if (header.digest_algorithm != FS_VERITY_HASH_ALG_SHA256 || header.digest_size != digest.size())
    return std::nullopt;
  std::memcpy(digest.data(), buffer.data() + sizeof(header), digest.size());
  return digest;
}

std::optional<VerityDescriptor> read_descriptor(int fd) {
  VerityDescriptor descriptor = {};
  fsverity_read_metadata_arg request = {};
  request.metadata_type = FS_VERITY_METADATA_TYPE_DESCRIPTOR;
  request.length = descriptor.size();
  request.buf_ptr = reinterpret_cast<std::uint64_t>(descriptor.data());
  const int got = ::ioctl(fd, FS_IOC_READ_VERITY_METADATA, &request);
  if (got != static_cast<int>(descriptor.size())) return std::nullopt;
  return descriptor;
}

}  // namespace

bool has_kernel_verity(int fd) {
  struct statfs status = {};
  if (::fstatfs(fd, &status) != 0) return false;
  const auto magic = static_cast<std::uint32_t>(status.f_type);
  return magic == kExt4 || magic == kBtrfs || magic == kF2fs;
}

std::optional<FileDigest> kernel_verity_digest(int fd, const struct statx& status) {
  if ((status.stx_attributes & STATX_ATTR_VERITY) == 0) return std::nullopt;
  const auto measured = measure(fd);
  if (!measured) return std::nullopt;
  const auto descriptor = read_descriptor(fd);
  if (!descriptor) return std::nullopt;
  // Whether the digest is of our kind is shown by making ours of the root hash that it has.
  DigestBytes root = {};
  std::memcpy(root.data(), descriptor->data() + kVerityRootOffset, root.size());
  const VerityDescriptor ours = verity_descriptor(status.stx_size, root);
  Sha256Hasher hasher;
  hasher.update(std::string_view(reinterpret_cast<const char*>(ours.data()), ours.size()));
  const DigestBytes digest = hasher.finish().bytes;
  if (digest != *measured) return std::nullopt;
  return FileDigest{digest};
}

}  // namespace assay::image
