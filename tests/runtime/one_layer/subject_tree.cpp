// SPDX-License-Identifier: Apache-2.0
// What the subject's two layers hold.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>

#include "common/base/unique_fd.h"
#include "tests/runtime/one_layer/subject.h"
#include "tests/support/tar_builder.h"

namespace assay::tests {
namespace {

// Of everything in the application's layer, which tools write with whole seconds.
constexpr std::int64_t kApplicationTime = 1'700'000'000;

void must(bool is_done, const std::string& what) {
  if (!is_done) throw std::runtime_error("cannot " + what);
}

void set_time(const std::string& path, std::int64_t seconds, long nanoseconds) {
  const timespec times[2] = {{seconds, nanoseconds}, {seconds, nanoseconds}};
  must(::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) == 0, "set a time");
}

void write_sparse(const std::string& path) {
  write_bytes(path, "");
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  must(::ftruncate(fd.get(), 3'000'000) == 0, "make a hole");
  for (const off_t offset : {100'000, 1'000'000, 2'000'000})
    must(::pwrite(fd.get(), "data", 4, offset) == 4, "write between holes");
}

void make_files(const std::string& root) {
  std::filesystem::create_directories(root + "/bin");
  std::filesystem::create_directories(root + "/var/lib/app/sub");
  std::filesystem::create_directories(root + "/private");
  std::filesystem::create_directories(root + "/etc");
  std::filesystem::copy_file(must_run({"sh", "-c", "command -v busybox"}), root + "/bin/busybox");
  std::filesystem::create_symlink("busybox", root + "/bin/sh");
  std::filesystem::create_hard_link(root + "/bin/busybox", root + "/bin/sleep");
  write_bytes(root + "/etc/os-release", "NAME=Varied\n");
  write_bytes(root + "/etc/empty", "");
  write_bytes(root + "/var/lib/app/old", std::string(300'000, 'o'));
  write_bytes(root + "/var/lib/app/sub/deep", "deep");
  write_bytes(root + "/private/\xff\xfe name", "not UTF-8");
  write_bytes(root + "/" + std::string(200, 'n'), "long name");
  write_bytes(root + "/setuid", "#!/bin/sh\n");
  write_bytes(root + "/ping", "elf");
  write_sparse(root + "/sparse");
  std::filesystem::create_symlink(std::string(150, 't'), root + "/long-target");
  must(::mkfifo((root + "/pipe").c_str(), 0640) == 0, "make a pipe");
  must(::mknod((root + "/null").c_str(), S_IFCHR | 0666, makedev(1, 3)) == 0, "make a device");
  must(::mknod((root + "/disk").c_str(), S_IFBLK | 0660, makedev(8, 0)) == 0, "make a device");
}

void set_metadata(const std::string& root) {
  ::chmod((root + "/private").c_str(), 0700);
  ::chmod(root.c_str(), 0711);
  must(::chown((root + "/setuid").c_str(), 3'000'000, 2'500'000) == 0, "set an owner");
  ::chmod((root + "/setuid").c_str(), 06755);
  set_time(root + "/setuid", 1'234'567'890, 987'654'321);
  must(::lchown((root + "/bin/sh").c_str(), 12, 34) == 0, "set an owner");
  set_time(root + "/bin/sh", 1'000'000'000, 5);
  const std::string capability(
      "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
      "\x00\x00\x00",
      20);  // cap_net_raw+ep
  must(::setxattr((root + "/ping").c_str(), "security.capability", capability.data(),
                  capability.size(), 0) == 0,
       "set a capability");
}

}  // namespace

void make_varied_tree(const std::string& root) {
  make_files(root);
  set_metadata(root);
}

void apply_application(const std::string& root) {
  std::filesystem::create_directories(root + "/opt/app/bin");
  std::filesystem::remove(root + "/etc/os-release");
  std::filesystem::remove_all(root + "/var/lib/app");
  std::filesystem::create_directory(root + "/var/lib/app");
  write_bytes(root + "/opt/app/bin/run", "#!/bin/sh\n");
  write_bytes(root + "/var/lib/app/new", "new");
  for (const char* name : {"/opt/app/bin/run", "/var/lib/app/new"}) {
    ::chmod((root + name).c_str(), 0644);
    set_time(root + name, kApplicationTime, 0);
  }
}

std::string application_script() {
  return "set -e; umask 022; busybox mkdir -p /opt/app/bin; busybox rm /etc/os-release;"
         "busybox rm -r /var/lib/app; busybox mkdir /var/lib/app;"
         "busybox printf '#!/bin/sh\\n' >/opt/app/bin/run; busybox printf new >/var/lib/app/new;"
         "busybox touch -d @" +
         std::to_string(kApplicationTime) + " /opt/app/bin/run /var/lib/app/new";
}

std::string application_tar(bool is_spelled) {
  TarBuilder tar;
  tar.add(tar_item("opt/app/bin/run", '0', "#!/bin/sh\n")).add(tar_item("etc/.wh.os-release"));
  if (is_spelled) {
    tar.add(tar_item("var/lib/app/.wh.old")).add(tar_item("var/lib/app/.wh.sub"));
  } else {
    tar.add(tar_item("var/lib/app/.wh..wh..opq"));
  }
  return tar.add(tar_item("var/lib/app/new", '0', "new")).finish();
}

}  // namespace assay::tests
