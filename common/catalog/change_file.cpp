// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/change_file.h"

#include "common/base/encoding.h"
#include "common/catalog/json_reader.h"

namespace assay::catalog {
namespace {

using nlohmann::json;

constexpr std::string_view kFormat = "assay-change";
constexpr std::uint64_t kVersion = 1;
constexpr std::size_t kMaxFormatBytes = 64;
constexpr std::size_t kMaxEnvelopeBytes = 16U << 20;

std::vector<std::string> read_texts(JsonReader& reader, const char* name, std::size_t max_items) {
  std::vector<std::string> texts;
  for (const json& item : reader.array(name, false, max_items)) {
    if (!item.is_string()) {
      reader.fail(name, "holds something but text");
      return {};
    }
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

}  // namespace

std::string ChangeFile::to_json() const {
  json sets = json::array();
  for (const std::string& set : file_sets)
    sets.push_back(to_base64(set));
  const json object = {
      {"format", kFormat},   {"version", kVersion},   {"statement", change.statement},
      {"head", change.head}, {"roots", change.roots}, {"file_sets", std::move(sets)}};
  return object.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<ChangeFile> ChangeFile::from_json(std::string_view text) {
  if (text.size() > kMaxChangeFileBytes)
    return Error{ErrorCode::kLimitExceeded, "the file is larger than 64 MiB"};
  const json object = json::parse(
      text.begin(), text.end(),
      [](int depth, json::parse_event_t, const json&) { return depth < 4; },
      /*allow_exceptions=*/false);
  std::optional<Error> fault;
  JsonReader reader(object, "change file", fault);
  if (reader.text("format", true, kMaxFormatBytes) != kFormat)
    reader.fail("format", "is not " + std::string(kFormat));
  if (reader.number("version", true) != kVersion)
    reader.fail("version", "is another one", ErrorCode::kUnsupported);
  ChangeFile file;
  file.change.statement = reader.text("statement", false, kMaxEnvelopeBytes);
  file.change.head = reader.text("head", true, kMaxEnvelopeBytes);
  file.change.roots = read_texts(reader, "roots", kMaxRoots);
  for (const std::string& encoded : read_texts(reader, "file_sets", kMaxStacks)) {
    auto set = from_base64(encoded);
    if (!set) reader.fail("file_sets", "holds something but base64");
    if (set) file.file_sets.push_back(std::move(*set));
  }
  reader.expect_no_more();
  if (fault) return *std::move(fault);
  return file;
}

}  // namespace assay::catalog
