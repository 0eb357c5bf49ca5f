// SPDX-License-Identifier: Apache-2.0
// Making tokens, on a real store, with a clock that stands still.
#include "collector/query/access_answers.h"

#include "common/base/sha256.h"
#include "tests/unit/collector/commit_bench.h"

namespace assay::collector {
namespace {

using namespace tests;
using namespace std::chrono_literals;

struct TokenDesk {
  Bench bench{make_catalog(1, {})};
  TokenBook book{{}};
  AccessAnswers answers{*bench.store, *bench.loop, book, bench.clock, 365 * 24h};
  Principal who = admin();
  v1::CreatedToken made;

  static Principal admin() {
    Principal who;
    who.role = Role::kAdmin;
    who.user = "ann";
    return who;
  }
  WallTime now() const { return bench.clock.wall_now(); }
  Result<void> create(const std::string& name, std::int64_t expires_ns = 0) {
    v1::CreateTokenRequest request;
    request.set_name(name);
    request.set_role("viewer");
    request.set_expires_ns(expires_ns);
    made.Clear();
    return answers.create_token(who, {who.text(), "ipv4:192.0.2.7:1"}, request, made);
  }
  std::size_t rows() { return bench.store->load_tokens()->size(); }
};

TEST_CASE("tokens that ended long ago make room for new ones", "[collector][unit]") {
  TokenDesk here;
  const std::int64_t expires_ns = to_unix_ns(here.now() + 1h);
  std::vector<TokenRow> rows;
  for (std::size_t i = 0; i < kMaxTokens; ++i) {
    const std::string id = std::to_string(i);
    rows.push_back({{id, "t" + id, Role::kViewer, {}, 1, "user:ann", expires_ns}, sha256(id)});
    here.book.add(rows.back());
  }
  REQUIRE(here.bench.loop->change(10, [&](StoreWriter& store) -> Result<void> {
    for (const TokenRow& row : rows)
      ASSAY_TRY(store.add_token(row));
    return ok();
  }));
  CHECK(here.create("new").error().code == ErrorCode::kLimitExceeded);
  here.bench.clock.advance(1h + kTokenKept);
  CHECK(here.create("new").error().code == ErrorCode::kLimitExceeded);
  here.bench.clock.advance(1s);
  REQUIRE(here.create("new"));
  CHECK(here.book.list().size() == 1);
  CHECK(here.rows() == 1);
}

TEST_CASE("no token outlives the one that makes it", "[collector][unit]") {
  TokenDesk here;
  const std::int64_t end = to_unix_ns(here.now() + 1h), year = to_unix_ns(here.now() + 365 * 24h);
  here.who.token = TokenGrant{"00ff", {}, end};
  REQUIRE(here.create("default"));
  CHECK(here.made.token().expires_ns() == end);
  REQUIRE(here.create("same", end));
  for (const std::int64_t late : {end + 1, year}) {
    const auto refused = here.create("late", late);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kPermissionDenied);
    CHECK_THAT(refused.error().message, Catch::Contains("no token outlives"));
  }
  CHECK(here.rows() == 2);
  here.who = TokenDesk::admin();  // by certificate
  REQUIRE(here.create("late", year));
  CHECK(here.made.token().expires_ns() == year);
  here.who.token = TokenGrant{"00ff", {}, year};
  REQUIRE(here.create("usual"));
  CHECK(here.made.token().expires_ns() == to_unix_ns(here.now() + 90 * 24h));
}

}  // namespace
}  // namespace assay::collector
