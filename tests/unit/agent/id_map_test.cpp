// SPDX-License-Identifier: Apache-2.0
#include "agent/identify/id_map.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "common/base/unique_fd.h"

namespace assay::agent {
namespace {

IdMap map_of(std::uint64_t in_image, std::uint64_t on_disk, std::uint64_t count) {
  return {{{on_disk, in_image, count}}, {{on_disk, in_image, count}}, "u:test"};
}

bool write_all(const std::string& path, const std::string& text) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// A process that waits in a user namespace of its own, in which this user is root.
class Namespaced {
 public:
  Namespaced() {
    int ready[2];
    REQUIRE(::pipe2(ready, O_CLOEXEC) == 0);
    const std::string uids = "0 " + std::to_string(::geteuid()) + " 1";
    const std::string gids = "0 " + std::to_string(::getegid()) + " 1";
    pid_ = ::fork();
    if (pid_ == 0) {
      const bool is_done =
          ::unshare(CLONE_NEWUSER) == 0 && write_all("/proc/self/setgroups", "deny") &&
          write_all("/proc/self/uid_map", uids) && write_all("/proc/self/gid_map", gids);
      const char answer = is_done ? 'y' : 'n';
      (void)!::write(ready[1], &answer, 1);
      for (;;)
        ::pause();
    }
    char answer = 'n';
    (void)!::read(ready[0], &answer, 1);
    is_ready_ = answer == 'y';
    ::close(ready[0]);
    ::close(ready[1]);
  }
  ~Namespaced() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  bool is_ready() const { return is_ready_; }
  std::uint32_t pid() const { return static_cast<std::uint32_t>(pid_); }

 private:
  pid_t pid_ = -1;
  bool is_ready_ = false;
};

ProcessInfo process(std::uint32_t pid) {
  ProcessInfo info;
  info.key.tgid = pid;
  return info;
}

constexpr std::uint32_t kNobody = 0x7FFFFFFF;  // no process has this id

TEST_CASE("a user namespace's map turns ids on disk into the image's", "[agent][unit]") {
  const auto ranges =
      parse_id_map("         1     100001      65535\n         0       1000          1\n");
  REQUIRE(ranges);
  REQUIRE(ranges->size() == 2);
  CHECK(ranges->at(0).in_image == 0);
  CHECK(ranges->at(0).on_disk == 1000);
  CHECK(ranges->at(1).on_disk == 100001);
  CHECK(ranges->at(1).count == 65535);
  CHECK_FALSE(parse_id_map("0 0\n"));
  CHECK_FALSE(parse_id_map("a b c\n"));
}

TEST_CASE("in the host's user namespace and on id-mapped layers ids are as they are",
          "[agent][unit]") {
  LayerTask task;
  task.start.process = process(kNobody);
  task.start.in_host_user_namespace = true;
  CHECK(choose_id_map(id_maps_of(task), 0)->text.empty());
  CHECK(choose_id_map(id_maps_of(task), 4711)->text.empty());
  task.start.in_host_user_namespace = false;
  task.layer.is_id_mapped = true;
  CHECK(choose_id_map(id_maps_of(task), 0)->text.empty());
}

TEST_CASE("the owner of a layer's root directory says who unpacked it", "[agent][unit]") {
  // podman --userns=keep-id of user 1000: root in the container is 100,000 outside, and in the
  // user's own namespace, in which the store was filled, it is 1000.
  const IdMap container = map_of(0, 100'000, 1000);
  const IdMap store = map_of(0, 1000, 1);
  const IdMap host;
  const IdMaps known{{container, store, host}, true};
  CHECK(choose_id_map(known, 100'000)->uids[0].on_disk == 100'000);
  CHECK(choose_id_map(known, 1000)->uids[0].on_disk == 1000);
  CHECK(choose_id_map(known, 0)->uids.empty());
  CHECK(choose_id_map(known, 4711)->uids[0].on_disk == 100'000);  // nobody's: the container's
}

TEST_CASE("a process that is gone has no map, which is said and not guessed", "[agent][unit]") {
  LayerTask task;
  task.start.process = process(kNobody);
  const auto map = choose_id_map(id_maps_of(task), 100'000);
  REQUIRE_FALSE(map);
  CHECK(map.error().code == ErrorCode::kNotFound);
  CHECK(choose_id_map(id_maps_of(task), 0)->text.empty());  // the host's root unpacked it
}

TEST_CASE("maps are those of the container's namespace and of those above it", "[agent][unit]") {
  const Namespaced container;
  if (!container.is_ready()) {
    WARN("no user namespaces here");
    return;
  }
  LayerTask task;
  task.start.process = process(container.pid());
  task.start.ancestors = {process(container.pid()),
                          process(static_cast<std::uint32_t>(::getpid()))};
  const IdMaps found = id_maps_of(task);
  CHECK(found.has_own);
  REQUIRE(found.maps.size() == 2);
  CHECK(found.maps[0].uids[0].on_disk == ::geteuid());
  CHECK(found.maps[0].text.starts_with("u:0:"));
  CHECK(found.maps[1].text.empty());
  task.start.process = process(kNobody);  // its parent's map is known, its own is not
  CHECK_FALSE(id_maps_of(task).has_own);
  CHECK(choose_id_map(id_maps_of(task), ::geteuid()).has_value());
}

}  // namespace
}  // namespace assay::agent
