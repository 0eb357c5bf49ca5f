// SPDX-License-Identifier: Apache-2.0
#include "agent/probe/probe_control.h"

#include <bpf/bpf.h>
#include <sys/mman.h>

#include <cstring>
#include <iterator>
#include <utility>

namespace assay::agent {
namespace {

constexpr std::uint32_t kNone = 0xffffffff;

constexpr std::pair<assay_counter, std::uint64_t LossCounters::*> kCounters[] = {
    {ASSAY_SENT, &LossCounters::sent},
    {ASSAY_LOST_STARTS, &LossCounters::lost_starts},
    {ASSAY_LOST_LAYERS, &LossCounters::lost_layers},
    {ASSAY_LOST_ENDS, &LossCounters::lost_ends},
    {ASSAY_LOST_NOTICES, &LossCounters::lost_notices},
    {ASSAY_LOST_EXECS, &LossCounters::lost_execs},
    {ASSAY_HELD_BACK_EXECS, &LossCounters::held_back_execs},
    {ASSAY_HELD_BACK_STARTS, &LossCounters::held_back_starts},
    {ASSAY_ENDED_UNTOLD, &LossCounters::ended_untold},
    {ASSAY_LOST_UNKNOWN, &LossCounters::lost_unknown},
    {ASSAY_RUNS_FULL, &LossCounters::runs_full},
    {ASSAY_MARKS_FULL, &LossCounters::marks_full},
    {ASSAY_OTHER_MAPS_FULL, &LossCounters::other_maps_full},
};
static_assert(std::size(kCounters) == ASSAY_COUNTERS, "a counter has no place in LossCounters");

}  // namespace

LossCounters to_loss(const assay_counters& counters, std::uint64_t recursion_misses) {
  LossCounters loss;
  loss.recursion_misses = recursion_misses;
  for (const auto& [counter, member] : kCounters)
    loss.*member = counters.count[counter];
  return loss;
}

Result<ProbeControl> ProbeControl::open(int fd) {
  bpf_map_info info{};
  std::uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd, &info, &size) != 0) return system_error("look at the probe's map");
  if (info.type != BPF_MAP_TYPE_ARRAY || info.value_size != sizeof(assay_control) ||
      (info.map_flags & BPF_F_MMAPABLE) == 0)
    return Error{ErrorCode::kUnsupported, "the probe was left by another version of assay-agent"};
  void* memory = ::mmap(nullptr, sizeof(assay_control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return system_error("map the probe's control map");
  return ProbeControl(static_cast<assay_control*>(memory));
}

ProbeControl::ProbeControl(ProbeControl&& other) noexcept
    : control_(std::exchange(other.control_, nullptr)) {}

ProbeControl::~ProbeControl() {
  if (control_ != nullptr) ::munmap(control_, sizeof(assay_control));
}

bool ProbeControl::is_of(const Sha256& object) const {
  return control_->magic == ASSAY_CONTROL_MAGIC && control_->abi_version == ASSAY_ABI_VERSION &&
         std::memcmp(control_->object, object.raw().data(), sizeof(control_->object)) == 0;
}

void ProbeControl::claim(const Sha256& object) {
  control_->magic = ASSAY_CONTROL_MAGIC;
  control_->abi_version = ASSAY_ABI_VERSION;
  std::memcpy(control_->object, object.raw().data(), sizeof(control_->object));
  control_->current = kNone;
}

std::optional<WellPoint> ProbeControl::well() const {
  const std::uint32_t current = __atomic_load_n(&control_->current, __ATOMIC_ACQUIRE);
  if (current > 1) return std::nullopt;
  const assay_well& well = control_->wells[current];
  return WellPoint{BootTime(static_cast<BootTime::rep>(well.boot_ns)),
                   to_loss(well.counters, well.recursion_misses)};
}

void ProbeControl::store(const WellPoint& well) {
  const std::uint32_t next = control_->current == 0 ? 1 : 0;
  assay_well& free = control_->wells[next];
  free.boot_ns = static_cast<std::uint64_t>(well.time.count());
  free.recursion_misses = well.counters.recursion_misses;
  for (const auto& [counter, member] : kCounters)
    free.counters.count[counter] = well.counters.*member;
  __atomic_store_n(&control_->current, next, __ATOMIC_RELEASE);
}

}  // namespace assay::agent
