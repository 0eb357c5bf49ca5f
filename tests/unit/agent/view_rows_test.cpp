// SPDX-License-Identifier: Apache-2.0
#include "agent/app/view_rows.h"

#include <catch2/catch.hpp>

using namespace assay;
using namespace assay::agent;
using catalog::LayerOutcome;
using catalog::View;
using catalog::ViewState;

namespace {

View view_of(ViewState state, std::uint64_t layers) {
  View view;
  view.state = state;
  view.layers = layers;
  return view;
}

}  // namespace

TEST_CASE("what a container sees is a row with its outcome", "[agent][unit]") {
  const catalog::VerifiedContainer run{"r1", "c1", "web"};
  CHECK(view_row(run, view_of(ViewState::kAgrees, 2))->outcome == LayerOutcome::kAsRecorded);
  View masked = view_of(ViewState::kDiffers, 2);
  masked.masked_paths = {"/usr/lib/libc.so.6 (a mount)"};
  const auto row = view_row(run, masked);
  REQUIRE(row);
  CHECK(row->outcome == LayerOutcome::kChanged);
  CHECK(row->changes == masked.masked_paths);
  CHECK(row->containers == std::vector{run});
  CHECK(row->checked == std::vector<std::string>{"view"});
}

TEST_CASE("a look that failed is told, one that had nothing to look for is not", "[agent][unit]") {
  View failed = view_of(ViewState::kUnchecked, 1);
  failed.reason = "too many paths";
  CHECK(view_row({}, failed)->outcome == LayerOutcome::kNotChecked);
  CHECK(view_row({}, failed)->reason == "too many paths");
  CHECK_FALSE(view_row({}, view_of(ViewState::kUnchecked, 0)));
  // Mounts alone were looked at, and one hides something.
  CHECK(view_row({}, view_of(ViewState::kDiffers, 0))->outcome == LayerOutcome::kChanged);
}
