// SPDX-License-Identifier: Apache-2.0
#include "cli/head_store.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "common/base/encoding.h"
#include "common/base/file.h"
#include "common/base/sha256.h"

namespace assay::cli {
namespace {

constexpr std::size_t kMaxHeadBytes = 1 << 20;
constexpr std::size_t kMaxIdBytes = 64;

bool is_plain_id(const std::string& id) {
  return !id.empty() && id.size() <= kMaxIdBytes &&
         id.find_first_not_of("0123456789abcdef") == std::string::npos;
}

/// The file's bytes, nothing when it is not there.
Result<std::optional<std::string>> read_if_there(const std::string& path) {
  auto bytes = read_file(path, kMaxHeadBytes);
  if (bytes) return std::optional<std::string>(std::move(*bytes));
  if (bytes.error().code == ErrorCode::kNotFound) return std::optional<std::string>();
  return std::move(bytes.error());
}

Result<catalog::Head> parse_head(const std::string& envelope_json) {
  ASSAY_ASSIGN(const auto envelope, catalog::Envelope::from_json(envelope_json));
  return catalog::head_from_in_toto(envelope.payload);
}

Error refused(const std::string& why, const std::string& file) {
  return {ErrorCode::kUntrusted, why +
                                     "; nothing was signed. If the collector was set up anew on "
                                     "purpose, remove " +
                                     file};
}

}  // namespace

Result<HeadStore> HeadStore::open_default() {
  const char* state_home = std::getenv("XDG_STATE_HOME");
  if (state_home != nullptr && *state_home == '/')
    return HeadStore(state_home + std::string("/assay"));
  const char* home = std::getenv("HOME");
  if (home != nullptr && *home == '/') return HeadStore(home + std::string("/.local/state/assay"));
  return Error{ErrorCode::kNotFound, "neither XDG_STATE_HOME nor HOME is set"};
}

std::string HeadStore::head_file(const std::string& catalog_id) const {
  return folder_ + "/head-" + catalog_id + ".json";
}

std::string HeadStore::collector_file(const std::string& collector,
                                      const catalog::TrustRoot& trust) const {
  std::vector<std::string> ids;
  for (const auto& key : trust.keys)
    ids.push_back(key.key_id());
  std::sort(ids.begin(), ids.end());
  std::string fields;
  append_field(fields, collector);
  for (const std::string& id : ids)
    append_field(fields, id);
  return folder_ + "/collector-" + sha256(fields).hex().substr(0, 32);
}

Result<void> HeadStore::check(const std::string& collector, const catalog::TrustRoot& trust,
                              const catalog::SignedLog& log, const catalog::Head& head) const {
  const std::string pin = collector_file(collector, trust);
  ASSAY_ASSIGN(const auto pinned, read_if_there(pin));
  if (pinned && log.statements.empty())
    return refused("the collector serves an empty catalog, but it served catalog " +
                       escape_untrusted(*pinned, kMaxIdBytes) + " before",
                   pin);
  if (log.statements.empty()) return ok();
  if (!is_plain_id(head.catalog_id))
    return Error{ErrorCode::kCorrupt, "the catalog's id is not a hexadecimal number"};
  if (pinned && *pinned != head.catalog_id)
    return refused("the collector serves catalog " + head.catalog_id + ", but it served catalog " +
                       escape_untrusted(*pinned, kMaxIdBytes) + " before",
                   pin);
  return check_head(log, head, "the collector's");
}

Result<void> HeadStore::check_file(const catalog::SignedLog& log, const catalog::Head& head) const {
  if (log.statements.empty()) return ok();
  if (!is_plain_id(head.catalog_id))
    return Error{ErrorCode::kCorrupt, "the catalog's id is not a hexadecimal number"};
  return check_head(log, head, "the file's");
}

Result<void> HeadStore::remember_file(const catalog::SignedLog& log,
                                      const catalog::Head& head) const {
  if (log.statements.empty() || !is_plain_id(head.catalog_id)) return ok();
  std::error_code failed;
  std::filesystem::create_directories(folder_, failed);
  if (failed) return system_error("create " + folder_, failed.value());
  return write_file_atomically(head_file(head.catalog_id), log.head, 0600);
}

Result<void> HeadStore::check_head(const catalog::SignedLog& log, const catalog::Head& head,
                                   const std::string& whose) const {
  const std::string file = head_file(head.catalog_id);
  ASSAY_ASSIGN(const auto held_json, read_if_there(file));
  if (!held_json) return ok();
  auto held = parse_head(*held_json);
  if (!held) return std::move(held.error()).with_context(file);
  auto follows = catalog::check_successor(*held, log, head);
  if (follows) return ok();
  return refused(whose + " catalog is not the one seen before (sequence " +
                     std::to_string(head.sequence) + " now, " + std::to_string(held->sequence) +
                     " seen): " + follows.error().message,
                 file);
}

Result<void> HeadStore::remember(const std::string& collector, const catalog::TrustRoot& trust,
                                 const catalog::SignedLog& log, const catalog::Head& head) const {
  if (log.statements.empty() || !is_plain_id(head.catalog_id)) return ok();
  ASSAY_TRY(remember_file(log, head));
  return write_file_atomically(collector_file(collector, trust), head.catalog_id, 0600);
}

}  // namespace assay::cli
