// SPDX-License-Identifier: Apache-2.0
#include "agent/identify/layer_prover.h"

#include <sys/stat.h>
#include <sys/xattr.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/unit/agent/exact_fixture.h"

namespace assay::agent {
namespace {

using namespace tests;
namespace fs = std::filesystem;
using Paths = std::vector<std::string>;

struct Proving : ExactFixture {
  LayerProver prover{{opener, claims, streams}};

  Proof prove() {
    auto proof = prover.prove(task, {}, {});
    if (!proof) FAIL(proof.error().text());
    return std::move(*proof);
  }
  void check_exact() {
    const Proof proof = prove();
    CAPTURE(difference_text(proof.outcome), proof.outcome.reason);
    CHECK(proof.outcome.status == ExactStatus::kExact);
    REQUIRE(proof.exact);
    CHECK(proof.exact->diff_id == diff_id());
    CHECK(proof.outcome.stream_bytes == tar.size());
    CHECK(difference_text(proof.outcome).empty());
  }
  ExactOutcome check_differs() {
    const Proof proof = prove();
    CAPTURE(proof.outcome.reason);
    CHECK(proof.outcome.status == ExactStatus::kDiffers);
    CHECK_FALSE(proof.exact);
    return proof.outcome;
  }
  void check_no_source(const std::string& reason) {
    const Proof proof = prove();
    CHECK(proof.outcome.status == ExactStatus::kNoSource);
    CHECK_FALSE(proof.exact);
    CHECK(proof.outcome.reason.find(reason) != std::string::npos);
    CHECK(difference_text(proof.outcome).empty());
  }
};

TEST_CASE("a directory that is its tar stream is exact", "[agent][unit]") {
  Proving fixture;
  fixture.check_exact();
  fixture.claim(StreamPlace::Kind::kBlob, "blob");
  fixture.check_exact();
}

TEST_CASE("bytes that were changed are named, by either source", "[agent][unit]") {
  Proving fixture;
  fixture.change("etc/one", "ONE\n");
  SECTION("tar-split: the stream is another, and agrees with the directory") {
    const ExactOutcome outcome = fixture.check_differs();
    CHECK(outcome.is_other_diff_id);
    CHECK_FALSE(outcome.is_other_shape);
    CHECK_FALSE(outcome.is_other_content);
    CHECK(outcome.paths == Paths{"/etc/one (content)"});
    CHECK(difference_text(outcome) == "the store's tar-split gives " + outcome.found->text() +
                                          ", the store says " + fixture.diff_id().text() +
                                          ": /etc/one (content)");
  }
  SECTION("blob: the stream is what it was, and the directory is another") {
    fixture.claim(StreamPlace::Kind::kBlob, "blob");
    const ExactOutcome outcome = fixture.check_differs();
    CHECK_FALSE(outcome.is_other_diff_id);
    CHECK_FALSE(outcome.is_other_shape);
    CHECK(outcome.is_other_content);
    CHECK(outcome.paths == Paths{"/etc/one (content)"});
  }
}

TEST_CASE("what no stream shows is found in the directory", "[agent][unit]") {
  Proving fixture;
  const std::string tree = fixture.scratch.path("tree");
  const auto differs = [&](const Paths& paths) {
    const ExactOutcome outcome = fixture.check_differs();
    CHECK_FALSE(outcome.is_other_diff_id);
    CHECK(outcome.is_other_shape);
    CHECK(outcome.paths == paths);
  };
  SECTION("a file more") {
    fixture.scratch.write("tree/bin/evil", "#!/bin/sh\n");
    differs({"/bin (added)", "/bin/evil (added)"});
  }
  SECTION("another mode") {
    ::chmod((tree + "/etc/one").c_str(), 04755);
    differs({"/etc/one (mode)"});
  }
  SECTION("a name that would fool a terminal") {
    fixture.scratch.write("tree/\x1b[2J", "");
    differs({"/\\x1b[2J (added)"});
  }
}

TEST_CASE("files that are gone or of another size do not end the comparison", "[agent][unit]") {
  Proving fixture;
  fs::remove(fixture.scratch.path("tree/etc/one"));
  fixture.scratch.write("tree/etc/two", "longer than it was\n");
  const ExactOutcome outcome = fixture.check_differs();
  CHECK(outcome.is_other_diff_id);
  REQUIRE(outcome.paths.size() == 2);
  CHECK(outcome.paths[0] == "/etc/one (removed)");
  CHECK(outcome.paths[1].starts_with("/etc/two ("));
}

TEST_CASE("a tar-split that carries the bytes itself proves nothing", "[agent][unit]") {
  Proving fixture;
  fixture.scratch.write("store/split", assay::tests::segment_line(0, fixture.tar));
  const ExactOutcome outcome = fixture.check_differs();  // even of a directory that is the layer
  CHECK_FALSE(outcome.found);
  CHECK(difference_text(outcome).find("cannot be read: ") != std::string::npos);
  CHECK(outcome.reason.find("itself") != std::string::npos);
  fixture.change("etc/one", "ONE\n");
  fixture.check_differs();
}

TEST_CASE("paths are bounded, and counted", "[agent][unit]") {
  Proving fixture;
  for (int i = 0; i < 100; ++i)
    fixture.scratch.write("tree/added-" + std::to_string(100 + i), "");
  const ExactOutcome outcome = fixture.check_differs();
  CHECK(outcome.paths.size() == kMaxExactPaths);
  CHECK(outcome.more_paths == 100 - kMaxExactPaths);
  const std::string text = difference_text(outcome);
  CHECK(text.size() < 1024);
  CHECK(text.find(" more") != std::string::npos);
}

TEST_CASE("without a source nothing is said of the layer", "[agent][unit]") {
  Proving fixture;
  LayerClaim& claim = fixture.claims.known.begin()->second;
  SECTION("no claim") {
    fixture.claims.known.clear();
    fixture.check_no_source("no store says");
  }
  SECTION("no diff ID") {
    claim.diff_id.reset();
    fixture.check_no_source("no store says");
  }
  SECTION("a claim for display") {
    claim.is_for_display = true;
    fixture.check_no_source("someone but root may write its store");
    CHECK(fixture.streams.opened == 0);
  }
  SECTION("none kept") {
    claim.stream = {};
    fixture.check_no_source("keeps no tar stream");
  }
  SECTION("gone") {
    fs::remove(fixture.scratch.path("store/split"));
    fixture.check_no_source("there is no split");
  }
  SECTION("others may write it") {
    fixture.streams.is_others = true;
    fixture.check_no_source("someone but root may write");
  }
  SECTION("a root without layers") {
    fixture.task.is_root_directory = true;
    fixture.check_no_source("without layers");
  }
}

TEST_CASE("a directory that cannot be opened is an error, not an answer", "[agent][unit]") {
  Proving fixture;
  fs::remove_all(fixture.scratch.path("tree"));
  const auto proof = fixture.prover.prove(fixture.task, {}, {});
  REQUIRE_FALSE(proof);
  CHECK(proof.error().code == ErrorCode::kNotFound);
  std::stop_source stop;
  stop.request_stop();
  Proving other;
  const auto stopped = other.prover.prove(other.task, {}, stop.get_token());
  REQUIRE_FALSE(stopped);
  CHECK(stopped.error().code == ErrorCode::kCancelled);
}

}  // namespace
}  // namespace assay::agent
