// SPDX-License-Identifier: Apache-2.0
// What is left out of the arguments of programs before they are written or leave the node.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"

namespace assay::agent {

inline constexpr std::size_t kMaxRedactWords = 64;
inline constexpr std::size_t kMaxRedactPatterns = 64;
inline constexpr const char* kRedacted = "***";

struct RedactionRules {
  /// Words in the name of an option, a variable or a header whose value is a secret, without
  /// regard to case; "-" stands for "-", "_" or nothing.
  std::vector<std::string> words;
  /// RE2: of each match in one argument the first group goes, or all of it when there is none or it
  /// took no part.
  std::vector<std::string> patterns;
};

/// Replaces secrets in arguments by "***". What it looks for is a guess by names: it makes secrets
/// on command lines rarer in the records, and cannot promise that none is left. Runs in time linear
/// in the arguments (RE2). Immutable; thread-safe.
class Redactor {
 public:
  /// Errors: kInvalidArgument (too many rules, no regular expression), naming the rule.
  static Result<std::shared_ptr<const Redactor>> create(const RedactionRules& rules);
  ~Redactor();

  /// In place. After redaction as many arguments are there as before.
  void redact(std::vector<std::string>& arguments) const;

 private:
  struct Expressions;
  explicit Redactor(std::unique_ptr<Expressions> expressions);
  const std::unique_ptr<Expressions> expressions_;
};

}  // namespace assay::agent
