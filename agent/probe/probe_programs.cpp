// SPDX-License-Identifier: Apache-2.0
#include "agent/probe/probe_programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "agent/probe/event_decoder.h"
#include "agent/probe/overlay_offsets.h"
#include "common/base/unique_fd.h"

namespace assay::agent {
namespace {

constexpr std::array kTracepointLinks{ProbeObject::kExitLink, ProbeObject::kForkLink,
                                      ProbeObject::kExecLink};
constexpr std::array kTracepointPrograms{ProbeObject::kExitProgram, ProbeObject::kForkProgram,
                                         ProbeObject::kExecProgram};

std::uint32_t max_entries_of(int map) {
  bpf_map_info info{};
  std::uint32_t size = sizeof(info);
  return bpf_obj_get_info_by_fd(map, &info, &size) == 0 ? info.max_entries : 0;
}

bool has_sizes(const ProbeObjects& objects, const ProbeOptions& options) {
  return max_entries_of(objects.fd(ProbeObject::kStarts)) == ring_size(options.start_ring_bytes) &&
         max_entries_of(objects.fd(ProbeObject::kExecs)) == ring_size(options.exec_ring_bytes) &&
         max_entries_of(objects.fd(ProbeObject::kRuns)) == options.max_runs &&
         max_entries_of(objects.fd(ProbeObject::kMarks)) == options.max_marks;
}

void detach_links(ProbeObjects& objects) {
  for (const ProbeObject link : kTracepointLinks)
    objects.set(link, UniqueFd());
}

LossCounters counters_of(const ProbeObjects& objects) {
  std::vector<assay_counters> per_cpu(static_cast<std::size_t>(libbpf_num_possible_cpus()));
  const std::uint32_t zero = 0;
  assay_counters total{};
  if (bpf_map_lookup_elem(objects.fd(ProbeObject::kCounters), &zero, per_cpu.data()) == 0)
    for (const assay_counters& cpu : per_cpu)
      for (std::size_t i = 0; i < ASSAY_COUNTERS; ++i)
        total.count[i] += cpu.count[i];
  std::uint64_t recursion_misses = 0;
  for (const ProbeObject program : kTracepointPrograms) {
    bpf_prog_info info{};
    std::uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(objects.fd(program), &info, &size) == 0)
      recursion_misses += info.recursion_misses;
  }
  return to_loss(total, recursion_misses);
}

}  // namespace

struct ProbePrograms::Variables {
  explicit Variables(ProbeVariables* mapped) : variables(mapped) {}
  Variables(const Variables&) = delete;
  Variables& operator=(const Variables&) = delete;
  ~Variables() { ::munmap(variables, sizeof(*variables)); }

  ProbeVariables* const variables;  ///< shared with the programs
};

ProbePrograms::ProbePrograms(const ProbeOptions& options) : options_(options) {}
ProbePrograms::~ProbePrograms() = default;

Result<std::unique_ptr<ProbePrograms>> ProbePrograms::open(const ProbeOptions& options) {
  std::unique_ptr<ProbePrograms> programs(new ProbePrograms(options));
  programs->open_pins();
  if (!programs->adopt()) ASSAY_TRY(programs->load());
  ASSAY_TRY(programs->map());
  programs->look_for_overlay_offsets();
  return programs;
}

void ProbePrograms::open_pins() {
  if (options_.pin_folder.empty()) return;
  auto folder = PinFolder::open(options_.pin_folder);
  if (folder)
    pins_.emplace(std::move(*folder));
  else
    pin_problem_ = folder.error().text();
}

bool ProbePrograms::adopt() {
  if (!pins_ || !pins_->has_pins()) return false;
  auto found = pins_->get();
  if (!found || !*found) return false;  // half a set: it is replaced
  ProbeObjects& objects = **found;
  auto control = ProbeControl::open(objects.fd(ProbeObject::kControl));
  if (!control) return false;  // of another version: nothing of it can be read
  inheritance_.well = control->well();
  inheritance_.has_gap = control->has_gap();
  if (!control->is_of(probe_object_digest()) || !has_sizes(objects, options_)) {
    if (control->abi_version() == ASSAY_ABI_VERSION) predecessor_ = std::move(objects);
    return false;
  }
  inheritance_.is_adopted = true;
  objects_ = std::move(objects);
  return true;
}

Result<void> ProbePrograms::load() {
  ASSAY_ASSIGN(objects_, load_probe(options_));
  return ok();
}

Result<void> ProbePrograms::map() {
  void* variables = ::mmap(nullptr, sizeof(ProbeVariables), PROT_READ | PROT_WRITE, MAP_SHARED,
                           objects_.fd(ProbeObject::kVariables), 0);
  if (variables == MAP_FAILED) return system_error("map the probe's variables");
  variables_ = std::make_unique<Variables>(static_cast<ProbeVariables*>(variables));
  ASSAY_ASSIGN(ProbeControl control, ProbeControl::open(objects_.fd(ProbeObject::kControl)));
  control_.emplace(std::move(control));
  ASSAY_ASSIGN(RingReader starts, RingReader::open(starts_fd(), max_entries_of(starts_fd())));
  starts_.emplace(std::move(starts));
  ASSAY_ASSIGN(RingReader execs, RingReader::open(execs_fd(), max_entries_of(execs_fd())));
  execs_.emplace(std::move(execs));
  return ok();
}

volatile assay_settings& ProbePrograms::settings() const {
  return variables_->variables->settings;
}

void ProbePrograms::apply_settings() {
  settings().exec_budget = options_.exec_budget_per_second;
  settings().start_budget = options_.start_budget;
  settings().crowded_bytes = starts_->size() / 2;
  settings().exec_wake_bytes = execs_->size() / 8;
  settings().canary_tgid = 0;
}

Result<void> ProbePrograms::attach() {
  apply_settings();
  if (!inheritance_.is_adopted) {
    ASSAY_TRY(attach_ours());
    if (pins_) replace_predecessor();
    return ok();
  }
  forget_wanted();
  return learn_host();
}

void ProbePrograms::forget_wanted() {
  const int wanted = objects_.fd(ProbeObject::kWanted);
  std::uint32_t tgid = 0;
  for (std::size_t i = 0; i < kMaxWanted && bpf_map_get_next_key(wanted, nullptr, &tgid) == 0; ++i)
    bpf_map_delete_elem(wanted, &tgid);
}

Result<void> ProbePrograms::learn_host() {
  auto learned = run_iterator(ASSAY_SWEEP_LEARN_HOST);
  if (!learned) return std::move(learned.error());
  if (variables_->variables->host.superblock == 0)
    return Error{ErrorCode::kUnsupported, "the sweep found no child of the host's process 1"};
  return ok();
}

Result<void> ProbePrograms::attach_ours() {
  ASSAY_TRY(attach_probe(objects_, ProbeObject::kSweepLink));
  ASSAY_TRY(learn_host());
  for (const ProbeObject link : kTracepointLinks)
    ASSAY_TRY(attach_probe(objects_, link));
  auto known = run_iterator(ASSAY_SWEEP_KEYS);
  if (!known) return std::move(known.error());
  settings().is_settled = 1;
  control_->claim(probe_object_digest());
  return ok();
}

void ProbePrograms::replace_predecessor() {
  // Ours are attached by now: between the two nothing is missed.
  if (auto cleared = pins_->clear(); !cleared) pin_problem_ = cleared.error().text();
  if (!predecessor_) return;
  detach_links(*predecessor_);
  for (const auto& [ring, sink] : {std::pair{ProbeObject::kStarts, &on_start_record_},
                                   std::pair{ProbeObject::kExecs, &on_exec_record_}}) {
    const int fd = predecessor_->fd(ring);
    if (auto reader = RingReader::open(fd, max_entries_of(fd))) reader->read(*sink);
  }
  const LossCounters counters = counters_of(*predecessor_);
  if (inheritance_.well) inheritance_.lost = counters - inheritance_.well->counters;
  predecessor_.reset();
}

void ProbePrograms::pin() {
  if (!pins_ || inheritance_.is_adopted || !pin_problem_.empty()) return;
  if (auto pinned = pins_->pin(objects_); !pinned) pin_problem_ = pinned.error().text();
}

void ProbePrograms::detach(bool keeps_pins) {
  if (pins_ && !keeps_pins) (void)pins_->remove();
  detach_links(objects_);
}

void ProbePrograms::set_sinks(RecordSink on_start_record, RecordSink on_exec_record) {
  on_start_record_ = std::move(on_start_record);
  on_exec_record_ = std::move(on_exec_record);
}

Result<std::string> ProbePrograms::run_iterator(std::uint32_t mode) {
  settings().sweep_mode = mode;
  const UniqueFd iterator(bpf_iter_create(objects_.fd(ProbeObject::kSweepLink)));
  if (!iterator) return system_error("begin a sweep over all tasks");
  std::string records;
  std::array<char, 64UL * 1024> buffer{};
  while (true) {
    const ssize_t count = ::read(iterator.get(), buffer.data(), buffer.size());
    if (count == 0) return records;
    if (count > 0) {
      records.append(buffer.data(), static_cast<std::size_t>(count));
    } else if (errno != EINTR && errno != EAGAIN) {
      return system_error("sweep over all tasks");
    }
  }
}

Result<std::string> ProbePrograms::sweep_keys() {
  return run_iterator(ASSAY_SWEEP_KEYS);
}

Result<void> ProbePrograms::sweep_facts(const std::vector<std::uint32_t>& tgids) {
  ASSAY_ASSERT(tgids.size() <= kMaxWanted);
  const int wanted = objects_.fd(ProbeObject::kWanted);
  for (const std::uint32_t tgid : tgids) {
    const std::uint32_t one = 1;
    if (bpf_map_update_elem(wanted, &tgid, &one, BPF_ANY) != 0)
      return system_error("ask for a task's facts");
  }
  auto swept = run_iterator(ASSAY_SWEEP_FACTS);
  for (const std::uint32_t tgid : tgids)
    bpf_map_delete_elem(wanted, &tgid);
  if (!swept) return std::move(swept.error());
  return ok();
}

void ProbePrograms::forget_runs(
    const std::function<bool(const assay_run_key&, const assay_run&)>& is_dead) {
  const int runs = objects_.fd(ProbeObject::kRuns);
  std::vector<assay_run_key> dead;
  assay_run_key key{};
  const assay_run_key* previous = nullptr;
  // Bounded: with the programs adding and removing meanwhile, the walk may begin again.
  for (std::uint32_t i = 0; i < options_.max_runs; ++i) {
    assay_run_key next{};
    if (bpf_map_get_next_key(runs, previous, &next) != 0) break;
    assay_run run{};
    if (bpf_map_lookup_elem(runs, &next, &run) == 0 && is_dead(next, run)) dead.push_back(next);
    key = next;
    previous = &key;
  }
  for (const assay_run_key& gone : dead)
    bpf_map_delete_elem(runs, &gone);
}

std::optional<std::uint64_t> ProbePrograms::held_back(const RunKey& key, Budget budget) const {
  if (budget == Budget::kStarts) {
    assay_cgroup cgroup{};
    if (bpf_map_lookup_elem(objects_.fd(ProbeObject::kCgroups), &key.cgroup_id, &cgroup) != 0)
      return std::nullopt;
    return cgroup.starts.dropped;
  }
  assay_run run{};
  const assay_run_key kernel_key = to_kernel_key(key);
  if (bpf_map_lookup_elem(objects_.fd(ProbeObject::kRuns), &kernel_key, &run) != 0)
    return std::nullopt;
  return run.execs.dropped;
}

void ProbePrograms::set_canary_parent(std::uint32_t tgid) {
  settings().canary_tgid = tgid;
}

bool ProbePrograms::has_overlay_offsets() const {
  return settings().overlay.is_known != 0;
}

void ProbePrograms::look_for_overlay_offsets() {
  auto offsets = read_overlay_offsets();
  if (!offsets) {
    overlay_problem_ = "layers of overlay roots cannot be read: " + offsets.error().text();
    return;
  }
  overlay_problem_.clear();
  if (has_overlay_offsets()) return;  // adopted: this kernel has no others
  assay_overlay_offsets unpublished = *offsets;
  unpublished.is_known = 0;
  volatile assay_overlay_offsets& target = settings().overlay;
  std::memcpy(const_cast<assay_overlay_offsets*>(&target), &unpublished, sizeof(unpublished));
  // The programs look at is_known first; the offsets must be there before it.
  __atomic_store_n(&target.is_known, 1U, __ATOMIC_RELEASE);
}

LossCounters ProbePrograms::counters() const {
  return counters_of(objects_);
}

Result<bool> remove_pins(const std::string& folder) {
  auto pins = PinFolder::open_existing(folder);
  if (!pins && pins.error().code == ErrorCode::kNotFound) return false;
  if (!pins) return std::move(pins.error());
  const bool had_pins = pins->has_pins();
  ASSAY_TRY(pins->remove());
  return had_pins;
}

}  // namespace assay::agent
