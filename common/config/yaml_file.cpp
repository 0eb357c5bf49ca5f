// SPDX-License-Identifier: Apache-2.0
#include "common/config/yaml_file.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>

#include "common/base/encoding.h"
#include "common/config/key.h"

namespace assay::config {
namespace {

// Aliases make a small file into a huge tree; no real configuration comes near these.
constexpr std::size_t kMaxNodes = 10'000;
constexpr std::size_t kMaxDepth = 16;

class Reader {
 public:
  Reader(const std::string& name, const std::vector<std::string>& known,
         const std::vector<std::string>& passed_over, YamlFile& out)
      : name_(name), known_(known), passed_over_(passed_over), out_(out) {}

  void read_root(const YAML::Node& root) {
    if (root.IsNull()) return;
    if (root.IsMap())
      read_map(root, "", 0);
    else
      problem(root.Mark(), "a configuration file is a map of keys");
  }

  std::string place(const YAML::Mark& mark) const {
    if (mark.is_null()) return name_;
    return name_ + ":" + std::to_string(mark.line + 1) + ":" + std::to_string(mark.column + 1);
  }

  void problem(const YAML::Mark& mark, const std::string& text) {
    out_.problems.push_back(place(mark) + ": " + text);
  }

 private:
  bool is_within_limits(const YAML::Node& node, std::size_t depth) {
    if (++nodes_ <= kMaxNodes && depth <= kMaxDepth) return true;
    if (!has_reported_limit_) problem(node.Mark(), "too many or too deeply nested entries");
    has_reported_limit_ = true;
    return false;
  }

  void read_map(const YAML::Node& map, const std::string& path, std::size_t depth) {
    for (const auto& pair : map) {
      if (!is_within_limits(pair.first, depth)) return;
      if (!pair.first.IsScalar()) {
        problem(pair.first.Mark(), "a key must be plain text");
        continue;
      }
      const std::string key = path.empty() ? pair.first.Scalar() : path + "." + pair.first.Scalar();
      if (std::find(passed_over_.begin(), passed_over_.end(), key) != passed_over_.end()) continue;
      if (std::find(known_.begin(), known_.end(), key) != known_.end())
        read_leaf(key, pair.first.Mark(), pair.second);
      else if (pair.second.IsMap())
        read_map(pair.second, key, depth + 1);
      else
        read_unknown(key, pair.first.Mark(), pair.second);
    }
  }

  void read_leaf(const std::string& key, const YAML::Mark& mark, const YAML::Node& value) {
    const auto [first, is_new] = places_.emplace(key, place(mark));
    if (!is_new) return problem(mark, key + ": given twice, first at " + first->second);
    YamlEntry entry{key, {}, value.IsSequence(), place(value.Mark())};
    if (value.IsScalar()) {
      entry.items.push_back(value.Scalar());
    } else if (value.IsSequence()) {
      for (const auto& item : value) {
        if (!is_within_limits(item, 0)) return;
        if (!item.IsScalar()) return problem(item.Mark(), key + ": an item must be plain text");
        entry.items.push_back(item.Scalar());
      }
    } else if (value.IsMap()) {
      return problem(value.Mark(), key + ": a value is wanted, not a section");
    } else {
      return problem(mark, key + ": has no value; leave the line out for the default");
    }
    out_.entries.push_back(std::move(entry));
  }

  void read_unknown(const std::string& key, const YAML::Mark& mark, const YAML::Node& value) {
    std::string keys;
    for (const std::string& candidate : known_)
      if (candidate.starts_with(key + "."))
        keys += (keys.empty() ? "" : ", ") + candidate.substr(key.size() + 1);
    if (!keys.empty()) {
      if (!value.IsNull()) problem(mark, key + ": is a section with " + keys);
      return;
    }
    const std::string near = closest(key, known_);
    problem(mark, "unknown key " + escape_untrusted(key, 120) +
                      (near.empty() ? "" : "; did you mean " + near + "?"));
  }

  const std::string& name_;
  const std::vector<std::string>& known_;
  const std::vector<std::string>& passed_over_;
  YamlFile& out_;
  std::map<std::string, std::string> places_;
  std::size_t nodes_ = 0;
  bool has_reported_limit_ = false;
};

}  // namespace

YamlFile read_yaml(const std::string& text, const std::string& name,
                   const std::vector<std::string>& known,
                   const std::vector<std::string>& passed_over) {
  YamlFile file;
  Reader reader(name, known, passed_over, file);
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(text);
    if (documents.size() > 1)
      reader.problem(documents[1].Mark(), "one document is wanted, this file has several");
    else if (!documents.empty())
      reader.read_root(documents[0]);
  } catch (const YAML::Exception& error) {
    reader.problem(error.mark, "not YAML: " + escape_untrusted(error.msg, 200));
  }
  return file;
}

}  // namespace assay::config
