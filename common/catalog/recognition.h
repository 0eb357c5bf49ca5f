// SPDX-License-Identifier: Apache-2.0
// Who knows a run, and who else claims to be it: the same value in agent, collector and command
// line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/catalog/judge.h"

namespace assay::catalog {

enum class RecognitionState {
  kUntold,   ///< nothing was said: the names' own record tells, or nobody has looked yet
  kKnown,    ///< a runtime's record is about this very run, or it started inside one that is known
  kUnknown,  ///< looked at twice: no runtime of the node has a record of it
  kUnclear,  ///< it could not be looked at
};
std::string_view to_string(RecognitionState state);
/// Errors: kInvalidArgument.
Result<RecognitionState> parse_recognition_state(std::string_view text);

/// What an agent found out about a run's identity. Texts are one line each, for people.
struct Recognition {
  RecognitionState state = RecognitionState::kUntold;
  std::string reason;  ///< which record, or who started it, or why nobody could look
  /// Who else has the identity that the run goes by; each "SUBJECT: REASON".
  std::vector<std::string> conflicts;
  bool operator==(const Recognition&) const = default;

  /// Why it is the finding `rogue`; "" when it is none.
  std::string rogue_reason() const {
    return state == RecognitionState::kUnknown ? reason : std::string();
  }
};

inline constexpr std::size_t kMaxIdentityConflicts = 8;
inline constexpr std::size_t kMaxRecognitionBytes = 1024;  ///< of the reason, and of each conflict

/// Who is behind a start, by the host's own accounts: of the first process or of the nearest of its
/// ancestors that still lived. Needs no trust in the container: the kernel keeps it.
struct Login {
  static constexpr std::uint32_t kNobody = 0xFFFFFFFF;  ///< as audit has it: nobody logged in
  std::uint32_t session = 0;              ///< pid of its leader on the host, 0 = not known
  std::string terminal;                   ///< pts/3, tty1; "" = none
  std::uint32_t login_uid = kNobody;      ///< who logged in (audit), whatever it became since
  std::uint32_t login_session = kNobody;  ///< audit's number of that login
  std::uint32_t starter_uid = kNobody;    ///< of the nearest ancestor outside the container
  std::string told_by;                    ///< the process that it was read of; "" = none was left
  bool operator==(const Login&) const = default;
};

/// "session 812 on pts/3, logged in as uid 1000": what is known of it, "" when nothing is.
std::string login_text(const Login& login);

/// The findings `rogue` and `identity-conflict` of a run. `rogue`: rogue_reason(), "" for none.
/// Those of one subject become one finding. Pure.
std::vector<FindingCause> causes_of_recognition(const std::string& rogue,
                                                const std::vector<std::string>& conflicts);

}  // namespace assay::catalog
