// SPDX-License-Identifier: Apache-2.0
#include "tests/support/tar_split.h"

#include <algorithm>
#include <cstdlib>

#include "common/base/encoding.h"
#include "common/image/crc64.h"

namespace assay::tests {
namespace {

constexpr std::size_t kBlock = 512;

std::uint64_t crc_of(std::string_view bytes) {
  image::Crc64 crc;
  crc.update(bytes);
  return crc.value();
}

}  // namespace

std::vector<TarSplitPiece> split_tar(std::string_view tar) {
  std::vector<TarSplitPiece> pieces(1);
  while (tar.size() >= kBlock) {
    const std::string name(tar.substr(0, std::min<std::size_t>(tar.find('\0'), 100)));
    const auto size = std::strtoull(std::string(tar.substr(124, 12)).c_str(), nullptr, 8);
    pieces.back().bytes += tar.substr(0, kBlock);
    tar.remove_prefix(kBlock);
    if (name.empty()) continue;
    pieces.push_back({true, name, std::string(tar.substr(0, size))});
    pieces.push_back({false, "", ""});
    tar.remove_prefix(size);
    const std::size_t padding = (kBlock - size % kBlock) % kBlock;
    pieces.back().bytes += tar.substr(0, padding);
    tar.remove_prefix(padding);
  }
  return pieces;
}

std::string segment_line(std::uint64_t position, std::string_view bytes) {
  return R"({"type":2,"payload":")" + to_base64(bytes) + R"(","position":)" +
         std::to_string(position) + "}\n";
}

std::string file_line(std::uint64_t position, const std::string& name, std::uint64_t size,
                      std::uint64_t crc64) {
  std::string crc;
  for (int shift = 56; shift >= 0; shift -= 8)
    crc += static_cast<char>(crc64 >> shift & 0xff);
  const std::string facts =
      size == 0 ? R"("payload":null)"
                : R"("size":)" + std::to_string(size) + R"(,"payload":")" + to_base64(crc) + '"';
  return R"({"type":1,"name":")" + name + R"(",)" + facts + R"(,"position":)" +
         std::to_string(position) + "}\n";
}

std::string tar_split_text(const std::vector<TarSplitPiece>& pieces) {
  std::string text;
  std::uint64_t position = 0;
  for (const TarSplitPiece& piece : pieces)
    text += piece.is_file
                ? file_line(position++, piece.name, piece.bytes.size(), crc_of(piece.bytes))
                : segment_line(position++, piece.bytes);
  return text;
}

}  // namespace assay::tests
