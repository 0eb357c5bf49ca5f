// SPDX-License-Identifier: Apache-2.0
// tar-splits made in a test, good and bad ones.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace assay::tests {

struct TarSplitPiece {
  bool is_file = false;
  std::string name;   ///< of files
  std::string bytes;  ///< of the segment, or of the file
};

/// The pieces of a tar of plain headers (no extended ones): headers and padding, and files.
std::vector<TarSplitPiece> split_tar(std::string_view tar);
/// As JSON lines.
std::string tar_split_text(const std::vector<TarSplitPiece>& pieces);

std::string segment_line(std::uint64_t position, std::string_view bytes);
std::string file_line(std::uint64_t position, const std::string& name, std::uint64_t size,
                      std::uint64_t crc64);

}  // namespace assay::tests
