// SPDX-License-Identifier: Apache-2.0
#include "tests/runtime/one_layer/id_mapped_mount.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "common/base/unique_fd.h"

namespace assay::tests {
namespace {

[[noreturn]] void fail(const char* what) {
  throw std::runtime_error(std::string("id-mapped mount: ") + what);
}

// A descriptor of a user namespace with this map.
UniqueFd user_namespace(const std::string& map) {
  int ready[2];
  if (::pipe2(ready, O_CLOEXEC) != 0) fail("pipe");
  const pid_t pid = ::fork();
  if (pid == 0) {
    const char answer = ::unshare(CLONE_NEWUSER) == 0 ? 'y' : 'n';
    (void)!::write(ready[1], &answer, 1);
    for (;;)
      ::pause();
  }
  char answer = 'n';
  (void)!::read(ready[0], &answer, 1);
  const std::string process = "/proc/" + std::to_string(pid);
  std::ofstream(process + "/uid_map") << map;
  std::ofstream(process + "/gid_map") << map;
  UniqueFd fd(::open((process + "/ns/user").c_str(), O_RDONLY | O_CLOEXEC));
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
  if (answer != 'y' || !fd) fail("no user namespace");
  return fd;
}

}  // namespace

IdMappedMount::IdMappedMount(const std::string& folder, std::uint64_t first, std::uint64_t count)
    : path_(folder + "-mapped") {
  const UniqueFd names =
      user_namespace("0 " + std::to_string(first) + " " + std::to_string(count) + "\n");
  const UniqueFd tree(static_cast<int>(
      ::syscall(SYS_open_tree, AT_FDCWD, folder.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)));
  if (!tree) fail("open_tree");
  struct mount_attr attributes = {};
  attributes.attr_set = MOUNT_ATTR_IDMAP;
  attributes.userns_fd = static_cast<std::uint64_t>(names.get());
  if (::syscall(SYS_mount_setattr, tree.get(), "", AT_EMPTY_PATH, &attributes,
                sizeof(attributes)) != 0)
    fail("mount_setattr");
  std::filesystem::create_directory(path_);
  if (::syscall(SYS_move_mount, tree.get(), "", AT_FDCWD, path_.c_str(), MOVE_MOUNT_F_EMPTY_PATH) !=
      0)
    fail("move_mount");
}

IdMappedMount::~IdMappedMount() {
  ::umount2(path_.c_str(), MNT_DETACH);
  ::rmdir(path_.c_str());
}

}  // namespace assay::tests
