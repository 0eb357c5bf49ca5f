// SPDX-License-Identifier: Apache-2.0
#include "common/base/guarded_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>

#include "common/base/unique_fd.h"

namespace assay {
namespace {

constexpr uid_t kRoot = 0, kNobody = 65534;

struct Row {
  Guard guard;
  mode_t mode;
  uid_t owner;
  const char* command;  ///< that mends it; null: the file is read
};

class GuardedFile {
 public:
  GuardedFile() {
    char name[] = "/tmp/assay-guarded-XXXXXX";
    const UniqueFd fd(::mkstemp(name));
    REQUIRE(fd);
    REQUIRE(::write(fd.get(), "text", 4) == 4);
    path_ = name;
  }
  ~GuardedFile() { ::unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST_CASE("a file that the wrong users may have is refused with what mends it", "[base][unit]") {
  const Row rows[] = {
      {Guard::kSecret, 0600, kRoot, nullptr},       {Guard::kSecret, 0400, kRoot, nullptr},
      {Guard::kSecret, 0640, kRoot, nullptr},  // a mounted secret
      {Guard::kSecret, 0644, kRoot, "chmod 600"},   {Guard::kSecret, 0660, kRoot, "chmod 600"},
      {Guard::kSecret, 0601, kRoot, "chmod 600"},   {Guard::kSecret, 0600, kNobody, "chown 0"},
      {Guard::kTrusted, 0644, kRoot, nullptr},      {Guard::kTrusted, 0664, kRoot, "chmod go-w"},
      {Guard::kTrusted, 0646, kRoot, "chmod go-w"}, {Guard::kTrusted, 0600, kNobody, "chown 0"},
  };
  if (::geteuid() != kRoot) return;  // owners cannot be set
  const GuardedFile file;
  for (const Row& row : rows) {
    CAPTURE(row.mode, row.owner);
    REQUIRE(::chown(file.path().c_str(), row.owner, row.owner) == 0);
    REQUIRE(::chmod(file.path().c_str(), row.mode) == 0);
    const auto text = read_guarded_file(file.path(), 100, row.guard);
    CHECK(text.has_value() == (row.command == nullptr));
    if (text) {
      CHECK(*text == "text");
      continue;
    }
    CHECK(text.error().code == ErrorCode::kUntrusted);
    CHECK_THAT(text.error().message, Catch::EndsWith(std::string(row.command) + " " + file.path()));
  }
}

TEST_CASE("pipes and limits of guarded files", "[base][unit]") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const UniqueFd read_end(ends[0]);
  {
    const UniqueFd write_end(ends[1]);
    REQUIRE(::write(write_end.get(), "piped", 5) == 5);
  }
  const std::string path = "/dev/fd/" + std::to_string(read_end.get());
  CHECK(*read_guarded_file(path, 100, Guard::kSecret) == "piped");

  const GuardedFile file;
  CHECK(read_guarded_file(file.path(), 3, Guard::kSecret).error().code ==
        ErrorCode::kLimitExceeded);
  CHECK(read_guarded_file(file.path() + "-none", 3, Guard::kSecret).error().code ==
        ErrorCode::kNotFound);
}

}  // namespace
}  // namespace assay
