// SPDX-License-Identifier: Apache-2.0
// What an agent leaves to the next one beside the pins: whose programs these are, and until when
// all is well.
#pragma once

#include <optional>

#include "agent/core/events.h"
#include "bpf/include/state_abi.h"
#include "common/base/clock.h"
#include "common/base/digest.h"
#include "common/base/result.h"

namespace assay::agent {

/// All that is known to be missing is in the counters, as they stood at `time`.
struct WellPoint {
  BootTime time{};
  LossCounters counters;
};

/// The probe's counters in the agent's own values, and back. Counters that only user space keeps
/// are left out.
LossCounters to_loss(const assay_counters& counters, std::uint64_t recursion_misses);

/// The mapped control map. Not thread-safe.
/// Source: docs/formats/event_abi.md "Control".
class ProbeControl {
 public:
  /// Maps the map `fd`. Errors: kUnsupported (of another layout), kPermissionDenied.
  static Result<ProbeControl> open(int fd);
  ProbeControl(ProbeControl&& other) noexcept;
  ProbeControl(const ProbeControl&) = delete;
  ProbeControl& operator=(const ProbeControl&) = delete;
  ProbeControl& operator=(ProbeControl&&) = delete;
  ~ProbeControl();

  std::uint32_t abi_version() const { return control_->abi_version; }
  bool is_of(const Sha256& object) const;
  /// Names the programs' object; once, after loading them.
  void claim(const Sha256& object);

  /// Nothing: the agent was killed before it wrote one.
  std::optional<WellPoint> well() const;
  void store(const WellPoint& well);
  /// Since well() something is missing for sure, whatever the counters say.
  bool has_gap() const { return __atomic_load_n(&control_->has_gap, __ATOMIC_ACQUIRE) != 0; }
  void set_gap(bool has_gap) {
    __atomic_store_n(&control_->has_gap, has_gap ? 1U : 0U, __ATOMIC_RELEASE);
  }

 private:
  explicit ProbeControl(assay_control* control) : control_(control) {}

  assay_control* control_;  ///< shared with the kernel; nobody else writes to it
};

}  // namespace assay::agent
