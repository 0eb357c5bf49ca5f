// SPDX-License-Identifier: Apache-2.0
#include "tests/support/load/simulated_agents.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "agent/uplink/uplink.h"
#include "collector/identity/authority_dir.h"
#include "tests/support/load/simulated_node.h"

namespace assay::tests {
namespace {

using std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kTick = 50ms;  // how often agents look for new events

struct SimulatedAgent {
  explicit SimulatedAgent(NodeLoad load) : node(std::move(load)) {}
  SimulatedNode node;
  std::atomic<std::uint64_t> refusals{0};
  std::unique_ptr<agent::Uplink> uplink;
};

class Crowd final : public SimulatedAgents {
 public:
  explicit Crowd(const LoadOptions& options) : options_(options) {
    for (std::uint32_t i = 0; i < options.agents; ++i)
      add("node-" + std::to_string(i));
    const auto now = steady_clock::now();
    for (const auto& one : agents_) {
      one->node.begin(now);
      one->uplink->start();
    }
    ticker_ = std::jthread([this](const std::stop_token& stop) { tick(stop); });
  }
  ~Crowd() override {
    ticker_.request_stop();
    ticker_.join();
    std::vector<std::jthread> stopping;
    for (const auto& one : agents_)
      stopping.emplace_back([uplink = one->uplink.get()] { uplink->stop(); });
  }

  LoadReport wait(std::chrono::seconds drain_deadline) override {
    std::this_thread::sleep_for(options_.duration);  // the load's own length
    const auto over = steady_clock::now();
    while (!is_drained() && steady_clock::now() - over < drain_deadline)
      std::this_thread::sleep_for(kTick);
    LoadReport report;
    report.drained =
        std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - over);
    for (const auto& one : agents_) {
      report.made += one->node.total();
      report.acknowledged += one->node.acknowledged();
      report.connects += one->uplink->status().connects;
      report.refusals += one->refusals;
    }
    return report;
  }

  std::uint64_t runs() const override {
    return sum([](const SimulatedNode& node) { return node.runs(); });
  }
  std::uint64_t open_runs() const override {
    return sum([](const SimulatedNode& node) { return node.open_at_end(); });
  }

 private:
  template <typename Of>
  std::uint64_t sum(Of of) const {
    std::uint64_t total = 0;
    for (const auto& one : agents_)
      total += of(one->node);
    return total;
  }

  void add(const std::string& name) {
    const std::string folder = options_.scratch_dir + "/" + name;
    const auto issued =
        collector::issue_client({options_.authority_dir, options_.cluster + "/" + name, "", folder},
                                SystemClock().wall_now());
    ASSAY_ASSERT(issued.has_value());
    agents_.push_back(std::make_unique<SimulatedAgent>(
        NodeLoad{options_.cluster, name, options_.events_per_second / options_.agents,
                 options_.duration, options_.open_runs, options_.stacks, options_.layers}));
    SimulatedAgent& one = *agents_.back();
    agent::UplinkOptions uplink;
    uplink.address = options_.collector;
    uplink.tls = {folder + "/ca.pem", folder + "/cert.pem", folder + "/key.pem"};
    uplink.cluster = options_.cluster;
    uplink.node = name;
    uplink.boot_id = "boot";
    uplink.version = "load";
    agent::UplinkCallbacks callbacks;
    callbacks.health = [&one] {
      agent::AgentHealth health;
      health.probe.state = agent::ProbeState::kSeen;
      health.outbox.events = one.node.made() - one.node.acknowledged();
      return health;
    };
    callbacks.on_catalog = [](const catalog::SignedLog&) {};
    callbacks.on_status = [&one] {
      if (one.uplink && one.uplink->status().error.find("at its limit") != std::string::npos)
        ++one.refusals;
    };
    one.uplink = std::make_unique<agent::Uplink>(std::move(uplink), one.node, std::move(callbacks));
  }

  bool is_drained() const {
    return std::all_of(agents_.begin(), agents_.end(), [](const auto& one) {
      return one->node.acknowledged() >= one->node.total();
    });
  }

  void tick(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      for (const auto& one : agents_)
        if (one->node.made() > one->node.acknowledged()) one->uplink->notify();
      std::this_thread::sleep_for(kTick);
    }
  }

  const LoadOptions options_;
  std::vector<std::unique_ptr<SimulatedAgent>> agents_;
  std::jthread ticker_;
};

}  // namespace

std::unique_ptr<SimulatedAgents> SimulatedAgents::start(const LoadOptions& options) {
  return std::make_unique<Crowd>(options);
}

}  // namespace assay::tests
