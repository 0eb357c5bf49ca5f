// SPDX-License-Identifier: Apache-2.0
#include "tests/e2e/link/agent_life.h"

#include <random>

#include "common/base/sha256.h"

namespace assay::tests {
namespace {

using namespace assay::agent;

class Life {
 public:
  Life(std::string cluster, std::string node, std::uint32_t seed, WallTime start)
      : cluster_(std::move(cluster)), node_(std::move(node)), random_(seed), start_(start) {}

  std::vector<RecordedEvent> make(int steps) {
    for (int i = 0; i < steps; ++i) {
      const std::size_t dice = pick(100);
      if (open_.empty() || dice < 30)
        start_run();
      else if (dice < 55)
        end_run();
      else if (dice < 70)
        advance();
      else if (dice < 85)
        add(RunNamed{any_open().run_id, names()});
      else if (dice < 95)
        execute();
      else if (dice < 98)
        add(EvidenceGap{start_, start_ + std::chrono::seconds(i), "lost records", pick(100)});
      else
        tell_state();
    }
    return std::move(events_);
  }

 private:
  std::size_t pick(std::size_t below) {
    return std::uniform_int_distribution<std::size_t>(0, below - 1)(random_);
  }
  std::uint32_t small(std::size_t below) { return static_cast<std::uint32_t>(pick(below)); }
  void add(AgentEvent event, std::shared_ptr<const catalog::Stack> stack = nullptr) {
    events_.push_back({std::move(event), std::move(stack)});
  }
  RunStarted& any_open() { return open_[pick(open_.size())]; }
  ContainerNames names() {
    ContainerNames made;
    made.container_id = std::to_string(pick(100'000));
    made.name = "web-" + std::to_string(pick(1000));
    made.labels = {{"app", "web"}};
    return made;
  }

  catalog::StackLayer layer(std::uint64_t inode, bool has_content) {
    catalog::StackLayer one;
    one.instance = {"uuid:test", inode, 7, 1000};
    one.evidence.shape = ShapeDigest{sha256("shape " + std::to_string(inode)).bytes};
    if (has_content)
      one.evidence.content = ContentDigest{sha256("content " + std::to_string(inode)).bytes};
    one.name = "/layers/" + std::to_string(inode);
    return one;
  }

  std::shared_ptr<const catalog::Stack> make_stack() {
    auto stack = std::make_shared<catalog::Stack>();
    stack->cluster = cluster_;
    stack->node = node_;
    for (std::size_t i = 0, layers = 1 + pick(4); i < layers; ++i)
      stack->layers.push_back(layer(1 + pick(20), false));
    return stack;
  }

  void start_run() {
    RunStarted run;
    run.run_id = sha256("run " + std::to_string(next_run_++)).hex().substr(0, 32);
    run.is_late = pick(5) == 0;
    run.started = start_ + std::chrono::milliseconds(next_run_);
    run.start.key.cgroup_id = pick(1000);
    run.start.process = {{1000 + small(30'000), BootTime(0)}, "sh"};
    run.start.executable = "/bin/sh";
    run.start.arguments = {"sh", "-c", std::string(pick(200), 'x')};
    run.start.cgroup_path = "/docker/" + std::to_string(pick(1000));
    run.start.is_overlay = true;
    run.names = names();
    auto stack = make_stack();
    run.stack = catalog::digest_of(*stack);
    run.verdict.status = catalog::VerdictStatus::kUnknown;
    stacks_.push_back(stack);
    open_.push_back(run);
    add(std::move(run), std::move(stack));
  }

  void end_run() {
    const std::size_t which = pick(open_.size());
    add(RunEnded{open_[which].run_id, start_ + std::chrono::minutes(1), pick(2) == 0});
    open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(which));
  }

  void advance() {
    auto& stack = stacks_[pick(stacks_.size())];
    auto more = std::make_shared<catalog::Stack>(*stack);
    for (auto& one : more->layers)
      one = layer(one.instance.inode, true);
    const StackDigest from = catalog::digest_of(*stack);
    const StackDigest to = catalog::digest_of(*more);
    for (auto& run : open_)
      if (run.stack == from) run.stack = to;
    stack = more;
    if (from != to) add(StackAdvanced{from, to, {}}, std::move(more));
  }

  void execute() {
    ContainerExec exec;
    exec.process = {{1000 + small(30'000), BootTime(0)}, "ls"};
    exec.executable = "/bin/ls";
    add(ExecSeen{any_open().run_id, start_ + std::chrono::seconds(pick(60)), exec});
  }

  /// Sometimes of fewer or more runs than were told: then it repairs something.
  void tell_state() {
    add(StateBegun{});
    std::uint64_t told = 0;
    std::vector<RunStarted> left;
    for (const RunStarted& run : open_) {
      if (pick(10) == 0) continue;
      add(RunPresent{run}, stack_of(*run.stack));
      left.push_back(run);
      ++told;
    }
    open_ = std::move(left);
    add(StateCompleted{told, {}, 0});
  }

  std::shared_ptr<const catalog::Stack> stack_of(const StackDigest& digest) {
    for (const auto& stack : stacks_)
      if (catalog::digest_of(*stack) == digest) return stack;
    return nullptr;
  }

  const std::string cluster_;
  const std::string node_;
  std::mt19937 random_;
  const WallTime start_;
  std::uint64_t next_run_ = 1;
  std::vector<RunStarted> open_;
  std::vector<std::shared_ptr<const catalog::Stack>> stacks_;
  std::vector<RecordedEvent> events_;
};

}  // namespace

std::vector<RecordedEvent> make_life(const std::string& cluster, const std::string& node,
                                     std::uint32_t seed, int steps, WallTime start) {
  return Life(cluster, node, seed, start).make(steps);
}

}  // namespace assay::tests
