// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "agent/app/journal.h"
#include "agent/probe/event_decoder.h"
#include "agent/probe/record_arguments.h"
#include "agent/recording/recording_reader.h"
#include "agent/recording/recording_writer.h"
#include "common/base/sha256.h"
#include "tests/unit/agent/probe_records.h"
#include "tests/unit/agent/scratch.h"

namespace assay::agent::tests {
namespace {

using std::chrono::seconds;

RecordingHeader make_header() {
  RecordingHeader header;
  header.abi_version = 7;
  header.agent_version = "1.2.3";
  header.kernel = "6.1";
  header.cluster = "test";
  header.node = "node-1";
  header.boot_id = "boot";
  header.wall = from_unix_ns(1'700'000'000'000'000'000);
  header.boot = seconds(100);
  header.records_execs = true;
  header.never_executed_age = std::chrono::milliseconds(30'000);
  return header;
}

std::vector<RecordingEntry> read_back(const std::string& path, bool* is_cut = nullptr) {
  std::ifstream in(path, std::ios::binary);
  auto reader = RecordingReader::open(in);
  REQUIRE(reader);
  std::vector<RecordingEntry> entries;
  for (;;) {
    auto entry = reader->next();
    REQUIRE(entry);
    if (!*entry) break;
    entries.push_back(std::move(**entry));
  }
  if (is_cut != nullptr) *is_cut = reader->is_cut();
  return entries;
}

TEST_CASE("every kind of entry comes back as it was written", "[agent][unit]") {
  const Scratch scratch;
  const std::string path = scratch.path("recording");
  const RunKey key{{1, 2, 3, 4}, 5};
  auto writer = RecordingWriter::create(path, make_header(), 1 << 20);
  REQUIRE(writer);
  RunNoise noise{key, Budget::kStarts, seconds(1), seconds(2), 3, 4, true};
  ObservationGap gap{seconds(-1), seconds(9), GapCause::kUnstored, {}};
  gap.lost.ended_untold = 11;
  gap.lost.lost_execs = 12;
  (*writer)->write(seconds(1), RecordedBytes{ProbeChannel::kStarts, "start"});
  (*writer)->write(seconds(2), RecordedBytes{ProbeChannel::kExecs, "exec"});
  (*writer)->write(seconds(3), RecordedBytes{ProbeChannel::kSweptTasks, ""});
  for (const SweepStep step : {SweepStep::kBegan, SweepStep::kAsks, SweepStep::kCompleted})
    (*writer)->write(seconds(4), step);
  (*writer)->write(seconds(5), RecordedCommand{key, "/bin/\xff", {"a", ""}, true});
  (*writer)->write(seconds(6), RecordedNames{key, "\x0a\x02id"});
  (*writer)->write(seconds(7), RecordedLayerResult{{1, 2, 3}, "\x0a\x00", "{}", true, true});
  (*writer)->write(seconds(8), RecordedLayerResult{{1, 2, 3}, "", "", false, false});
  (*writer)->write(seconds(9), RecordedCatalog{{{"one", "two"}, "head"}, "keys"});
  const LowerLayer lower{"l/\xff", true, 6, 7, 8, 9, true, true};
  (*writer)->write(seconds(9), RecordedStack{key, OtherStack::kFuseOverlay, {lower, {}}});
  const LayerClaim claim{{1, 2, 3}, DiffId{sha256("d").bytes}, ChainId{sha256("c").bytes}, true};
  (*writer)->write(seconds(9), RecordedClaimRecall{{1, 2, 3}, claim});
  (*writer)->write(seconds(9), RecordedClaimRecall{{4, 5, 6}, std::nullopt});
  (*writer)->write(seconds(9), RecordedClaims{key, "\x0a\x02id", {claim}, {"layer: \xff"}});
  (*writer)->write(seconds(10), gap);
  (*writer)->write(seconds(11), noise);
  REQUIRE((*writer)->close(seconds(12), "over"));
  CHECK((*writer)->dropped() == 0);

  bool is_cut = true;
  const auto entries = read_back(path, &is_cut);
  CHECK_FALSE(is_cut);
  REQUIRE(entries.size() == 18);
  CHECK(entries[0].time == seconds(1));
  CHECK(std::get<RecordedBytes>(entries[0].body).bytes == "start");
  CHECK(std::get<RecordedBytes>(entries[1].body).channel == ProbeChannel::kExecs);
  CHECK(std::get<RecordedBytes>(entries[2].body).channel == ProbeChannel::kSweptTasks);
  CHECK(std::get<SweepStep>(entries[3].body) == SweepStep::kBegan);
  CHECK(std::get<SweepStep>(entries[5].body) == SweepStep::kCompleted);
  const auto& command = std::get<RecordedCommand>(entries[6].body);
  CHECK(command.key == key);
  CHECK(command.executable == "/bin/\xff");
  CHECK(command.arguments == std::vector<std::string>{"a", ""});
  CHECK(command.arguments_truncated);
  CHECK(std::get<RecordedNames>(entries[7].body).names == "\x0a\x02id");
  CHECK(std::get<RecordedLayerResult>(entries[8].body).is_news);
  CHECK(std::get<RecordedLayerResult>(entries[8].body).is_final);
  CHECK(std::get<RecordedLayerResult>(entries[8].body).about == "{}");
  CHECK(std::get<RecordedLayerResult>(entries[9].body).layer.empty());
  CHECK(std::get<RecordedCatalog>(entries[10].body).log.statements.size() == 2);
  CHECK(std::get<RecordedCatalog>(entries[10].body).trust == "keys");
  const auto& stack = std::get<RecordedStack>(entries[11].body);
  CHECK(stack.key == key);
  CHECK(stack.other_stack == OtherStack::kFuseOverlay);
  REQUIRE(stack.layers.size() == 2);
  CHECK(stack.layers[0].name == lower.name);
  CHECK(stack.layers[0].name_is_truncated);
  CHECK(stack.layers[0].device == 6);
  CHECK(stack.layers[0].inode == 7);
  CHECK(stack.layers[0].generation == 8);
  CHECK(stack.layers[0].magic == 9);
  CHECK(stack.layers[0].is_id_mapped);
  CHECK(stack.layers[0].is_data_only);
  CHECK_FALSE(stack.layers[1].is_data_only);
  CHECK(std::get<RecordedClaimRecall>(entries[12].body).claim == claim);
  CHECK(std::get<RecordedClaimRecall>(entries[13].body).ref == LayerRef{4, 5, 6});
  CHECK_FALSE(std::get<RecordedClaimRecall>(entries[13].body).claim);
  const auto& claims = std::get<RecordedClaims>(entries[14].body);
  CHECK(claims.key == key);
  CHECK(claims.names == "\x0a\x02id");
  CHECK(claims.layers == std::vector{claim});
  CHECK(claims.conflicts == std::vector<std::string>{"layer: \xff"});
  const auto& read_gap = std::get<ObservationGap>(entries[15].body);
  CHECK(read_gap.from == seconds(-1));
  CHECK(read_gap.cause == GapCause::kUnstored);
  CHECK(read_gap.lost.ended_untold == 11);
  CHECK(read_gap.lost.lost_execs == 12);
  const auto& read_noise = std::get<RunNoise>(entries[16].body);
  CHECK(read_noise.key == key);
  CHECK(read_noise.budget == Budget::kStarts);
  CHECK(read_noise.is_over);
  CHECK(std::get<RecordingEnd>(entries[17].body).reason == "over");
}

TEST_CASE("a recording is for its owner alone and replaces nothing", "[agent][unit]") {
  const Scratch scratch;
  const std::string path = scratch.path("recording");
  REQUIRE(RecordingWriter::create(path, make_header(), 1 << 20));
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0600);
  const auto second = RecordingWriter::create(path, make_header(), 1 << 20);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == ErrorCode::kAlreadyExists);
  REQUIRE(::symlink("elsewhere", scratch.path("link").c_str()) == 0);
  CHECK_FALSE(RecordingWriter::create(scratch.path("link"), make_header(), 1 << 20));
}

TEST_CASE("a recording stops at its limit and says what is missing", "[agent][unit]") {
  const Scratch scratch;
  const std::string path = scratch.path("recording");
  auto writer = RecordingWriter::create(path, make_header(), 4096);
  REQUIRE(writer);
  for (int i = 0; i < 100; ++i)
    (*writer)->write(seconds(i), RecordedBytes{ProbeChannel::kStarts, std::string(1000, 'x')});
  REQUIRE((*writer)->close(seconds(100), "the file is full"));
  CHECK((*writer)->is_full());
  const auto entries = read_back(path);
  REQUIRE(entries.size() == 4);
  CHECK(std::get<RecordingEnd>(entries[3].body).dropped == 97);
  CHECK(std::filesystem::file_size(path) < 4096 + 128);
}

TEST_CASE("what is no recording is refused in words", "[agent][unit]") {
  const auto error_of = [](const std::string& bytes) {
    std::istringstream in(bytes);
    const auto reader = RecordingReader::open(in);
    return reader ? std::string() : reader.error().text();
  };
  CHECK(error_of("").find("no recording") != std::string::npos);
  CHECK(error_of("ASSAYRECx").find("no recording") != std::string::npos);
  CHECK(error_of(std::string("ASSAYREC\x03\0\0\0", 12)).find("version 3") != std::string::npos);
  CHECK(error_of(std::string("ASSAYREC\x02\0\0\0", 12)).find("header") != std::string::npos);
  CHECK(error_of(std::string("ASSAYREC\x02\0\0\0\xff\xff\xff\xff", 16)).find("too large") !=
        std::string::npos);
}

TEST_CASE("arguments are cut inside the raw records before they are written", "[agent][unit]") {
  const auto limit_to = [](RecordingLimits limits) {
    return [limits](std::vector<std::string>& arguments) {
      return limit_arguments(arguments, limits);
    };
  };
  const std::string record = start_record(make_start(1, 0));  // "/bin/sh" "-c"
  EventDecoder decoder;
  const auto decode = [&](const std::optional<std::string>& bytes) {
    REQUIRE(bytes);
    auto decoded = decoder.decode(*bytes);
    REQUIRE(decoded);
    return std::get<ContainerStart>(*decoded);
  };
  CHECK(limit_record(ProbeChannel::kStarts, record, limit_to({true, 1024})) == record);
  const auto shorter = decode(limit_record(ProbeChannel::kStarts, record, limit_to({true, 8})));
  CHECK(shorter.arguments == std::vector<std::string>{"/bin/sh", "-"});
  CHECK(shorter.arguments_truncated);
  const auto none = limit_record(ProbeChannel::kStarts, record, limit_to({false, 1024}));
  CHECK(decode(none).arguments.empty());
  CHECK(none->find("/bin/sh") == std::string::npos);

  assay_exec exec{};
  std::memcpy(exec.arguments, "sh\0secret\0", 10);
  exec.arguments_size = 10;
  const std::string bytes =
      bytes_of(exec, ASSAY_RECORD_EXEC, offsetof(assay_exec, arguments) + exec.arguments_size);
  const auto cut = limit_record(ProbeChannel::kExecs, bytes, limit_to({true, 2}));
  REQUIRE(cut);
  CHECK(cut->find("secret") == std::string::npos);
  CHECK(decoder.decode(*cut));
}

TEST_CASE("canaries and what is no record stay out of a recording", "[agent][unit]") {
  const auto keep = [](std::vector<std::string>&) { return false; };
  CHECK_FALSE(
      limit_record(ProbeChannel::kStarts, bytes_of(assay_canary{}, ASSAY_RECORD_CANARY), keep));
  CHECK_FALSE(limit_record(ProbeChannel::kStarts, "short", keep));
  std::string lying = start_record(make_start(1, 0));
  lying.resize(lying.size() - 3);
  CHECK_FALSE(limit_record(ProbeChannel::kStarts, lying, keep));
}

}  // namespace
}  // namespace assay::agent::tests
