// SPDX-License-Identifier: Apache-2.0
#include "agent/probe/event_assembler.h"

#include <catch2/catch.hpp>

#include "tests/unit/agent/probe_records.h"
#include "tests/unit/agent/remembering_sink.h"

using namespace assay;
using namespace assay::agent;
using namespace assay::agent::tests;
using std::chrono::seconds;

namespace {

std::string start_of(std::uint64_t inode, std::uint32_t cause = ASSAY_CAUSE_EXEC) {
  assay_start record = make_start(inode, 0);
  record.flags = 0;
  record.key.inode = inode;
  record.cause = cause;
  return start_record(record);
}

std::string emptied(std::uint64_t inode) {
  assay_emptied record{};
  record.key = make_start(inode, 0).key;
  record.key.inode = inode;
  return bytes_of(record, ASSAY_RECORD_EMPTIED);
}

std::string task_of(std::uint64_t inode, std::uint32_t flags = 0) {
  assay_task record{};
  record.key = make_start(inode, 0).key;
  record.key.inode = inode;
  record.process.tgid = static_cast<std::uint32_t>(inode);
  record.process.start_boot_ns = 1'000'000'000;
  record.flags = flags;
  return bytes_of(record, ASSAY_RECORD_TASK);
}

struct Fixture {
  RememberingSink sink;
  int commands = 0;
  int reads = 0;
  EventAssembler assembler{make_hooks(), seconds(30)};

  Fixture() { assembler.set_sink(sink); }
  EventAssembler::Hooks make_hooks() {
    EventAssembler::Hooks hooks;
    hooks.fill_command = [this](ContainerStart&) { ++commands; };
    hooks.read_starts = [this] { ++reads; };
    return hooks;
  }
  void read(const std::string& bytes) { REQUIRE(assembler.on_start_record(bytes, seconds(6))); }
  /// A sweep whose question, if it has one, is answered or not.
  std::uint64_t sweep(BootTime began, const std::string& tasks, bool is_answered = true) {
    assembler.begin_sweep(began);
    REQUIRE(assembler.on_swept_tasks(tasks));
    for (const SweptRun& run : assembler.wanted())
      if (is_answered) read(start_of(run.oldest.tgid, ASSAY_CAUSE_SWEEP));
    return assembler.end_sweep(began + seconds(1));
  }
};

}  // namespace

TEST_CASE("a sweep tells of what was not told, once, and what lives", "[agent][unit]") {
  Fixture f;
  f.read(start_of(1));
  CHECK(f.sweep(seconds(10), task_of(1) + task_of(2)) == 0);
  REQUIRE(f.sink.starts.size() == 2);
  CHECK(f.sink.starts[1].cause == StartCause::kSweep);
  CHECK(f.commands == 1);
  REQUIRE(f.sink.sweeps.size() == 1);
  CHECK(f.sink.sweeps[0].live.size() == 2);
  CHECK(f.sink.sweeps[0].untold.empty());
  f.sweep(seconds(20), task_of(1) + task_of(2));
  CHECK(f.sink.starts.size() == 2);
}

TEST_CASE("a run whose facts were lost and that ended then is counted", "[agent][unit]") {
  Fixture f;
  CHECK(f.sweep(seconds(10), task_of(1) + task_of(2), false) == 0);
  CHECK(f.sink.sweeps[0].untold.size() == 2);
  CHECK(f.sweep(seconds(20), task_of(2), false) == 1);
  CHECK(f.sweep(seconds(30), task_of(2)) == 0);  // found at last
  CHECK(f.sink.starts.size() == 1);
  CHECK(f.sweep(seconds(40), "") == 0);
}

TEST_CASE("what the programs count themselves is not counted twice", "[agent][unit]") {
  Fixture f;
  CHECK(f.sweep(seconds(10), task_of(1, ASSAY_TOLD_AGAIN), false) == 0);
  CHECK(f.sweep(seconds(20), "") == 0);
}

TEST_CASE("a young task that executed nothing is neither asked for nor missed", "[agent][unit]") {
  Fixture f;
  CHECK(f.sweep(seconds(10), task_of(1, ASSAY_NEVER_EXECUTED)) == 0);
  CHECK(f.sink.starts.empty());
  CHECK(f.sweep(seconds(20), "") == 0);
  f.sweep(seconds(40), task_of(1, ASSAY_NEVER_EXECUTED));
  CHECK(f.sink.starts.size() == 1);
}

TEST_CASE("a sweep that meets a start waits for its exec", "[agent][unit]") {
  Fixture f;
  f.sweep(seconds(1), "");
  f.sweep(seconds(10), task_of(1, ASSAY_START_IS_DUE) + task_of(2, ASSAY_EXEC_IS_DUE));
  CHECK(f.sink.starts.empty());
  CHECK(f.assembler.has_due());
  f.read(start_of(1));
  CHECK(f.sweep(seconds(20), task_of(1) + task_of(2)) == 0);  // the second's exec never came
  REQUIRE(f.sink.starts.size() == 2);
  CHECK(f.sink.starts[0].cause == StartCause::kExec);
  CHECK(f.sink.starts[1].cause == StartCause::kSweep);
  CHECK_FALSE(f.assembler.has_due());
}

TEST_CASE("what ends while its exec is waited for is counted once", "[agent][unit]") {
  Fixture f;
  f.sweep(seconds(1), "");
  f.sweep(seconds(10), task_of(1, ASSAY_START_IS_DUE) + task_of(2, ASSAY_EXEC_IS_DUE));
  CHECK(f.sweep(seconds(20), "") == 1);  // the first one's end is counted by the programs
}

TEST_CASE("the first sweep waits for no exec", "[agent][unit]") {
  Fixture f;
  f.sweep(seconds(10), task_of(1, ASSAY_START_IS_DUE));
  CHECK(f.sink.starts.size() == 1);
}

TEST_CASE("a root's next life is told by the sweep that follows its end", "[agent][unit]") {
  Fixture f;
  f.read(start_of(1));
  assay_emptied early{};
  early.key = make_start(1, 0).key;
  early.key.inode = 1;
  std::string bytes = bytes_of(early, ASSAY_RECORD_EMPTIED);
  const std::uint64_t before_the_task = 500'000'000;
  std::memcpy(bytes.data() + offsetof(assay_record_header, boot_ns), &before_the_task, 8);
  f.read(bytes);
  f.sweep(seconds(10), task_of(1));
  CHECK(f.sink.starts.size() == 2);
}

TEST_CASE("a start of a run that is known already is an exec", "[agent][unit]") {
  Fixture f;
  f.read(start_of(1));
  f.read(start_of(1));
  CHECK(f.sink.starts.size() == 1);
  REQUIRE(f.sink.execs.size() == 1);
  CHECK(f.sink.execs[0].arguments == std::vector<std::string>{"/bin/sh", "-c"});
  f.read(emptied(1));
  f.read(start_of(1));
  CHECK(f.sink.starts.size() == 2);
}

TEST_CASE("before an exec of an unknown run the starts are read", "[agent][unit]") {
  Fixture f;
  assay_exec record{};
  record.key.inode = 9;
  const std::string bytes = bytes_of(record, ASSAY_RECORD_EXEC, offsetof(assay_exec, arguments));
  REQUIRE(f.assembler.on_exec_record(bytes));
  CHECK(f.reads == 1);
  CHECK(f.sink.execs.size() == 1);
}
