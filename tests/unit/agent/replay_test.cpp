// SPDX-License-Identifier: Apache-2.0
// Recordings of real sessions, played through everything behind the probe.
#include "agent/app/replay.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "agent/app/replay_view.h"
#include "agent/outbox/outbox.h"
#include "agent/uplink/event_codec.h"
#include "tests/unit/agent/scratch.h"

namespace assay::agent::tests {
namespace {

using nlohmann::json;

const std::string kFolder = std::string(ASSAY_SOURCE_DIR) + "/tests/golden/recordings/";

std::string read_all(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The JSON of a replay, or the error's text.
std::string play(const std::string& bytes, bool with_events) {
  std::istringstream in(bytes);
  auto reader = RecordingReader::open(in);
  if (!reader) return reader.error().text();
  ReplayClock clock(reader->header());
  ReplayView view(clock, with_events);
  const auto report = replay(*reader, clock, view);
  return report ? view.to_json(reader->header(), *report) : report.error().text();
}

json run_named(const json& document, const std::string& name) {
  for (const json& run : document["runs"])
    if (run["names"]["name"] == name) return run;
  FAIL("no run named " << name);
  return {};
}

TEST_CASE("a recorded session gives the same results as ever", "[agent][unit][golden]") {
  const std::string runtime = GENERATE("docker", "containerd", "podman");
  CAPTURE(runtime);
  const std::string result = play(read_all(kFolder + runtime + ".rec"), true);
  const std::string path = kFolder + runtime + ".json";
  if (std::getenv("ASSAY_UPDATE_GOLDEN") != nullptr)
    std::ofstream(path, std::ios::binary) << result;
  CHECK(result == read_all(path));
}

TEST_CASE("the recorded sessions show what was done in them", "[agent][unit][golden]") {
  const std::string runtime = GENERATE("docker", "containerd", "podman");
  CAPTURE(runtime);
  const json document = json::parse(play(read_all(kFolder + runtime + ".rec"), false));
  CHECK(document["recording"]["unreadable"] == 0);
  CHECK(document["recording"]["unanswered"] == 0);
  CHECK(document["recording"]["dropped"] == 0);
  CHECK(document["recording"]["is_cut"] == false);
  CHECK(document["gaps"].empty());
  CHECK(document["runs"].size() == (runtime == "podman" ? 5 : 4));
  const std::size_t injected = runtime == "docker" ? 1 : 0;  // docker's -init layer
  std::set<std::string> ids;
  for (const json& run : document["runs"]) {
    CAPTURE(run["names"]["name"]);
    CHECK(run["kind"] == "container");
    CHECK(run["names"]["runtime"] == runtime);
    CHECK_FALSE(run["ended_at"].is_null());
    CHECK(run["end_is_approximate"] == false);
    CHECK(run["unsupported"] == "");
    ids.insert(run["run_id"].get<std::string>());
  }
  CHECK(ids.size() == document["runs"].size());

  const json early = run_named(document, "early");
  CHECK(early["cause"] == "sweep");
  CHECK(early["is_late"] == true);
  CHECK(early["arguments"] == json{"sleep", "600"});
  const json brief = run_named(document, "short");
  CHECK(brief["cause"] == "exec");
  CHECK(brief["verdict"]["status"] == "approved");
  CHECK(brief["verdict"]["rung"] == "content");
  CHECK(brief["layers"].size() == 1 + injected);
  const std::string about = brief["layers"][0]["about"].dump();
  CHECK(about.find(R"("name":"Golden Linux 1")") != std::string::npos);
  const json web = run_named(document, "web");
  CHECK(web["verdict"]["base"] == "golden:1");
  CHECK(web["verdict"]["application_layers"] == 3);
  CHECK(web["layers"].size() == 4 + injected);
  REQUIRE(web["execs"].size() == 2);
  CHECK(web["execs"][1]["arguments"] == json{"cat", "/etc/marker"});  // after its first program
  CHECK(run_named(document, "foreign")["verdict"]["status"] == "unknown");
  if (runtime != "podman") return;
  const json mapped = run_named(document, "mapped");
  CHECK(mapped["in_host_user_namespace"] == false);
  CHECK(mapped["verdict"]["status"] == "approved");
  CHECK(mapped["uid"] == 100000);
}

TEST_CASE("a replay's events go through a real outbox unchanged", "[agent][unit][golden]") {
  const Scratch scratch;
  std::ifstream in(kFolder + "podman.rec", std::ios::binary);
  auto reader = RecordingReader::open(in);
  REQUIRE(reader);
  ReplayClock clock(reader->header());
  auto outbox = Outbox::open(scratch.path("outbox.db"), {});
  REQUIRE(outbox);
  OutboxJournal journal(**outbox, clock, {});
  Outbox::Callbacks callbacks;
  callbacks.on_committed = [] {};
  callbacks.make_gap = [&](const DroppedEvents& dropped) { return journal.make_gap(dropped); };
  (*outbox)->start(std::move(callbacks));
  REQUIRE(replay(*reader, clock, journal));
  REQUIRE((*outbox)->flush(std::chrono::seconds(60)));
  const auto events = (*outbox)->read_after(0, 1U << 30);
  REQUIRE(events);
  const json expected = json::parse(read_all(kFolder + "podman.json"))["events"];
  REQUIRE(events->size() == expected.size());
  for (std::size_t i = 0; i < events->size(); ++i) {
    const auto text = event_to_json((*events)[i].payload);
    REQUIRE(text);
    CHECK(json::parse(*text) == expected[i]);
    if ((*events)[i].stack) CHECK((*outbox)->describe(*(*events)[i].stack));
  }
}

TEST_CASE("a recording that was cut off anywhere gives what is in it", "[agent][unit]") {
  const std::string whole = read_all(kFolder + "docker.rec");
  std::size_t runs = 0;
  for (std::size_t size = 0; size < whole.size(); size += 499) {
    const std::string result = play(whole.substr(0, size), false);
    if (result.empty() || result.front() != '{') {
      CHECK(result.find("recording") != std::string::npos);
      continue;
    }
    const json document = json::parse(result);
    CHECK(document["recording"]["end_reason"] == "");
    CHECK(document["runs"].size() >= runs);
    runs = document["runs"].size();
  }
  CHECK(runs == 4);
}

TEST_CASE("a recorded catalog that does not verify is not used, and said", "[agent][unit]") {
  std::string bytes = read_all(kFolder + "docker.rec");
  const std::size_t at = bytes.find("\"payload\":\"") + 40;
  bytes[at] = bytes[at] == 'A' ? 'B' : 'A';
  const json document = json::parse(play(bytes, false));
  CHECK(document["recording"]["catalog_problem"] != "");
  for (const json& run : document["runs"])
    CHECK(run["verdict"]["status"] != "approved");
}

TEST_CASE("records of another ABI are refused, not guessed at", "[agent][unit]") {
  RecordingHeader header;
  header.abi_version = 1;
  std::string frame = encode(header);
  std::string bytes = std::string(kRecordingMagic) + std::string("\2\0\0\0", 4);
  bytes += std::string{static_cast<char>(frame.size()), 0, 0, 0} + frame;
  CHECK(play(bytes, false).find("ABI 1") != std::string::npos);
}

}  // namespace
}  // namespace assay::agent::tests
