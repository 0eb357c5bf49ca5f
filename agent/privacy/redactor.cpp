// SPDX-License-Identifier: Apache-2.0
#include "agent/privacy/redactor.h"

#include <re2/re2.h>

#include <algorithm>

#include "common/base/encoding.h"

namespace assay::agent {
namespace {

constexpr std::int64_t kMaxProgramBytes = 1 << 20;  // of one compiled expression
constexpr std::size_t kMaxRuleBytes = 1000;

re2::RE2::Options options() {
  re2::RE2::Options options;
  options.set_encoding(re2::RE2::Options::EncodingLatin1);  // arguments are bytes, not text
  options.set_log_errors(false);
  options.set_max_mem(kMaxProgramBytes);
  return options;
}

/// One alternative of a name: each "-" of the word may be "-", "_" or nothing.
std::string expression_of(const std::string& word) {
  std::string expression;
  for (const char c : word)
    expression += c == '-' ? std::string("[-_]?") : re2::RE2::QuoteMeta(std::string(1, c));
  return expression;
}

/// A name with a secret's word in it.
std::string secret_name(const std::vector<std::string>& words) {
  std::string any;
  for (const std::string& word : words)
    any += (any.empty() ? "" : "|") + expression_of(word);
  return "[\\w.-]*(?:" + any + ")[\\w.-]*";
}

Error bad_rule(const std::string& key, const std::string& rule, const std::string& why) {
  return Error{ErrorCode::kInvalidArgument,
               key + ": \"" + escape_untrusted(rule, 100) + "\": " + why};
}

/// Of each match of `expression` in `text` its first group goes, or all of it; none of those whose
/// part before it is matched by `except`.
void replace_all(const re2::RE2& expression, std::string& text, const re2::RE2* except = nullptr) {
  const bool has_group = expression.NumberOfCapturingGroups() > 0;
  std::string out;
  const re2::StringPiece all(text);
  std::size_t from = 0, kept = 0;
  re2::StringPiece found[2];
  while (from <= all.size() &&
         expression.Match(all, from, all.size(), re2::RE2::UNANCHORED, found, has_group ? 2 : 1)) {
    const bool took_part = has_group && found[1].data() != nullptr;
    const re2::StringPiece& secret = took_part ? found[1] : found[0];
    const re2::StringPiece name(found[0].data(),
                                static_cast<std::size_t>(secret.data() - found[0].data()));
    if (!secret.empty() && !(except && re2::RE2::PartialMatch(name, *except))) {
      const auto at = static_cast<std::size_t>(secret.data() - all.data());
      out.append(text, kept, at - kept);
      out += kRedacted;
      kept = at + secret.size();
    }
    const auto end = static_cast<std::size_t>(found[0].data() - all.data()) + found[0].size();
    from = std::max(end, from + (found[0].empty() ? 1 : 0));
  }
  if (kept == 0) return;
  out.append(text, kept, std::string::npos);
  text = std::move(out);
}

}  // namespace

struct Redactor::Expressions {
  explicit Expressions(const std::string& name)
      : assignment("(?is)^-*" + name + "[=:](.+)$", options()),
        option("(?i)^--?" + name + "$", options()),
        is_path("(?i)(?:file|path|dir|folder)[\"']?\\s*[=:]?\\s*$", options()),
        inside("(?i)(?:\\b" + name + "[\"']?\\s*[=:]\\s*|--?" + name +
                   "\\s+)((?:(?:bearer|basic|token)\\s+)?(?:\"[^\"]*\"|'[^']*'|[^\\s\"';]+))",
               options()),
        address("(?i)\\b[a-z][a-z0-9+.-]*://[^/\\s:@]*:([^/\\s@]+)@", options()) {}

  re2::RE2 assignment;  ///< --password=SECRET, TOKEN=SECRET, as the whole argument
  re2::RE2 option;      ///< --password, before an argument of its own
  re2::RE2 is_path;     ///< --password-file is no secret
  re2::RE2 inside;      ///< the same in the middle of an argument: sh -c "…"
  re2::RE2 address;     ///< scheme://user:SECRET@host
  bool has_words = false;
  std::vector<std::unique_ptr<re2::RE2>> patterns;

  bool is_secret_option(const std::string& argument) const {
    return re2::RE2::PartialMatch(argument, option) && !re2::RE2::PartialMatch(argument, is_path);
  }

  void redact_one(std::string& argument) const {
    if (has_words) {
      replace_all(assignment, argument, &is_path);
      replace_all(inside, argument, &is_path);
    }
    replace_all(address, argument);
    for (const auto& pattern : patterns)
      replace_all(*pattern, argument);
  }
};

Redactor::Redactor(std::unique_ptr<Expressions> expressions)
    : expressions_(std::move(expressions)) {}
Redactor::~Redactor() = default;

Result<std::shared_ptr<const Redactor>> Redactor::create(const RedactionRules& rules) {
  if (rules.words.size() > kMaxRedactWords || rules.patterns.size() > kMaxRedactPatterns)
    return Error{ErrorCode::kInvalidArgument,
                 "privacy.redact_words, privacy.redact_patterns: at most 64 of each"};
  for (const std::string& word : rules.words)
    if (word.empty() || word.size() > kMaxRuleBytes)
      return bad_rule("privacy.redact_words", word, "a word has 1 to 1000 bytes");
  auto expressions = std::make_unique<Expressions>(secret_name(rules.words));
  expressions->has_words = !rules.words.empty();
  if (!expressions->inside.ok() || !expressions->assignment.ok() || !expressions->option.ok())
    return Error{ErrorCode::kInvalidArgument, "privacy.redact_words: too long together"};
  for (const std::string& pattern : rules.patterns) {
    if (pattern.empty() || pattern.size() > kMaxRuleBytes)
      return bad_rule("privacy.redact_patterns", pattern, "a pattern has 1 to 1000 bytes");
    auto compiled = std::make_unique<re2::RE2>(pattern, options());
    if (!compiled->ok()) return bad_rule("privacy.redact_patterns", pattern, compiled->error());
    expressions->patterns.push_back(std::move(compiled));
  }
  return std::shared_ptr<const Redactor>(new Redactor(std::move(expressions)));
}

void Redactor::redact(std::vector<std::string>& arguments) const {
  bool is_value = false;  // of the option before
  for (std::string& argument : arguments) {
    const bool is_option = expressions_->has_words && expressions_->is_secret_option(argument);
    if (is_value && !is_option)
      argument = kRedacted;
    else
      expressions_->redact_one(argument);
    is_value = is_option;
  }
}

}  // namespace assay::agent
