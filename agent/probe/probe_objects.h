// SPDX-License-Identifier: Apache-2.0
// The kernel objects of one probe: its maps, programs and links, as descriptors. They come from a
// fresh load or from pins that an earlier agent left.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "agent/probe/probe_options.h"
#include "bpf/include/state_abi.h"
#include "common/base/digest.h"
#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace assay::agent {

/// What user space needs of the probe. What only the programs use (marks, joins, scratch) lives as
/// long as they do.
enum class ProbeObject : std::size_t {
  kStarts,  ///< ring buffers
  kExecs,
  kRuns,
  kMarks,
  kCgroups,
  kWanted,
  kCounters,
  kControl,
  kVariables,  ///< struct ProbeVariables
  kExitProgram,
  kForkProgram,
  kExecProgram,
  kSweepProgram,
  kExitLink,
  kForkLink,
  kExecLink,
  kSweepLink,
};
inline constexpr std::size_t kProbeObjects = 17;

/// Stable name of an object: of its pin, and in messages.
std::string_view name_of(ProbeObject object);

/// The programs' variables, as the BPF object lays them out.
struct ProbeVariables {
  assay_settings settings;
  assay_host host;
};

/// Closes what it holds when it goes; a link that is not pinned detaches then. Not thread-safe.
class ProbeObjects {
 public:
  int fd(ProbeObject object) const { return fds_[static_cast<std::size_t>(object)].get(); }
  void set(ProbeObject object, UniqueFd fd) {
    fds_[static_cast<std::size_t>(object)] = std::move(fd);
  }
  bool has(ProbeObject object) const { return fd(object) >= 0; }

 private:
  std::array<UniqueFd, kProbeObjects> fds_;
};

/// SHA-256 of the BPF object that this program holds.
Sha256 probe_object_digest();

/// Bytes of a ring buffer for a setting: the next power of two of whole pages.
std::uint32_t ring_size(std::uint32_t bytes);

/// Loads the programs and makes the maps; nothing is attached. Blocks for some 100 ms in the
/// verifier. Errors: kPermissionDenied (capabilities), kUnsupported (no BTF, or the kernel
/// refuses), each with what to do.
Result<ProbeObjects> load_probe(const ProbeOptions& options);

/// Attaches one of the programs and sets its link. Errors: kPermissionDenied, kUnsupported.
Result<void> attach_probe(ProbeObjects& objects, ProbeObject link);

/// An error of the kernel's, with the line of libbpf's log that says most.
Error probe_refused(std::string_view what, int negative_errno);

}  // namespace assay::agent
