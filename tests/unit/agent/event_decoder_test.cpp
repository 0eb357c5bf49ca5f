// SPDX-License-Identifier: Apache-2.0
#include "agent/probe/event_decoder.h"

#include <sys/sysmacros.h>

#include <catch2/catch.hpp>

#include "tests/unit/agent/probe_records.h"

namespace assay::agent {
namespace {

using namespace assay::agent::tests;

ContainerStart decode_start(EventDecoder& decoder, const std::string& bytes) {
  auto record = decoder.decode(bytes);
  REQUIRE(record);
  REQUIRE(std::holds_alternative<ContainerStart>(*record));
  return std::get<ContainerStart>(*record);
}

TEST_CASE("a start is joined with its layers, bottom first", "[probe][unit]") {
  EventDecoder decoder;
  REQUIRE(decoder.decode(layers_record(9, 0, 16)));
  REQUIRE(decoder.decode(layers_record(8, 0, 1)));  // another start's, between
  REQUIRE(decoder.decode(layers_record(9, 16, 2)));
  const ContainerStart start = decode_start(decoder, start_record(make_start(9, 18)));
  REQUIRE(start.layers.size() == 18);
  CHECK_FALSE(start.layers_truncated);
  CHECK(start.layers.front().inode == 1017);
  CHECK(start.layers.back().inode == 1000);
  CHECK(start.layers.back().name == "a");
  CHECK(start.layers.back().device == makedev(254, 1));
  CHECK(start.key.root.device == makedev(0, 39));
  CHECK(start.key.cgroup_id == 842);
  CHECK(start.process.name == "exactly15bytes!");
  CHECK(start.cgroup_path == "/docker/leaf");
  CHECK(start.arguments == std::vector<std::string>{"/bin/sh", "-c"});
  CHECK(start.time == std::chrono::seconds(5));
}

TEST_CASE("a start whose layers are missing says so", "[probe][unit]") {
  EventDecoder decoder;
  REQUIRE(decoder.decode(layers_record(9, 0, 16)));
  const ContainerStart start = decode_start(decoder, start_record(make_start(9, 18)));
  CHECK(start.layers.size() == 16);
  CHECK(start.layers_truncated);
}

TEST_CASE("a first exec is told from that of a helper", "[probe][unit]") {
  EventDecoder decoder;
  const auto cause_of = [&](std::uint32_t flags) {
    assay_start record = make_start(1, 0);
    record.flags |= flags;
    return decode_start(decoder, start_record(record)).cause;
  };
  CHECK(cause_of(0) == StartCause::kExec);
  CHECK(cause_of(ASSAY_FROM_OTHER_MOUNT) == StartCause::kInjectedExec);
  CHECK(cause_of(ASSAY_PARENT_ON_ROOT) == StartCause::kChildExec);
  CHECK(cause_of(ASSAY_PARENT_ON_ROOT | ASSAY_FROM_OTHER_MOUNT) == StartCause::kChildExec);
}

TEST_CASE("a cgroup path that was cut does not begin with a slash", "[probe][unit]") {
  EventDecoder decoder;
  assay_start record = make_start(1, 0);
  record.flags |= ASSAY_CGROUP_PATH_TRUNCATED;
  CHECK(decode_start(decoder, start_record(record)).cgroup_path == "docker/leaf");
}

TEST_CASE("the one string of older kernels is split at unescaped colons", "[probe][unit]") {
  EventDecoder decoder;
  std::string layers = layers_record(3, 0, 2);
  for (std::size_t i = 0; i < 2; ++i) {
    const std::size_t at =
        offsetof(assay_layers, layers) + i * sizeof(assay_layer) + offsetof(assay_layer, name_size);
    layers[at] = 0;
  }
  REQUIRE(decoder.decode(layers));
  assay_lowerdir names{};
  names.start_id = 3;
  constexpr char kText[] = "/mnt/a\\:b:/mnt/plain";
  names.text_size = sizeof(kText) - 1;
  std::memcpy(names.text, kText, sizeof(kText));
  REQUIRE(decoder.decode(
      bytes_of(names, ASSAY_RECORD_LOWERDIR, offsetof(assay_lowerdir, text) + names.text_size)));
  const ContainerStart start = decode_start(decoder, start_record(make_start(3, 2)));
  REQUIRE(start.layers.size() == 2);
  CHECK(start.layers[0].name == "/mnt/plain");
  CHECK(start.layers[1].name == "/mnt/a\\:b");
}

TEST_CASE("records whose lengths lie are refused", "[probe][unit]") {
  EventDecoder decoder;
  const std::string good = start_record(make_start(1, 0));
  for (std::size_t size = 0; size < good.size(); size += 97) {
    const auto record = decoder.decode(good.substr(0, size));
    REQUIRE_FALSE(record);
    CHECK(record.error().code == ErrorCode::kCorrupt);
  }
  assay_start lying = make_start(1, 0);
  lying.ancestor_count = ASSAY_MAX_ANCESTORS + 1;
  CHECK_FALSE(decoder.decode(start_record(lying)));
  lying = make_start(1, 0);
  lying.cgroup_path_size = ASSAY_MAX_CGROUP_PATH + 1;
  CHECK_FALSE(decoder.decode(start_record(lying)));
  CHECK_FALSE(decoder.decode(layers_record(1, ASSAY_MAX_LAYERS, 1)));
}

TEST_CASE("a record of another ABI version is not guessed at", "[probe][unit]") {
  EventDecoder decoder;
  std::string bytes = start_record(make_start(1, 0));
  bytes[offsetof(assay_record_header, abi_version)] = ASSAY_ABI_VERSION + 1;
  const auto record = decoder.decode(bytes);
  REQUIRE_FALSE(record);
  CHECK(record.error().code == ErrorCode::kUnsupported);
}

TEST_CASE("layers whose start never comes are forgotten, the oldest first", "[probe][unit]") {
  EventDecoder decoder;
  for (std::uint64_t id = 1; id <= EventDecoder::kMaxPendingStarts + 1; ++id)
    REQUIRE(decoder.decode(layers_record(id, 0, 1)));
  CHECK(decode_start(decoder, start_record(make_start(1, 1))).layers.empty());
  CHECK(decode_start(decoder, start_record(make_start(2, 1))).layers.size() == 1);
}

TEST_CASE("a start that was lost before is told as of when its root was first seen",
          "[probe][unit]") {
  EventDecoder decoder;
  assay_start record = make_start(1, 0);
  record.flags |= ASSAY_TOLD_AGAIN | ASSAY_BEGINS_LIFE;
  record.known_since_boot_ns = 3'000'000'000;
  const ContainerStart start = decode_start(decoder, start_record(record));
  CHECK(start.is_told_again);
  CHECK(start.begins_life);
  CHECK(start.time == std::chrono::seconds(3));
}

TEST_CASE("a run over its budget is told with the budget", "[probe][unit]") {
  EventDecoder decoder;
  assay_noisy record{};
  record.key.inode = 42;
  record.dropped = 12;
  record.kind = ASSAY_BUDGET_STARTS;
  record.budget = 50;
  const auto decoded = decoder.decode(bytes_of(record, ASSAY_RECORD_NOISY));
  REQUIRE(decoded);
  const auto& noise = std::get<NoiseSeen>(*decoded);
  CHECK(noise.key.root.inode == 42);
  CHECK(noise.budget == Budget::kStarts);
  CHECK(noise.dropped == 12);
  CHECK(noise.limit == 50);
  CHECK(noise.time == std::chrono::seconds(5));
  record.kind = 7;
  CHECK_FALSE(decoder.decode(bytes_of(record, ASSAY_RECORD_NOISY)));
}

TEST_CASE("an executed file's origin follows from the kernel's facts", "[probe][unit]") {
  using enum catalog::ExecOrigin;
  constexpr std::uint32_t kOverlay = 0x794c7630, kExt4 = 0xef53;
  constexpr std::uint32_t kHere = ASSAY_FILE_KNOWN | ASSAY_FILE_ON_ROOT;
  struct Row {
    const char* name;
    std::uint32_t magic, flags;
    catalog::ExecOrigin origin;
  };
  for (const Row& row :
       {Row{"nothing known", kOverlay, 0, kUnknown}, Row{"layer", kOverlay, kHere, kLayer},
        Row{"upper", kOverlay, kHere | ASSAY_FILE_FROM_UPPER, kUpper},
        Row{"upper not told", kOverlay, kHere | ASSAY_FILE_UPPER_UNKNOWN, kUnknown},
        Row{"plain root", kExt4, kHere, kRoot}, Row{"volume", kExt4, ASSAY_FILE_KNOWN, kOtherMount},
        Row{"another overlay", kOverlay, ASSAY_FILE_KNOWN, kOtherMount},
        Row{"deleted", kOverlay, kHere | ASSAY_FILE_UNLINKED | ASSAY_FILE_FROM_UPPER, kDeleted},
        Row{"memfd", 0x1021994, ASSAY_FILE_KNOWN | ASSAY_FILE_UNLINKED | ASSAY_FILE_INTERNAL,
            kMemory}}) {
    INFO(row.name);
    assay_exec record{};
    record.file.flags = row.flags;
    record.file.magic = row.magic;
    EventDecoder decoder;
    const auto decoded =
        decoder.decode(bytes_of(record, ASSAY_RECORD_EXEC, offsetof(assay_exec, arguments)));
    REQUIRE(decoded);
    CHECK(std::get<ContainerExec>(*decoded).file.origin == row.origin);
  }
}

TEST_CASE("an executed file's path is read, and one that is too long refused", "[probe][unit]") {
  assay_exec record{};
  constexpr char kNames[] = "ls\0bin\0usr";
  std::memcpy(record.file.path, kNames, sizeof(kNames));
  record.file.path_size = sizeof(kNames);
  record.file.flags = ASSAY_FILE_KNOWN | ASSAY_FILE_IS_INTERPRETER;
  EventDecoder decoder;
  const auto bytes = [&] {
    return bytes_of(record, ASSAY_RECORD_EXEC, offsetof(assay_exec, arguments));
  };
  const auto decoded = decoder.decode(bytes());
  REQUIRE(decoded);
  CHECK(std::get<ContainerExec>(*decoded).file.path == "/usr/bin/ls");
  CHECK(std::get<ContainerExec>(*decoded).file.is_interpreter);
  record.file.path_size = ASSAY_MAX_FILE_PATH + 1;
  CHECK_FALSE(decoder.decode(bytes()));
}

TEST_CASE("records of ABI 2 are read, without what it did not have", "[probe][unit]") {
  const auto as_older = [](std::string bytes) {
    bytes[offsetof(assay_record_header, abi_version)] = 2;
    const auto size = static_cast<std::uint32_t>(bytes.size());
    std::memcpy(bytes.data() + offsetof(assay_record_header, size), &size, sizeof(size));
    return bytes;
  };
  assay_exec exec{};
  exec.key.inode = 9;
  EventDecoder decoder;
  const auto older =
      decoder.decode(as_older(bytes_of(exec, ASSAY_RECORD_EXEC, offsetof(assay_exec, file))));
  REQUIRE(older);
  CHECK(std::get<ContainerExec>(*older).key.root.inode == 9);
  CHECK(std::get<ContainerExec>(*older).file.origin == catalog::ExecOrigin::kUnknown);

  assay_start start = make_start(9, 0);
  start.arguments_size = 0;
  const auto told =
      decoder.decode(as_older(bytes_of(start, ASSAY_RECORD_START, offsetof(assay_start, posture))));
  REQUIRE(told);
  CHECK_FALSE(std::get<ContainerStart>(*told).posture.is_known);
  CHECK(std::get<ContainerStart>(*told).process.key.tgid == 77);
}

TEST_CASE("a start's posture is named from the kernel's facts", "[probe][unit]") {
  using enum catalog::PostureTrait;
  assay_start start = make_start(9, 0);
  start.uid = 1000;
  start.flags |= ASSAY_IN_HOST_USER_NAMESPACE;
  start.posture.effective_capabilities = 1U << 21U;
  start.posture.seccomp_mode = 2;
  start.posture.flags = ASSAY_POSTURE_KNOWN | ASSAY_POSTURE_ALL_CAPABILITIES |
                        ASSAY_POSTURE_NO_NEW_PRIVS | ASSAY_POSTURE_HOST_NET;
  EventDecoder decoder;
  const auto traits = [&] {
    const auto decoded = decoder.decode(start_record(start));
    REQUIRE(decoded);
    return catalog::trait_names(std::get<ContainerStart>(*decoded).posture);
  };
  CHECK(traits() ==
        std::vector<std::string>{"privileged", "host-user", "host-net", "writable-root"});
  start.flags &= ~ASSAY_IN_HOST_USER_NAMESPACE;  // all of them, but over nothing of the host's
  start.posture.flags |= ASSAY_POSTURE_READ_ONLY_ROOT;
  start.posture.seccomp_mode = 0;
  CHECK(traits() == std::vector<std::string>{"no-seccomp", "host-net"});
  start.posture.flags |= ASSAY_POSTURE_SECCOMP_UNKNOWN;
  CHECK(traits() == std::vector<std::string>{"host-net"});
}

TEST_CASE("parts of a start wait for a moment, not for ever", "[probe][unit]") {
  EventDecoder decoder;
  CHECK_FALSE(decoder.has_parts(std::chrono::seconds(5)));
  REQUIRE(decoder.decode(layers_record(9, 0, 1)));
  CHECK(decoder.has_parts(std::chrono::seconds(5)));
  CHECK_FALSE(decoder.has_parts(std::chrono::seconds(7)));
  REQUIRE(decoder.decode(start_record(make_start(9, 1))));
  CHECK_FALSE(decoder.has_parts(std::chrono::seconds(5)));
}

TEST_CASE("a run's key is the same there and back", "[probe][unit]") {
  const RunKey key{{makedev(254, 7), 11, 12, 13}, 14};
  CHECK(to_run_key(to_kernel_key(key)) == key);
}

TEST_CASE("a sweep's records are read one after the other", "[probe][unit]") {
  assay_task task{};
  task.key.inode = 5;
  task.process.tgid = 11;
  task.flags = ASSAY_NEVER_EXECUTED;
  const std::string one = bytes_of(task, ASSAY_RECORD_TASK);
  const auto tasks = decode_swept_tasks(one + one);
  REQUIRE(tasks);
  REQUIRE(tasks->size() == 2);
  CHECK((*tasks)[1].key.root.inode == 5);
  CHECK((*tasks)[1].process.tgid == 11);
  CHECK((*tasks)[1].has_never_executed);
  CHECK_FALSE(decode_swept_tasks(one + one.substr(0, 40)));
}

}  // namespace
}  // namespace assay::agent
