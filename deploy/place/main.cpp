// SPDX-License-Identifier: Apache-2.0
// assay-place SOURCE TARGET: copies a small file, whole or not at all, where there is no shell.
#include <cstdio>
#include <filesystem>

#include "common/base/exit_code.h"
#include "common/base/file.h"

namespace {

constexpr std::size_t kMaxBytes = 1U << 20;

assay::Result<void> place(const std::string& source, const std::string& target) {
  ASSAY_ASSIGN(const std::string bytes, assay::read_file(source, kMaxBytes));
  const std::string folder = std::filesystem::path(target).parent_path();
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return assay::system_error("create " + folder, error.value());
  return assay::write_file_atomically(target, bytes, 0644);
}

}  // namespace

int main(int count, char** words) {
  if (count != 3) {
    std::fputs("usage: assay-place SOURCE TARGET\n", stderr);
    return static_cast<int>(assay::ExitCode::kUsage);
  }
  const auto placed = place(words[1], words[2]);
  if (placed) return 0;
  std::fprintf(stderr, "assay-place: %s\n", placed.error().text().c_str());
  return static_cast<int>(assay::exit_code_for(placed.error()));
}
