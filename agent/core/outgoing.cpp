// SPDX-License-Identifier: Apache-2.0
#include "agent/core/outgoing.h"

namespace assay::agent {

std::string_view to_string(UplinkState state) {
  switch (state) {
    case UplinkState::kDisabled:
      return "disabled";
    case UplinkState::kConnecting:
      return "connecting";
    case UplinkState::kConnected:
      return "connected";
  }
  return "unknown";
}

std::string_view to_string(ProbeState state) {
  switch (state) {
    case ProbeState::kClosed:
      return "closed";
    case ProbeState::kAttached:
      return "attached";
    case ProbeState::kSeen:
      return "seen";
    case ProbeState::kFailed:
      return "failed";
  }
  return "unknown";
}

bool is_attached(ProbeState state) {
  return state == ProbeState::kAttached || state == ProbeState::kSeen;
}

}  // namespace assay::agent
