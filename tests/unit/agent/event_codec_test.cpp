// SPDX-License-Identifier: Apache-2.0
#include "agent/uplink/event_codec.h"

#include <catch2/catch.hpp>

#include "assay/v1/agent.pb.h"
#include "common/base/sha256.h"

namespace assay::agent {
namespace {

using namespace std::chrono_literals;

const EncodingTime kNow{from_unix_ns(1'000'000'000'000), BootTime(100s)};

v1::Event decode(const AgentEvent& event) {
  v1::Event decoded;
  REQUIRE(decoded.ParseFromString(encode_event(event, kNow)));
  return decoded;
}

RunStarted make_run() {
  RunStarted run;
  run.run_id = "0123456789abcdef0123456789abcdef";
  run.started = from_unix_ns(999'000'000'000);
  run.start.cause = StartCause::kExec;
  run.start.key.cgroup_id = 42;
  run.start.process = {{1234, BootTime(99s)}, "sh"};
  run.start.ancestors = {{{1000, BootTime(98s)}, "containerd-shim"}, {{1, BootTime(0)}, "init"}};
  run.start.namespace_pids = {1234, 1};
  run.start.uid = 7;
  run.start.cgroup_path = "/docker/x";
  run.start.executable = "/bin/sh";
  run.start.arguments = {"sh", "-c", "true"};
  run.start.is_overlay = true;
  run.stack = StackDigest{sha256("stack").bytes};
  run.names.container_id = "x";
  run.names.labels = {{"team", "payments"}};
  run.names.image = "registry.example/app:1";
  run.names.image_id = "sha256:whatever the runtime calls it";
  run.names.config_digest = ConfigDigest{sha256("config").bytes};
  run.names.manifest_digest = ManifestDigest{sha256("manifest").bytes};
  run.names.repo_digest = RepoDigest{sha256("index").bytes};
  run.verdict.status = catalog::VerdictStatus::kApproved;
  run.verdict.rung = catalog::Rung::kContent;
  run.verdict.matches = {
      {{"debian", "12"}, catalog::VerdictStatus::kApproved, catalog::Rung::kContent, 1},
      {{"old", "1"}, catalog::VerdictStatus::kRevoked, catalog::Rung::kShape, 1, 2}};
  return run;
}

TEST_CASE("a start arrives with every fact", "[agent][unit]") {
  const v1::Event event = decode(make_run());
  CHECK(event.time_ns() == 999'000'000'000);
  CHECK(event.sequence() == 0);
  const v1::RunStarted& run = event.run_started();
  CHECK(run.run_id() == "0123456789abcdef0123456789abcdef");
  CHECK(run.kind() == "container");
  CHECK(run.cause() == "exec");
  CHECK(run.stack() == make_run().stack->raw());
  CHECK(run.process().pid() == 1234);
  CHECK(run.process().start_ns() == 999'000'000'000);
  REQUIRE(run.ancestors_size() == 2);
  CHECK(run.ancestors(0).name() == "containerd-shim");
  CHECK(run.namespace_pids_size() == 2);
  CHECK(run.uid() == 7);
  CHECK(run.cgroup_id() == 42);
  CHECK(run.arguments_size() == 3);
  CHECK(run.names().labels().at("team") == "payments");
  CHECK(run.names().image() == "registry.example/app:1");
  CHECK(run.names().image_id() == "sha256:whatever the runtime calls it");
  CHECK(run.names().config_digest() == sha256("config").raw());
  CHECK(run.names().manifest_digest() == sha256("manifest").raw());
  CHECK(run.names().repo_digest() == sha256("index").raw());
  CHECK(run.verdict().status() == v1::VERDICT_STATUS_APPROVED);
  CHECK(run.verdict().rung() == "content");
  CHECK(run.verdict().matches(0).base() == "debian:12");
  CHECK(run.verdict().matches(0).first_layer() == 0);
  CHECK(run.verdict().matches(1).first_layer() == 2);
  CHECK(run.root_type() == "overlay");
}

TEST_CASE("the other events arrive as what they are", "[agent][unit]") {
  CHECK(decode(RunEnded{"r", from_unix_ns(5), true}).run_ended().is_approximate());
  const StackDigest from{sha256("from").bytes};
  const StackDigest to{sha256("to").bytes};
  const v1::Event advanced = decode(StackAdvanced{from, to, {}});
  CHECK_FALSE(advanced.stack_advanced().is_of_running());
  CHECK(decode(StackAdvanced{from, to, {}, true}).stack_advanced().is_of_running());
  CHECK(advanced.stack_advanced().from() == from.raw());
  CHECK(advanced.stack_advanced().to() == to.raw());
  CHECK(advanced.stack_advanced().verdict().status() == v1::VERDICT_STATUS_PENDING);
  CHECK(advanced.time_ns() == to_unix_ns(kNow.wall));
  RunNamed named;
  named.names.container_id = "id";
  named.claim_conflicts = {"docker's record: 2 layers"};
  CHECK(decode(named).run_named().names().container_id() == "id");
  REQUIRE(decode(named).run_named().claim_conflicts_size() == 1);
  CHECK(decode(named).run_named().claim_conflicts(0) == "docker's record: 2 layers");
  RunViewed viewed{named.run_id, {}, from};
  viewed.view.state = catalog::ViewState::kDiffers;
  viewed.view.masked = 3;
  viewed.view.masked_paths = {"/bin/sh (edited in the container)"};
  CHECK(decode(viewed).run_viewed().view().state() == "differs");
  CHECK(decode(viewed).run_viewed().view().masked() == 3);
  CHECK(decode(viewed).run_viewed().view().masked_paths_size() == 1);
  CHECK(decode(viewed).run_viewed().stack() == from.raw());
  ExecSeen exec;
  exec.exec.executable = "/bin/ls";
  exec.exec.is_from_upper = true;
  CHECK(decode(exec).exec_seen().is_from_upper());
  exec.exec.file.origin = catalog::ExecOrigin::kMemory;
  exec.exec.file.path = "/memfd:x\xff";
  CHECK(decode(exec).exec_seen().file().origin() == "memory");
  CHECK(decode(exec).exec_seen().file().path() == "/memfd:x\\xff");
  const v1::Event gap = decode(EvidenceGap{from_unix_ns(1), from_unix_ns(2), "lost", 3});
  CHECK(gap.evidence_gap().lost() == 3);
  CHECK(gap.time_ns() == 1);
  const v1::Event noisy =
      decode(RunNoisy{"r", Budget::kStarts, from_unix_ns(1), from_unix_ns(4), 9, 50, true});
  CHECK(noisy.run_noisy().run_id() == "r");
  CHECK(noisy.run_noisy().budget() == "starts");
  CHECK(noisy.run_noisy().from_ns() == 1);
  CHECK(noisy.run_noisy().until_ns() == 4);
  CHECK(noisy.run_noisy().dropped() == 9);
  CHECK(noisy.run_noisy().limit() == 50);
  CHECK(noisy.run_noisy().is_over());
}

TEST_CASE("bytes that are not UTF-8 are escaped, so that no name stops an event", "[agent][unit]") {
  RunStarted run = make_run();
  run.start.executable = "/bin/\xff\xc3\x28\xe2\x82\xac";
  run.start.arguments = {std::string("a\0b", 3), "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\xaf"};
  const v1::RunStarted decoded = decode(run).run_started();
  CHECK(decoded.executable() == "/bin/\\xff\\xc3(\xe2\x82\xac");
  CHECK(decoded.arguments(0) == std::string("a\0b", 3));
  CHECK(decoded.arguments(1) == "\\xed\\xa0\\x80");
  CHECK(decoded.arguments(2) == "\\xf4\\x90\\x80\\x80");
  CHECK(decoded.arguments(3) == "\\xc0\\xaf");
}

TEST_CASE("a stack's description gives back the stack and so its digest", "[agent][unit]") {
  catalog::Stack stack;
  stack.cluster = "c";
  stack.node = "n";
  catalog::StackLayer layer;
  layer.instance = {"uuid:1", 2, 3, 4};
  layer.evidence.shape = ShapeDigest{sha256("shape").bytes};
  layer.evidence.content = ContentDigest{sha256("content").bytes};
  layer.evidence.deletions = DeletionsDigest{sha256("deletions").bytes};
  layer.evidence.claimed = DiffId{sha256("claimed").bytes};
  layer.evidence.claimed_chain = ChainId{sha256("chain").bytes};
  layer.evidence.is_claim_for_display = true;
  layer.evidence.is_capped_at_shape = true;
  layer.evidence.gap = "why not";
  layer.evidence.tampered = "/bin/ls (mode)";
  layer.name = "/var/lib/x";
  layer.is_injected = true;
  layer.entries = 5;
  layer.content_bytes = 6;
  stack.layers = {layer, {}};
  auto decoded = decode_stack(encode_stack(stack));
  REQUIRE(decoded);
  decoded->cluster = stack.cluster;
  decoded->node = stack.node;
  CHECK(catalog::digest_of(*decoded) == catalog::digest_of(stack));
  CHECK(decoded->layers[0].evidence == layer.evidence);
  CHECK(decoded->layers[0].name == "/var/lib/x");
  CHECK(decoded->layers[0].entries == 5);
}

TEST_CASE("what the layers say of themselves travels with the stack", "[agent][unit]") {
  catalog::LayerAbout layer;
  layer.nodes["etc/os-release"].kind = catalog::AboutNode::Kind::kFile;
  layer.nodes["etc/os-release"].distribution = {"debian", "12", "Debian \xff", "slim"};
  layer.nodes["var/lib/dpkg/status"].kind = catalog::AboutNode::Kind::kFile;
  layer.nodes["var/lib/dpkg/status"].database = {"dpkg", "status", "", 88, "a gap", {}};
  catalog::Stack stack;
  stack.layers.resize(2);
  stack.layers[0].about = catalog::encode_about(layer);
  stack.layers[1].about = "no JSON";
  v1::Stack wire;
  REQUIRE(wire.ParseFromString(encode_stack(stack)));
  CHECK(wire.about().distribution().id() == "debian");
  CHECK(wire.about().distribution().version() == "12");
  CHECK(wire.about().distribution().variant() == "slim");
  REQUIRE(wire.about().databases_size() == 1);
  CHECK(wire.about().databases(0).manager() == "dpkg");
  CHECK(wire.about().databases(0).packages() == 88);
  CHECK(wire.about().databases(0).path() == "var/lib/dpkg/status");
  CHECK(wire.about().databases(0).gap() == "a gap");
  stack.layers.clear();
  REQUIRE(wire.ParseFromString(encode_stack(stack)));
  CHECK_FALSE(wire.has_about());
}

TEST_CASE("a description with a digest of another length is corrupt", "[agent][unit]") {
  v1::Stack stack;
  stack.add_layers()->set_shape("short");
  const auto decoded = decode_stack(stack.SerializeAsString());
  REQUIRE_FALSE(decoded);
  CHECK(decoded.error().code == ErrorCode::kCorrupt);
  CHECK_FALSE(decode_stack("\xff\xff"));
}

TEST_CASE("a full state is told in three kinds of events", "[agent][unit]") {
  CHECK(decode(StateBegun{7}).state_begun().request() == 7);
  const v1::Event present = decode(RunPresent{make_run(), {"docker's record: 3 layers"}});
  CHECK(present.time_ns() == to_unix_ns(kNow.wall));  // of the telling, not of the start
  CHECK(present.run_present().run().run_id() == make_run().run_id);
  REQUIRE(present.run_present().claim_conflicts_size() == 1);
  CHECK(present.run_present().claim_conflicts(0) == "docker's record: 3 layers");
  CHECK(present.run_present().run().started_ns() == 999'000'000'000);
  CHECK(present.run_present().run().stack() == make_run().stack->raw());
  LossCounters loss;
  loss.lost_starts = 5;  // a sweep found what still ran
  loss.ended_untold = 1;
  loss.lost_execs = 2;
  loss.recursion_misses = 3;
  const v1::StateCompleted completed = decode(StateCompleted{4, loss, 5}).state_completed();
  CHECK(completed.runs() == 4);
  CHECK(completed.lost_starts() == 1);
  CHECK(completed.lost_execs() == 2);
  CHECK(completed.recursion_misses() == 3);
  CHECK(completed.catalog_sequence() == 5);
}

}  // namespace
}  // namespace assay::agent
