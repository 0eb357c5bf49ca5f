// SPDX-License-Identifier: Apache-2.0
#include "common/about/package_text.h"

#include <functional>
#include <utility>

#include "common/about/lines.h"
#include "common/base/encoding.h"

namespace assay::about {
namespace {

constexpr std::size_t kMaxFieldBytes = 128;

/// The text behind the first ':' of `line`, without the blanks around it.
std::string_view value_of(std::string_view line, std::size_t colon) {
  std::string_view value = line.substr(colon + 1);
  value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
  const std::size_t end = value.find_last_not_of(" \t");
  return value.substr(0, end == std::string_view::npos ? 0 : end + 1);
}

struct Block {
  std::string_view name;
  std::string_view version;
  std::string_view architecture;
  std::string_view status;
};

/// The fields of `Block` that a format names.
using FieldOf = std::string_view* (*)(Block&, std::string_view);

std::string_view* dpkg_field(Block& block, std::string_view name) {
  if (name == "Package") return &block.name;
  if (name == "Version") return &block.version;
  if (name == "Architecture") return &block.architecture;
  return name == "Status" ? &block.status : nullptr;
}

std::string_view* apk_field(Block& block, std::string_view name) {
  if (name == "P") return &block.name;
  if (name == "V") return &block.version;
  return name == "A" ? &block.architecture : nullptr;
}

/// "want flag state": the package's files are gone, or never came, in two of the states.
bool is_there(std::string_view status) {
  const std::string_view state = status.substr(status.rfind(' ') + 1);
  return state != "not-installed" && state != "config-files";
}

catalog::PackageDatabase parse(std::string_view text, FieldOf field_of, bool keeps_list) {
  catalog::PackageDatabase database;
  Block block;
  const auto end_block = [&] {
    const Block ended = std::exchange(block, {});
    if (ended.name.empty() || !is_there(ended.status)) return;
    if (!count_package(database) || !keeps_list) return;
    database.list.push_back({to_plain_text(ended.name, kMaxFieldBytes),
                             to_plain_text(ended.version, kMaxFieldBytes),
                             to_plain_text(ended.architecture, kMaxFieldBytes)});
  };
  each_line(text, [&](std::string_view line) {
    if (line.empty()) return end_block();
    const std::size_t colon = line.find(':');
    const bool is_continuation = line.front() == ' ' || line.front() == '\t';
    if (is_continuation || colon == std::string_view::npos) return;
    std::string_view* const field = field_of(block, line.substr(0, colon));
    if (field != nullptr && field->empty()) *field = value_of(line, colon);
  });
  end_block();
  return database;
}

}  // namespace

bool count_package(catalog::PackageDatabase& database) {
  if (database.packages == kMaxPackages) {
    database.gap = "it holds more than " + std::to_string(kMaxPackages) + " packages";
    return false;
  }
  ++database.packages;
  return true;
}

catalog::PackageDatabase parse_dpkg_status(std::string_view text, bool keeps_list) {
  catalog::PackageDatabase database = parse(text, dpkg_field, keeps_list);
  database.manager = "dpkg";
  database.format = "status";
  return database;
}

catalog::PackageDatabase parse_apk_installed(std::string_view text, bool keeps_list) {
  catalog::PackageDatabase database = parse(text, apk_field, keeps_list);
  database.manager = "apk";
  database.format = "installed";
  return database;
}

}  // namespace assay::about
