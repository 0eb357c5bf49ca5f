// SPDX-License-Identifier: Apache-2.0
#include "agent/rootfs/mounted_stack.h"

#include <catch2/catch.hpp>

namespace assay::agent {
namespace {

using Names = std::vector<std::string>;

// Forms as kernel 6.18 shows them.
TEST_CASE("lower directories by the options in mountinfo, bottom first", "[agent][unit]") {
  CHECK(lower_names("rw,lowerdir=/a:/b,upperdir=/u,workdir=/w") == Names{"/b", "/a"});
  CHECK(lower_names("rw,lowerdir=/mnt/a\\134:b:/mnt/plain") == Names{"/mnt/plain", "/mnt/a:b"});
  CHECK(lower_names("lowerdir=/mnt/c\\134\\054d") == Names{"/mnt/c,d"});
  CHECK(lower_names("lowerdir=/mnt/e\\134\\134f") == Names{"/mnt/e\\f"});
  CHECK(lower_names("lowerdir=/mnt/g\\040h,uuid=on") == Names{"/mnt/g h"});
  CHECK(lower_names("lowerdir+=/mnt/a:b,lowerdir+=/mnt/c\\054d,xino=off") ==
        Names{"/mnt/c,d", "/mnt/a:b"});
}

TEST_CASE("names that lead nowhere for certain are none", "[agent][unit]") {
  CHECK_FALSE(lower_names(""));
  CHECK_FALSE(lower_names("rw,upperdir=/u"));
  CHECK_FALSE(lower_names("lowerdir="));
  CHECK_FALSE(lower_names("lowerdir=59/fs:58/fs"));   // relative
  CHECK_FALSE(lower_names("lowerdir=5:6"));           // descriptors
  CHECK_FALSE(lower_names("lowerdir=/a::/objects"));  // data only
  CHECK_FALSE(lower_names("lowerdir+=/a,datadir+=/objects"));
  std::string many = "lowerdir=/a";
  for (int i = 0; i < 500; ++i)
    many += ":/a";
  CHECK_FALSE(lower_names(many));
}

TEST_CASE("what is not mounted completes nothing", "[agent][unit]") {
  ContainerStart start;
  complete_from_mount(start, "/no/such/mount");
  CHECK(start.layers.empty());
  CHECK_FALSE(start.is_overlay);
}

}  // namespace
}  // namespace assay::agent
