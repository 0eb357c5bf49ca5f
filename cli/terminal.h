// SPDX-License-Identifier: Apache-2.0
// The person in front of the program: messages and questions go to stderr, never to stdout.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "common/base/result.h"

namespace assay::cli {

/// Not thread-safe.
class Terminal {
 public:
  Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  ~Terminal();

  /// Colour on stdout: it is a terminal, NO_COLOR is empty and TERM is not "dumb".
  bool has_colour() const { return has_colour_; }
  /// Whether a question can be asked: stdin and stderr are terminals.
  bool can_ask() const { return can_ask_; }

  /// Lines for the person, on stderr. Control characters but line feeds are escaped.
  void note(std::string_view text);
  /// Replaces the progress line on stderr, at most ten times a second, but at once when another
  /// `step` of the work begins. Nothing when stderr is no terminal, when TERM is "dumb", and when
  /// NO_COLOR or CI is set: a log is no place for it.
  void progress(std::string_view text, std::uint64_t step = 0);
  /// Takes the progress line away.
  void end_progress();
  /// Asks `question` and waits for a line: true only for "y" or "yes".
  /// Errors: kInvalidArgument without a terminal: the message says to use --yes.
  Result<bool> confirm(std::string_view question);
  /// What is asked for, and the flag that gives it where there is no terminal.
  struct Secret {
    std::string_view what = "passphrase";
    std::string_view flag = "--passphrase-file";
  };
  /// Asks for a line that is not shown. Errors: kInvalidArgument without a terminal: the message
  /// says which flag to use; kUnavailable (its input ended).
  Result<std::string> ask_secret(std::string_view question, const Secret& secret);
  Result<std::string> ask_secret(std::string_view question) {
    return ask_secret(question, Secret{});
  }

 private:
  bool has_colour_ = false;
  bool can_ask_ = false;
  bool can_progress_ = false;
  bool is_progress_shown_ = false;
  std::chrono::steady_clock::time_point last_progress_{};
  std::uint64_t step_ = 0;  // that is shown
};

}  // namespace assay::cli
