// SPDX-License-Identifier: Apache-2.0
// Replacing the authority in a folder, in three steps that a running collector takes over: at each
// of them every certificate that is in use is still believed by everybody.
//
// What holds is in two files: ca.pem, all authorities that are trusted, and ca-key.pem, the key of
// the one among them that issues. So each step happens with one rename, and a step that was broken
// off is begun again; what an activate left undone retire does first.
// Other authorities in ca.pem, which a person put there, are trusted too and left alone.
#pragma once

#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/result.h"

namespace assay::collector {

enum class RotationStep {
  kPrepare,   ///< a second authority is made, and trusted
  kActivate,  ///< it issues from now on, the server's certificate first
  kRetire,    ///< the first one is trusted no longer
};

/// What a folder's authority is doing: told by the keys beside it, not by how many are trusted.
enum class RotationPhase { kSingle, kPrepared, kActivated };
std::string_view name_of(RotationPhase phase);

struct AuthorityState {
  RotationPhase phase = RotationPhase::kSingle;
  struct Certificate {
    std::string digest;  ///< SHA-256, hex digits
    std::string name;
    std::int64_t expires_ns = 0;
    bool is_issuing = false;
  };
  std::vector<Certificate> certificates;
};

/// Errors: those of load_authority().
Result<AuthorityState> read_authority_state(const std::string& dir);

/// Errors: those of load_authority(); kInvalidArgument (not the step that comes next, with the one
/// that does).
Result<void> rotate_authority(const std::string& dir, RotationStep step, WallTime now);

/// A new certificate for the server's own key, with the same names. False: only if it is due, and
/// it is not. Errors: those of load_authority(); kUntrusted (the certificate comes from elsewhere).
enum class Renewal { kNow, kIfDue };
Result<bool> renew_server(const std::string& dir, Renewal renewal, WallTime now);

}  // namespace assay::collector
