// SPDX-License-Identifier: Apache-2.0
// assay_load: loads a running collector with simulated agents and prints what came of it as JSON.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "tests/support/load/simulated_agents.h"

int main(int argc, char** argv) {
  CLI::App app("Loads a collector with simulated agents.", "assay_load");
  assay::tests::LoadOptions options;
  std::uint32_t seconds = 10, drain_seconds = 600;
  app.add_option("--collector", options.collector, "HOST:PORT")->required();
  app.add_option("--authority", options.authority_dir, "folder of assay-collector init")
      ->required();
  app.add_option("--scratch", options.scratch_dir, "folder for certificates")->required();
  app.add_option("--agents", options.agents, "how many")->capture_default_str();
  app.add_option("--rate", options.events_per_second, "events a second, of all together")
      ->capture_default_str();
  app.add_option("--seconds", seconds, "how long")->capture_default_str();
  app.add_option("--drain-seconds", drain_seconds, "how long to wait for acknowledgements after")
      ->capture_default_str();
  app.add_option("--open-runs", options.open_runs, "of each agent")->capture_default_str();
  app.add_option("--stacks", options.stacks, "of each agent")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  options.duration = std::chrono::seconds(seconds);
  const auto agents = assay::tests::SimulatedAgents::start(options);
  const auto report = agents->wait(std::chrono::seconds(drain_seconds));
  std::printf(
      "{\"made\": %llu, \"acknowledged\": %llu, \"connects\": %llu, \"refusals\": %llu,"
      " \"drained_ms\": %lld, \"runs\": %llu, \"open_runs\": %llu}\n",
      static_cast<unsigned long long>(report.made),
      static_cast<unsigned long long>(report.acknowledged),
      static_cast<unsigned long long>(report.connects),
      static_cast<unsigned long long>(report.refusals),
      static_cast<long long>(report.drained.count()),
      static_cast<unsigned long long>(agents->runs()),
      static_cast<unsigned long long>(agents->open_runs()));
  return report.acknowledged == report.made ? 0 : 1;
}
