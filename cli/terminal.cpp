// SPDX-License-Identifier: Apache-2.0
#include "cli/terminal.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

#include "common/base/encoding.h"

namespace assay::cli {
namespace {

constexpr std::chrono::milliseconds kProgressInterval{100};
constexpr std::size_t kMaxLineBytes = 8192;
constexpr const char* kClearLine = "\r\x1b[K";

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

bool is_dumb() {
  const char* term = std::getenv("TERM");
  return term == nullptr || *term == '\0' || std::string_view(term) == "dumb";
}

}  // namespace

Terminal::Terminal()
    : has_colour_(isatty(STDOUT_FILENO) == 1 && !is_set("NO_COLOR") && !is_dumb()),
      can_ask_(isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1),
      can_progress_(isatty(STDERR_FILENO) == 1 && !is_dumb()) {}

Terminal::~Terminal() {
  end_progress();
}

void Terminal::note(std::string_view text) {
  end_progress();
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::cerr << escape_untrusted(text.substr(0, end), kMaxLineBytes) << '\n';
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

void Terminal::progress(std::string_view text) {
  const auto now = std::chrono::steady_clock::now();
  if (!can_progress_ || now - last_progress_ < kProgressInterval) return;
  last_progress_ = now;
  is_progress_shown_ = true;
  std::cerr << kClearLine << escape_untrusted(text, 120) << std::flush;
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

}  // namespace assay::cli
