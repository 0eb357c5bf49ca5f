// SPDX-License-Identifier: Apache-2.0
#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

#include "cli/output/document.h"
#include "cli/secret_line.h"
#include "common/base/encoding.h"
#include "common/output/table.h"

namespace assay::cli {
namespace {

constexpr std::chrono::milliseconds kProgressInterval{100};
constexpr std::size_t kMaxLineBytes = 8192;
constexpr std::size_t kDefaultColumns = 80;
constexpr const char* kClearLine = "\r\x1b[K";

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

bool is_dumb() {
  const char* term = std::getenv("TERM");
  return term == nullptr || *term == '\0' || std::string_view(term) == "dumb";
}

/// Of the terminal on stderr, which may be another size each time.
std::size_t columns() {
  struct winsize size = {};
  const bool is_known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return is_known ? size.ws_col : kDefaultColumns;
}

/// As much of `text` as `width` columns show: a line that wraps could not be taken away again.
std::string cut(std::string text, std::size_t width) {
  while (!text.empty() && display_width(text) > width) {
    while (text.size() > 1 && (static_cast<unsigned char>(text.back()) & 0xC0U) == 0x80U)
      text.pop_back();
    text.pop_back();
  }
  return text;
}

}  // namespace

Terminal::Terminal()
    : has_colour_(isatty(STDOUT_FILENO) == 1 && !is_set("NO_COLOR") && !is_dumb()),
      can_ask_(isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1),
      can_progress_(isatty(STDERR_FILENO) == 1 && !is_dumb() && !is_set("NO_COLOR") &&
                    !is_set("CI")) {}

Terminal::~Terminal() {
  end_progress();
}

/// Somebody may have given a token where none belongs: no message repeats it.
static std::string without_tokens(std::string_view text) {
  constexpr std::string_view kPrefix = "assay_";
  constexpr std::size_t kPublic = kPrefix.size() + 16;  // with the id
  std::string shown(text);
  for (auto at = shown.find(kPrefix); at != std::string::npos; at = shown.find(kPrefix, at + 1)) {
    const auto end =
        std::min(shown.find_first_not_of("0123456789abcdef_", at + kPrefix.size()), shown.size());
    if (end - at > kPublic) shown.replace(at + kPublic, end - at - kPublic, "_(hidden)");
  }
  return shown;
}

void Terminal::note(std::string_view text) {
  end_progress();
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::cerr << escape_untrusted(without_tokens(text.substr(0, end)), kMaxLineBytes) << '\n';
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

void Terminal::progress(std::string_view text, std::uint64_t step) {
  const auto now = std::chrono::steady_clock::now();
  const bool is_due = now - last_progress_ >= kProgressInterval || step != step_;
  if (!can_progress_ || !is_due) return;
  last_progress_ = now;
  step_ = step;
  is_progress_shown_ = true;
  // The new line goes over the old one in one write, then what the old one had more is cleared: a
  // line that is cleared first flickers.
  std::string line = "\r" + cut(escape_untrusted(text, kMaxLineBytes), columns() - 1);
  line += "\x1b[K";
  std::cerr << line << std::flush;
}

void Terminal::end_progress() {
  if (!is_progress_shown_) return;
  is_progress_shown_ = false;
  std::cerr << kClearLine << std::flush;
}

Result<bool> Terminal::confirm(std::string_view question) {
  if (!can_ask_)
    return Error{ErrorCode::kInvalidArgument,
                 "this asks for confirmation and there is no terminal; use --yes to go ahead"};
  end_progress();
  std::cerr << escape_untrusted(question) << " [y/N] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

Result<std::string> Terminal::ask_secret(std::string_view question, const Secret& secret) {
  const std::string what(secret.what);
  if (!can_ask_)
    return Error{
        ErrorCode::kInvalidArgument,
        "this asks for a " + what + " and there is no terminal; use " + std::string(secret.flag)};
  end_progress();
  auto line = read_secret_line([&] { std::cerr << escape_untrusted(question) << std::flush; });
  if (!line) return std::move(line.error()).with_context("no " + what);
  return line;
}

}  // namespace assay::cli
