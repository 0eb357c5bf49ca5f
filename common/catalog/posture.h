// SPDX-License-Identifier: Apache-2.0
// What a container's first process could do when it started: the same value in agent, collector and
// command line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace assay::catalog {

/// What makes a container less confined. A bit's place is stored: new ones come at the end.
enum class PostureTrait : std::uint8_t {
  kRoot,           ///< uid 0 of the host
  kPrivileged,     ///< every capability that the host's pid 1 has, in the host's user namespace
  kNoSeccomp,      ///< no filter
  kNewPrivileges,  ///< may gain some by an exec: no_new_privs is off
  kHostUser,       ///< shares the host's namespace, as those below
  kHostPid,
  kHostNet,
  kHostIpc,
  kHostUts,
  kHostCgroup,
  kHostMnt,
  kWritableRoot,
};
inline constexpr std::size_t kPostureTraits = 12;
std::string_view to_string(PostureTrait trait);
/// Errors: kInvalidArgument, which names all that there are.
Result<PostureTrait> parse_posture_trait(std::string_view text);

struct Posture {
  bool is_known = false;           ///< else the rest says nothing
  std::uint32_t traits = 0;        ///< one bit each, at the trait's place
  std::uint64_t capabilities = 0;  ///< effective, in its user namespace
  std::string seccomp = {};        ///< none, strict, filter; "" = the kernel does not tell
  std::string lsm_label = {};      ///< "" = there is none, or the process was gone before
  bool operator==(const Posture&) const = default;

  bool has(PostureTrait trait) const {
    return (traits & (1U << static_cast<unsigned>(trait))) != 0;
  }
  void set(PostureTrait trait, bool is_so) {
    if (is_so) traits |= 1U << static_cast<unsigned>(trait);
  }
};
inline constexpr std::size_t kMaxLsmLabelBytes = 256;

std::vector<std::string> trait_names(const Posture& posture);
/// "cap_chown", …; a number where it has no name yet.
std::vector<std::string> capability_names(std::uint64_t capabilities);

}  // namespace assay::catalog
