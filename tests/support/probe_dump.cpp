// SPDX-License-Identifier: Apache-2.0
// Prints what the probe sees, one line per event, until its input closes. For looking at a runtime
// by hand: probe_dump [seconds between sweeps].
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "agent/probe/bpf_event_source.h"
#include "common/base/encoding.h"

namespace {

using namespace assay;         // NOLINT: a program of one file
using namespace assay::agent;  // NOLINT

std::string text_of(const RunKey& key) {
  return "root=" + std::to_string(key.root.device) + ":" + std::to_string(key.root.inode) + ":" +
         std::to_string(key.root.generation) + " cgroup=" + std::to_string(key.cgroup_id);
}

std::string text_of(const std::vector<std::string>& arguments) {
  std::string text;
  for (const std::string& argument : arguments)
    text += " " + escape_untrusted(argument);
  return text;
}

const char* name_of(StartCause cause) {
  switch (cause) {
    case StartCause::kExec:
      return "exec";
    case StartCause::kNoExec:
      return "no-exec";
    case StartCause::kSweep:
      return "sweep";
    case StartCause::kRecord:
      return "record";
  }
  return "?";
}

class PrintingSink final : public EventSink {
 public:
  void on_start(ContainerStart start) override {
    std::string pids;
    for (const std::uint32_t pid : start.namespace_pids)
      pids += "/" + std::to_string(pid);
    std::string parents;
    for (const ProcessInfo& parent : start.ancestors)
      parents += " < " + escape_untrusted(parent.name) + ":" + std::to_string(parent.key.tgid);
    std::printf("START %s %s pids=%s uid=%u ns=%lu,%lu,%lu%s %s |%s |%s\n", name_of(start.cause),
                text_of(start.key).c_str(), pids.c_str(), start.uid, start.mount_namespace,
                start.pid_namespace, start.user_namespace, start.is_host_root ? " HOST-ROOT" : "",
                escape_untrusted(start.executable).c_str(), text_of(start.arguments).c_str(),
                parents.c_str());
    std::printf("  cgroup %s\n", escape_untrusted(start.cgroup_path).c_str());
    std::printf("  %zu layers%s redirect=%u metacopy=%d userxattr=%d data-only=%u\n",
                start.layers.size(), start.layers_truncated ? " TRUNCATED" : "",
                start.overlay.redirect_mode, start.overlay.metacopy, start.overlay.userxattr,
                start.overlay.data_only_layers);
    for (const LowerLayer& layer : start.layers)
      std::printf("    %lu:%lu:%u %s%s\n", layer.device, layer.inode, layer.generation,
                  escape_untrusted(layer.name).c_str(), layer.is_id_mapped ? " id-mapped" : "");
    std::fflush(stdout);
  }
  void on_exec(ContainerExec exec) override {
    std::printf("EXEC %s pid=%u %s |%s%s\n", text_of(exec.key).c_str(), exec.process.key.tgid,
                escape_untrusted(exec.executable).c_str(), text_of(exec.arguments).c_str(),
                exec.is_from_upper ? " FROM-UPPER" : "");
    std::fflush(stdout);
  }
  void on_emptied(RunEmptied emptied) override {
    std::printf("EMPTIED %s\n", text_of(emptied.key).c_str());
    std::fflush(stdout);
    if (source != nullptr) source->request_sweep();
  }
  void on_sweep(SweepCompleted sweep) override {
    std::printf("SWEEP %ld us, %zu live\n", (sweep.completed - sweep.began).count() / 1000,
                sweep.live.size());
    std::fflush(stdout);
  }
  void on_gap(ObservationGap gap) override {
    std::printf("GAP %ld ms, %lu gone\n", (gap.until - gap.from).count() / 1'000'000,
                gap.lost.gone());
    std::fflush(stdout);
  }
  void on_noise(RunNoise noise) override {
    std::printf("NOISY %s dropped=%lu%s\n", text_of(noise.key).c_str(), noise.dropped,
                noise.is_over ? " OVER" : "");
    std::fflush(stdout);
  }
  void on_checkpoint(Checkpoint checkpoint) override {
    if (source != nullptr) source->release(checkpoint.ticket);
  }
  EventSource* source = nullptr;
};

}  // namespace

int main(int argc, char** argv) {
  SystemClock clock;
  ProbeOptions options;
  if (argc > 1) options.sweep_interval = std::chrono::seconds(std::atoi(argv[1]));
  auto source = BpfEventSource::create(options, clock);
  if (!source) {
    std::fprintf(stderr, "%s\n", source.error().text().c_str());
    return 1;
  }
  PrintingSink sink;
  sink.source = source->get();
  if (auto started = (*source)->start(sink, std::nullopt); !started) {
    std::fprintf(stderr, "%s\n", started.error().text().c_str());
    return 1;
  }
  char byte = 0;
  while (::read(0, &byte, 1) > 0) {
  }
  const ProbeHealth health = (*source)->health();
  std::printf("HEALTH state=%d '%s' sent=%lu lost=%lu/%lu recursion=%lu map=%lu\n",
              static_cast<int>(health.state), health.detail.c_str(), health.loss.sent,
              health.loss.lost_starts, health.loss.lost_execs, health.loss.recursion_misses,
              health.loss.map_failures());
  (*source)->stop();
  return 0;
}
