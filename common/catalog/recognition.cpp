// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/recognition.h"

#include "common/catalog/names.h"

namespace assay::catalog {
namespace {

constexpr Names<RecognitionState, 4> kStates{{{RecognitionState::kUntold, "untold"},
                                              {RecognitionState::kKnown, "known"},
                                              {RecognitionState::kUnknown, "unknown"},
                                              {RecognitionState::kUnclear, "unclear"}}};

}  // namespace

std::string_view to_string(RecognitionState state) {
  return name_of(kStates, state);
}

Result<RecognitionState> parse_recognition_state(std::string_view text) {
  return value_of(kStates, text, "recognition");
}

std::string login_text(const Login& login) {
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (login.starter_uid != Login::kNobody) add("uid " + std::to_string(login.starter_uid));
  if (login.session != 0) add("session " + std::to_string(login.session));
  if (!login.told_by.empty())
    add(login.terminal.empty() ? "no terminal" : "terminal " + login.terminal);
  if (login.login_uid != Login::kNobody)
    add("logged in as uid " + std::to_string(login.login_uid) +
        (login.login_session == Login::kNobody
             ? ""
             : " (login " + std::to_string(login.login_session) + ")"));
  return text;
}

}  // namespace assay::catalog
