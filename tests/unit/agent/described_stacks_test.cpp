// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "agent/app/journal.h"
#include "agent/uplink/event_codec.h"

namespace assay::agent {
namespace {

catalog::Stack stack_on(std::uint64_t inode) {
  catalog::Stack stack;
  stack.layers.resize(1);
  stack.layers[0].instance.inode = inode;
  return stack;
}

TEST_CASE("a stack is described once, and the oldest description goes first", "[agent][unit]") {
  DescribedStacks described(2);
  std::vector<StackDigest> digests;
  for (std::uint64_t inode = 1; inode <= 3; ++inode) {
    const catalog::Stack stack = stack_on(inode);
    digests.push_back(catalog::digest_of(stack));
    CHECK(described.describe(digests.back(), stack) == encode_stack(stack));
  }
  // What is remembered comes back without a look at the stack.
  CHECK(described.describe(digests[2], stack_on(9)) == encode_stack(stack_on(3)));
  CHECK(described.describe(digests[1], stack_on(9)) == encode_stack(stack_on(2)));
  CHECK(described.describe(digests[0], stack_on(9)) == encode_stack(stack_on(9)));
}

}  // namespace
}  // namespace assay::agent
