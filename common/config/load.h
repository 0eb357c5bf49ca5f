// SPDX-License-Identifier: Apache-2.0
// From flags, environment and file to one value per key, with every error at once.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/config/key.h"

namespace assay::config {

/// Raw text of the flags that were given, by key name; no text means not given.
using FlagValues = std::map<std::string, std::vector<std::string>>;

/// Where values may come from: flag before environment before file before default.
struct Sources {
  FlagValues flags = {};
  std::map<std::string, std::string> environment =
      {};                                 ///< whole names; others than ours are left alone
  std::string file = {};                  ///< YAML; "" for none
  bool is_file_optional = false;          ///< it is the default place: it may be absent
  bool allows_unknown_variables = false;  ///< the prefix is shared with other programs
  /// Keys of the file that hold lists of records: read with read_records(), not by the table.
  std::vector<std::string> record_keys = {};
};

/// This process's environment variables that begin with `prefix`.
std::map<std::string, std::string> environment_with(std::string_view prefix);

/// What a key came to hold, and why.
struct EffectiveValue {
  Value value;
  std::string origin;  ///< "flag --x", "variable ASSAY_AGENT_X", "agent.yaml:3:12" or "default"
};

/// One effective value per key, in the order of `keys`. Reads the file (at most 1 MiB).
/// Errors: kInvalidArgument; the message has one line per error, each beginning with its place.
Result<std::vector<EffectiveValue>> resolve(const std::vector<Key>& keys,
                                            std::string_view environment_prefix,
                                            const Sources& sources);

/// `problems` as one error: kInvalidArgument, one line each.
Error to_error(const std::vector<std::string>& problems);
/// The message of such an error in one line, for a log.
std::string in_one_line(const Error& error);
/// "a, b"; "nothing" when there is none.
std::string join(const std::vector<std::string>& keys);

/// The effective configuration as YAML that can be read back, each value's origin as a comment.
std::string effective_yaml(const std::vector<Key>& keys, const std::vector<EffectiveValue>& values);
/// All keys as a Markdown table, for docs/configuration.md; with a column about reloading when any
/// key is live, and without flags and variables when there is no prefix: keys of a file alone.
std::string reference_markdown(const std::vector<Key>& keys, std::string_view environment_prefix);

}  // namespace assay::config
