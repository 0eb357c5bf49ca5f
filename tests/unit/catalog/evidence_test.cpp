// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include <functional>
#include <set>

#include "common/catalog/evidence.h"

using namespace assay;
using namespace assay::catalog;

namespace {

template <typename D>
D filled(std::uint8_t byte) {
  D digest;
  digest.bytes.fill(byte);
  return digest;
}

/// The stack of the test vector in docs/formats/stack.md.
Stack documented_stack() {
  StackLayer lower;
  lower.instance = {"uuid:6f1c0f3e-6b0f-4a55-9f0e-1d2c3b4a5968", 131073, 7, 1760000000123456789};
  lower.evidence.claimed = filled<DiffId>(0x11);
  lower.evidence.claimed_chain = filled<ChainId>(0x66);
  lower.evidence.shape = filled<ShapeDigest>(0x22);
  lower.evidence.content = filled<ContentDigest>(0x33);
  lower.evidence.deletions = filled<DeletionsDigest>(0x44);
  lower.evidence.gap = "no tar stream";
  lower.evidence.tampered = "/bin/ls (mode)";
  StackLayer upper;
  upper.instance = {"dev:0:52@3f2504e0", 42, 0, 0};
  upper.evidence.claimed = filled<DiffId>(0x77);
  upper.evidence.claimed_chain = filled<ChainId>(0x88);
  upper.evidence.is_claim_for_display = true;
  upper.evidence.shape = filled<ShapeDigest>(0x55);
  upper.evidence.is_capped_at_shape = true;
  upper.evidence.is_mutable = true;
  upper.is_injected = true;
  return Stack{"prod", "node-1", {lower, upper}, ""};
}

}  // namespace

TEST_CASE("the documented stacks have the documented digests", "[catalog][unit]") {
  CHECK(digest_of(documented_stack()).hex() ==
        "6cadaef50ce0f082219906b1796eb8d4873da801610bcfc8dc503ad4d408052f");
  CHECK(digest_of(Stack{}).hex() ==
        "61aa6d97b0287d25aba7b7d3f90c7d8531417489f02fafd560cf7d75b77d84f0");
}

namespace {

using Changes = std::vector<std::function<void(Stack&)>>;

/// Whose layers they are and where they lie.
const Changes kPlaces = {
    [](Stack& s) { s.cluster = "test"; },
    [](Stack& s) { s.node = "node-2"; },
    [](Stack& s) { std::swap(s.cluster, s.node); },
    [](Stack& s) { s.layers[0].instance.file_system += "x"; },
    [](Stack& s) { s.layers[0].instance.inode++; },
    [](Stack& s) { s.layers[0].instance.generation++; },
    [](Stack& s) { s.layers[0].instance.birth_ns = -1; },
};

const Changes kEvidence = {
    [](Stack& s) { s.unsupported = "fuse"; },
    [](Stack& s) { s.layers.pop_back(); },
    [](Stack& s) { std::swap(s.layers[0], s.layers[1]); },
    [](Stack& s) { s.layers[0].evidence.claimed.reset(); },
    [](Stack& s) { s.layers[0].evidence.claimed_chain.reset(); },
    [](Stack& s) { s.layers[0].evidence.is_claim_for_display = true; },
    [](Stack& s) { s.layers[0].evidence.shape.reset(); },
    [](Stack& s) { s.layers[0].evidence.content->bytes[31] ^= 1; },
    [](Stack& s) { s.layers[0].evidence.deletions.reset(); },
    [](Stack& s) { s.layers[0].evidence.exact = filled<DiffId>(0x11); },
    [](Stack& s) {  // the same bytes on another rung
      s.layers[0].evidence.exact = s.layers[0].evidence.claimed;
      s.layers[0].evidence.claimed.reset();
    },
    [](Stack& s) { s.layers[0].evidence.is_capped_at_shape = true; },
    [](Stack& s) { s.layers[0].evidence.is_mutable = true; },
    [](Stack& s) { s.layers[0].evidence.gap = ""; },
    [](Stack& s) { s.layers[0].evidence.tampered = ""; },
    [](Stack& s) { s.layers[1].is_injected = false; },
    [](Stack& s) { s.seen_layers = 1; },
    [](Stack& s) { s.is_masked = true; },
};

/// How many digests there are of the documented stack and of what each change makes of it.
template <typename DigestOf>
std::size_t count_digests(const Changes& changes, DigestOf digest_of_one) {
  std::set<std::string> digests = {digest_of_one(documented_stack()).hex()};
  for (const auto& change : changes) {
    Stack stack = documented_stack();
    change(stack);
    digests.insert(digest_of_one(stack).hex());
  }
  return digests.size();
}

}  // namespace

TEST_CASE("every fact of a stack changes its digest", "[catalog][unit]") {
  Changes all = kPlaces;
  all.insert(all.end(), kEvidence.begin(), kEvidence.end());
  CHECK(count_digests(all, digest_of) == all.size() + 1);
}

TEST_CASE("the digest of evidence is the same wherever the layers lie", "[catalog][unit]") {
  CHECK(count_digests(kEvidence, evidence_digest_of) == kEvidence.size() + 1);
  CHECK(count_digests(kPlaces, evidence_digest_of) == 1);
}

TEST_CASE("hints and numbers for people stay out of the digest", "[catalog][unit]") {
  Stack stack = documented_stack();
  stack.layers[0].name = "/var/lib/docker/overlay2/l/ABC";
  stack.layers[0].entries = 5;
  stack.layers[0].content_bytes = 6;
  CHECK(digest_of(stack) == digest_of(documented_stack()));
}
