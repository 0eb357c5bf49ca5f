// SPDX-License-Identifier: Apache-2.0
#include "tests/support/load/simulated_node.h"

#include <algorithm>
#include <cstring>

#include "agent/uplink/event_codec.h"
#include "common/base/sha256.h"

namespace assay::tests {
namespace {

using namespace assay::agent;

constexpr std::uint64_t kEventsPerContainer = 3;

catalog::Stack make_stack(const NodeLoad& load, std::uint32_t number) {
  catalog::Stack stack;
  stack.cluster = load.cluster;
  stack.node = load.node;
  for (std::uint32_t i = 0; i < load.layers; ++i) {
    // The lower half is shared by all stacks, as a base image is.
    const std::uint64_t inode = i < load.layers / 2 ? i + 1 : 1000 + number * 100 + i;
    catalog::StackLayer layer;
    layer.instance = {"uuid:2a1c3f64-0000-4000-8000-000000000001", inode, 7, 1'700'000'000'000};
    layer.evidence.shape = ShapeDigest{sha256("shape " + std::to_string(inode)).bytes};
    layer.evidence.content = ContentDigest{sha256("content " + std::to_string(inode)).bytes};
    layer.name = "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/" +
                 std::to_string(inode) + "/fs";
    layer.entries = 1000;
    layer.content_bytes = 10'000'000;
    stack.layers.push_back(std::move(layer));
  }
  return stack;
}

std::uint64_t total_of(const NodeLoad& load) {
  return static_cast<std::uint64_t>(load.events_per_second *
                                    std::chrono::duration<double>(load.duration).count());
}

}  // namespace

SimulatedNode::SimulatedNode(NodeLoad load)
    : load_(std::move(load)), total_(total_of(load_)), wall_start_(SystemClock().wall_now()) {
  const Sha256 random = sha256(load_.cluster + "/" + load_.node);
  std::memcpy(epoch_.data(), random.bytes.data(), epoch_.size());
  for (std::uint32_t i = 0; i < load_.stacks; ++i) {
    stacks_.push_back(make_stack(load_, i));
    digests_.push_back(catalog::digest_of(stacks_.back()));
  }
}

bool SimulatedNode::resume(std::uint64_t acknowledged) {
  acknowledge(acknowledged);
  return true;
}

void SimulatedNode::acknowledge(std::uint64_t sequence) {
  std::uint64_t before = acknowledged_;
  while (before < sequence && !acknowledged_.compare_exchange_weak(before, sequence)) {
  }
}

void SimulatedNode::begin(std::chrono::steady_clock::time_point now) {
  began_ = now;
}

std::uint64_t SimulatedNode::made() const {
  const auto began = began_.load();
  if (began == std::chrono::steady_clock::time_point{}) return 0;
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - began;
  if (passed >= load_.duration) return total_;
  return std::min(total_, static_cast<std::uint64_t>(load_.events_per_second * passed.count()));
}

std::uint64_t SimulatedNode::open_at_end() const {
  const std::uint64_t ends = total_ / kEventsPerContainer;
  return runs() - (ends > load_.open_runs ? ends - load_.open_runs : 0);
}

Result<std::vector<OutgoingEvent>> SimulatedNode::read_after(std::uint64_t sequence,
                                                             std::uint64_t max_bytes) {
  std::vector<OutgoingEvent> events;
  const std::uint64_t last = made();
  std::uint64_t bytes = 0;
  const SystemClock clock;
  const EncodingTime now{clock.wall_now(), clock.boot_now()};
  for (std::uint64_t next = sequence + 1; next <= last; ++next) {
    const AgentEvent event = event_at(next);
    OutgoingEvent one;
    one.sequence = next;
    if (const auto* run = std::get_if<RunStarted>(&event)) one.stack = run->stack;
    one.payload = encode_event(event, now);
    bytes += one.payload.size();
    if (!events.empty() && bytes > max_bytes) break;
    events.push_back(std::move(one));
  }
  return events;
}

std::optional<std::string> SimulatedNode::describe(const StackDigest& digest) {
  for (std::size_t i = 0; i < digests_.size(); ++i)
    if (digests_[i] == digest) return encode_stack(stacks_[i]);
  return std::nullopt;
}

std::string SimulatedNode::run_id(std::uint64_t container) const {
  return sha256(load_.node + " " + std::to_string(container)).hex().substr(0, 32);
}

AgentEvent SimulatedNode::event_at(std::uint64_t sequence) const {
  const std::uint64_t container = (sequence - 1) / kEventsPerContainer;
  const std::uint64_t part = (sequence - 1) % kEventsPerContainer;
  if (part == 0) return start_of(container);
  RunNamed named{run_id(container), {}};
  named.names.container_id = sha256(named.run_id).hex();
  named.names.runtime = "containerd";
  named.names.name = "web-" + std::to_string(container);
  named.names.image = "registry.example.org/team/web:1." + std::to_string(container % 50);
  named.names.pod_name = "web-7d4b9c5f6-" + std::to_string(container % 1000);
  named.names.pod_namespace = "production";
  named.names.labels = {{"app.kubernetes.io/name", "web"}, {"team", "payments"}};
  if (part == 1 || container < load_.open_runs) return named;
  return RunEnded{run_id(container - load_.open_runs), wall_start_ + std::chrono::hours(1), false};
}

RunStarted SimulatedNode::start_of(std::uint64_t container) const {
  RunStarted run;
  run.run_id = run_id(container);
  run.started = wall_start_ + std::chrono::milliseconds(container);
  run.stack = digests_[container % digests_.size()];
  run.start.key.cgroup_id = container + 1;
  run.start.process = {{static_cast<std::uint32_t>(2 + container % 32'000), BootTime(0)}, "java"};
  run.start.ancestors = {{{500, BootTime(0)}, "containerd-shim"}, {{1, BootTime(0)}, "systemd"}};
  run.start.namespace_pids = {static_cast<std::uint32_t>(2 + container % 32'000), 1};
  run.start.executable = "/usr/bin/java";
  run.start.arguments = {"java", "-Xmx512m", "-jar", "/opt/app/service.jar", "--port=8080"};
  run.start.cgroup_path =
      "/kubepods.slice/kubepods-burstable.slice/cri-containerd-" + run.run_id + ".scope";
  run.start.is_overlay = true;
  run.verdict.status = catalog::VerdictStatus::kUnknown;
  return run;
}

}  // namespace assay::tests
