// SPDX-License-Identifier: Apache-2.0
#include "common/config/records.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>

#include "common/base/encoding.h"
#include "common/base/file.h"
#include "common/config/key.h"

namespace assay::config {
namespace {

constexpr std::size_t kMaxFileBytes = 1U << 20;
constexpr std::size_t kMaxMapEntries = 64;

class Reader {
 public:
  Reader(const std::string& file, const std::string& key, const std::vector<RecordField>& fields,
         std::size_t max_records)
      : file_(file), key_(key), fields_(fields), max_records_(max_records) {}

  Records read(const YAML::Node& root) {
    if (!root.IsMap()) return std::move(out_);
    const YAML::Node list = find(root);
    if (!list.IsDefined() || list.IsNull()) return std::move(out_);
    if (!list.IsSequence()) {
      problem(list.Mark(), key_ + ": a list is wanted: begin each entry with \"- \"");
      return std::move(out_);
    }
    for (const auto& item : list) {
      if (out_.records.size() >= max_records_) {
        problem(item.Mark(), key_ + ": more than " + std::to_string(max_records_) + " entries");
        break;
      }
      read_record(item);
    }
    return std::move(out_);
  }

 private:
  std::string place(const YAML::Mark& mark) const {
    if (mark.is_null()) return file_;
    return file_ + ":" + std::to_string(mark.line + 1) + ":" + std::to_string(mark.column + 1);
  }
  void problem(const YAML::Mark& mark, const std::string& text) {
    out_.problems.push_back(place(mark) + ": " + text);
  }

  /// The last of several would win with a plain look-up: that is told.
  YAML::Node find(const YAML::Node& root) {
    YAML::Node found(YAML::NodeType::Undefined);
    for (const auto& pair : root) {
      if (!pair.first.IsScalar() || pair.first.Scalar() != key_) continue;
      if (found.IsDefined()) problem(pair.first.Mark(), key_ + ": given twice");
      found.reset(pair.second);
    }
    return found;
  }

  void read_record(const YAML::Node& item) {
    if (!item.IsMap())
      return problem(item.Mark(), key_ + ": an entry is a map of " + names_of_fields());
    Record record;
    record.place = place(item.Mark());
    for (const auto& pair : item)
      read_field(pair.first, pair.second, record);
    for (const RecordField& field : fields_)
      if (field.is_required && !record.places.contains(field.name))
        problem(item.Mark(), key_ + ": " + field.name + " is missing");
    out_.records.push_back(std::move(record));
  }

  void read_field(const YAML::Node& name, const YAML::Node& value, Record& record) {
    if (!name.IsScalar()) return problem(name.Mark(), key_ + ": a key must be plain text");
    const auto field = std::ranges::find(fields_, name.Scalar(), &RecordField::name);
    if (field == fields_.end()) return unknown(name);
    const std::string what = key_ + "." + field->name;
    if (!record.places.emplace(field->name, place(value.Mark())).second)
      return problem(name.Mark(), what + ": given twice");
    if (field->is_map) return read_map(what, value, record.maps[field->name]);
    if (!value.IsScalar() || value.Scalar().empty())
      return problem(value.IsNull() ? name.Mark() : value.Mark(), what + ": one text is wanted");
    record.texts.emplace(field->name, value.Scalar());
  }

  void read_map(const std::string& what, const YAML::Node& value,
                std::map<std::string, std::string>& out) {
    if (!value.IsMap() || value.size() > kMaxMapEntries)
      return problem(value.Mark(), what + ": a map of texts is wanted, of at most 64");
    for (const auto& pair : value) {
      if (!pair.first.IsScalar() || !pair.second.IsScalar())
        return problem(pair.first.Mark(), what + ": key and value must be plain text");
      if (!out.emplace(pair.first.Scalar(), pair.second.Scalar()).second)
        problem(pair.first.Mark(), what + ": a key is given twice");
    }
  }

  void unknown(const YAML::Node& name) {
    std::vector<std::string> known;
    for (const RecordField& field : fields_)
      known.push_back(field.name);
    const std::string near = closest(name.Scalar(), known);
    problem(name.Mark(), key_ + ": unknown key " + escape_untrusted(name.Scalar(), 120) +
                             (near.empty() ? "; it takes " + names_of_fields()
                                           : "; did you mean " + near + "?"));
  }

  std::string names_of_fields() const {
    std::string text;
    for (const RecordField& field : fields_)
      text += (text.empty() ? "" : ", ") + field.name;
    return text;
  }

  const std::string& file_;
  const std::string& key_;
  const std::vector<RecordField>& fields_;
  const std::size_t max_records_;
  Records out_;
};

}  // namespace

Result<Records> read_records(const std::string& file, const std::string& key,
                             const std::vector<RecordField>& fields, std::size_t max_records) {
  ASSAY_ASSIGN(const std::string text, read_file(file, kMaxFileBytes));
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(text);
    if (documents.size() != 1) return Records{};
    return Reader(file, key, fields, max_records).read(documents[0]);
  } catch (const YAML::Exception&) {
    return Records{};
  }
}

}  // namespace assay::config
