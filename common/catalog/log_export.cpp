// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/log_export.h"

#include <memory>
#include <nlohmann/json.hpp>

#include "common/base/encoding.h"
#include "common/base/sha256.h"
#include "common/catalog/json_reader.h"

namespace assay::catalog {
namespace {

using nlohmann::json;

constexpr std::string_view kFormat = "assay-catalog-export";
constexpr std::uint64_t kVersion = 1;
constexpr std::size_t kMaxFormatBytes = 64;
constexpr std::size_t kMaxEnvelopeBytes = 16U << 20;
constexpr int kMaxDepth = 4;

Error is_no_export(std::string_view why, ErrorCode code = ErrorCode::kCorrupt) {
  return Error{code, "this is no exported catalog: " + std::string(why)};
}

/// Our JSON is flat; a deep one is cut off before it is built.
json parse(std::string_view bytes) {
  return json::parse(
      bytes.begin(), bytes.end(),
      [](int depth, json::parse_event_t, const json&) { return depth <= kMaxDepth; },
      /*allow_exceptions=*/false);
}

Result<void> take_file_sets(const json& list, std::map<FileSetDigest, FileSet>& sets) {
  for (const json& item : list) {
    if (!item.is_string()) return is_no_export("a file set is no text");
    ASSAY_ASSIGN(const std::string encoded, from_base64(item.get_ref<const std::string&>()));
    ASSAY_ASSIGN(FileSet set, FileSet::decode(encoded));
    sets.emplace(FileSetDigest{sha256(encoded).bytes}, std::move(set));
  }
  return {};
}

Result<LogExport> read(const json& object) {
  std::optional<Error> fault;
  JsonReader reader(object, "export", fault);
  if (reader.text("format", true, kMaxFormatBytes) != kFormat)
    return is_no_export("its format is not " + std::string(kFormat));
  if (reader.number("version", true) != kVersion)
    return is_no_export("its version is another one", ErrorCode::kUnsupported);
  LogExport exported;
  for (const json& item : reader.array("statements", true, kMaxStatements)) {
    if (!item.is_string()) return is_no_export("a statement is no text");
    exported.log.statements.push_back(item.get<std::string>());
  }
  exported.log.head = reader.text("head", false, kMaxEnvelopeBytes);
  for (const json& item : reader.array("roots", false, kMaxRoots)) {
    if (!item.is_string()) return is_no_export("a root is no text");
    exported.log.roots.push_back(item.get<std::string>());
  }
  const json& sets = reader.array("file_sets", true, kMaxStatements * kMaxStacks);
  reader.expect_no_more();
  if (fault) return *std::move(fault);
  ASSAY_TRY(take_file_sets(sets, exported.file_sets));
  return exported;
}

}  // namespace

std::string encode_export(const LogExport& exported) {
  json sets = json::array();
  for (const auto& [digest, set] : exported.file_sets)
    sets.push_back(to_base64(set.encode()));
  json object = {{"format", kFormat},
                 {"version", kVersion},
                 {"statements", exported.log.statements},
                 {"head", exported.log.head},
                 {"file_sets", std::move(sets)}};
  if (!exported.log.roots.empty()) object["roots"] = exported.log.roots;
  return object.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<LogExport> decode_export(std::string_view bytes) {
  if (bytes.size() > kMaxExportBytes)
    return is_no_export("it is over " + std::to_string(kMaxExportBytes) + " bytes",
                        ErrorCode::kLimitExceeded);
  const json object = parse(bytes);
  if (!object.is_object()) return is_no_export("it is no JSON object");
  return read(object);
}

FileSetIndex index_of(const Catalog& catalog, const std::map<FileSetDigest, FileSet>& file_sets) {
  std::vector<BaseFileSet> sets;
  for (const auto& [id, base] : catalog.bases())
    for (const BaseStack& stack : base.stacks) {
      if (!stack.file_set) continue;
      const auto found = file_sets.find(stack.file_set->digest);
      if (found != file_sets.end())
        sets.push_back({id, stack.platform, std::make_shared<const FileSet>(found->second)});
    }
  return FileSetIndex(std::move(sets));
}

}  // namespace assay::catalog
