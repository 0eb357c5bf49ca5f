// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/containment.h"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace assay;
using namespace assay::catalog;

namespace {

// Files are pairs of a path and a content, both numbers.
using Files = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

std::uint64_t mixed(std::uint64_t value) {  // splitmix64: hashes are spread out
  value += 0x9e3779b97f4a7c15U;
  value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27U)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31U);
}

FileSet set_of(const Files& files) {
  std::vector<FileSetEntry> entries;
  for (const auto& [path, content] : files)
    entries.push_back({mixed(path), mixed((path << 20U) + content)});
  return FileSet(std::move(entries));
}

Files range(std::uint64_t from, std::uint64_t to, std::uint64_t content = 0) {
  Files files;
  for (; from < to; ++from)
    files.emplace_back(from, content);
  return files;
}

Files operator+(Files a, const Files& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

BaseFileSet base(const std::string& name, const Files& files) {
  return {BaseId::parse(name).value(), "linux/amd64",
          std::make_shared<const FileSet>(set_of(files))};
}

// Version 2 replaced 100 of the 1,000 files of version 1.
const Files kVersion1 = range(0, 1000);
const Files kVersion2 = range(0, 900) + range(900, 1000, 1);

FileSetIndex two_versions() {
  return FileSetIndex({base("debian:1", kVersion1), base("debian:2", kVersion2),
                       base("other:1", range(50'000, 51'000))});
}

std::vector<std::string> names_of(const Containment& answer) {
  std::vector<std::string> names;
  for (const ContainedBase& found : answer.contained)
    names.push_back(found.base.text());
  return names;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("a copy of a base contains it and no look-alike", "[files][unit]") {
  const FileSet files = set_of(kVersion1 + range(10'000, 12'000));
  const Containment answer = find_contained(files, two_versions(), {});
  REQUIRE(names_of(answer) == Names{"debian:1"});
  const ContainedBase& found = answer.contained.front();
  CHECK(found.files == 1000);
  CHECK(found.present == 1000);
  CHECK(found.changed == 0);
  CHECK(found.missing == 0);
  CHECK(found.share_permille == 1000);
  CHECK(found.platform == "linux/amd64");
  CHECK(found.rival == "debian:2");
  CHECK(found.own_files == 100);
  CHECK(found.own_present == 100);
  CHECK(answer.why ==
        "100.0 % of base debian:1 is here: 1000 of 1000 files unchanged, 0 changed, 0 missing; "
        "100 of 100 files that tell it from debian:2 are here");
  REQUIRE(answer.runner_up);
  CHECK(answer.runner_up->base.text() == "debian:2");
  CHECK(answer.runner_up->own_present == 0);
  CHECK_FALSE(answer.runner_up->is_contained);
}

TEST_CASE("versions are told apart although an application overwrote a fifth", "[files][unit]") {
  for (const bool is_first : {true, false}) {
    Files files = is_first ? kVersion1 : kVersion2;
    for (std::size_t i = 0; i < files.size(); i += 5)
      files[i].second = 77;
    const Containment answer = find_contained(set_of(files), two_versions(), {});
    CHECK(names_of(answer) == Names{is_first ? "debian:1" : "debian:2"});
    CHECK(answer.contained.front().changed == 200);
    CHECK(answer.contained.front().share_permille == 800);
  }
}

TEST_CASE("an upgrade in place is the version that most of it is", "[files][unit]") {
  const auto upgraded = [](std::uint64_t until) {
    return set_of(range(0, 900) + range(900, until, 1) + range(until, 1000));
  };
  CHECK(names_of(find_contained(upgraded(990), two_versions(), {})) == Names{"debian:2"});
  CHECK(names_of(find_contained(upgraded(920), two_versions(), {})) == Names{"debian:1"});
}

TEST_CASE("where nothing tells two versions apart both are said", "[files][unit]") {
  const Containment answer = find_contained(set_of(range(0, 900)), two_versions(), {});
  CHECK(names_of(answer) == Names{"debian:1", "debian:2"});
  CHECK(answer.contained.front().own_present == 0);
}

TEST_CASE("a base inside another base is contained with it", "[files][unit]") {
  const FileSetIndex index({base("debian:1", kVersion1), base("debian:2", kVersion2),
                            base("java:1", kVersion1 + range(2000, 2500))});
  const FileSet java = set_of(kVersion1 + range(2000, 2500) + range(9000, 9100));
  CHECK(names_of(find_contained(java, index, {})) == Names{"java:1", "debian:1"});
  // And an image of the inner one is not taken for the outer one, which has most of its weight in
  // files that are not there.
  CHECK(names_of(find_contained(set_of(kVersion1), index, {})) == Names{"debian:1"});
}

TEST_CASE("a base that only adds a little is told by that", "[files][unit]") {
  const FileSetIndex index(
      {base("debian:1", kVersion1), base("debian-curl:1", kVersion1 + range(2000, 2020))});
  const Containment plain = find_contained(set_of(kVersion1), index, {});
  CHECK(names_of(plain) == Names{"debian:1"});
  REQUIRE(plain.runner_up);
  CHECK(plain.runner_up->own_files == 20);
  CHECK(names_of(find_contained(set_of(kVersion1 + range(2000, 2020)), index, {})) ==
        Names{"debian-curl:1", "debian:1"});
}

TEST_CASE("a base of another name that is not there is no rival", "[files][unit]") {
  // An application on a debian, by packages: its lists are its own, as are those of another base
  // on the same debian, of which it has a few packages.
  const auto lists = [](std::uint64_t content) { return range(0, 12, content); };
  const Files shared = range(12, 1000);
  const FileSetIndex index({base("debian:1", lists(1) + shared),
                            base("tools:1", lists(2) + shared + range(2000, 2800))});
  const Files image = lists(3) + shared + range(2000, 2010) + range(5000, 5100);
  CHECK(names_of(find_contained(set_of(image), index, {})) == Names{"debian:1"});
}

TEST_CASE("the threshold of the share is the policy's", "[files][unit]") {
  const FileSetIndex index({base("debian:1", kVersion1)});
  CHECK(names_of(find_contained(set_of(range(0, 500)), index, {})) == Names{"debian:1"});
  const Containment below = find_contained(set_of(range(0, 499)), index, {});
  CHECK(below.contained.empty());
  REQUIRE(below.runner_up);
  CHECK(below.runner_up->missing == 501);
  CHECK(below.why ==
        "no base is contained; the nearest: only 49.9 % of base debian:1 is here: 499 of 1000 "
        "files unchanged, 0 changed, 501 missing");
  Policy strict;
  strict.contained_share_percent = 99;
  CHECK(find_contained(set_of(range(0, 980)), index, strict).contained.empty());
  Policy many;
  many.contained_min_files = 901;
  CHECK(find_contained(set_of(range(0, 900)), index, many).contained.empty());
  CHECK(names_of(find_contained(set_of(range(0, 901)), index, many)) == Names{"debian:1"});
}

TEST_CASE("a few files tell no base, unless the policy says so", "[files][unit]") {
  const FileSetIndex index({base("static:1", range(0, 7))});
  const FileSet image = set_of(range(0, 7) + range(90, 99));
  const Containment found = find_contained(image, index, {});
  CHECK(found.contained.empty());
  CHECK(found.why ==
        "no base is contained; the nearest: 100.0 % of base static:1 is here: 7 of 7 files "
        "unchanged, 0 changed, 0 missing; fewer than 20 files tell nothing");
  Policy bold;
  bold.contained_min_files = 7;
  CHECK(names_of(find_contained(image, index, bold)) == Names{"static:1"});
}

TEST_CASE("files that bases of many names share count little", "[files][unit]") {
  // 600 licences that five bases share, 400 files of their own.
  std::vector<BaseFileSet> sets;
  for (std::uint64_t i = 0; i < 5; ++i)
    sets.push_back(base("base" + std::to_string(i) + ":1",
                        range(0, 600) + range(10'000 * (i + 1), 10'000 * (i + 1) + 400)));
  const FileSetIndex index(std::move(sets));
  Policy strict;
  strict.contained_share_percent = 70;
  const Containment licences =
      find_contained(set_of(range(0, 600) + range(10'000, 10'200)), index, strict);
  CHECK(licences.contained.empty());  // 80 % of the files, 64 % of the weight
  REQUIRE(licences.runner_up);
  CHECK(licences.runner_up->share_permille == 636);
  CHECK(licences.runner_up->present == 800);
}

TEST_CASE("what an attacker may do to the files of a base", "[files][unit]") {
  Files one_binary = kVersion1;
  one_binary[7].second = 66;
  const Containment changed = find_contained(set_of(one_binary), two_versions(), {});
  REQUIRE(names_of(changed) == Names{"debian:1"});
  CHECK(changed.contained.front().changed == 1);

  // Every path of the base, other bytes but for its links.
  const Containment other_bytes =
      find_contained(set_of(range(0, 20) + range(20, 1000, 66)), two_versions(), {});
  CHECK(other_bytes.contained.empty());
  REQUIRE(other_bytes.runner_up);
  CHECK(other_bytes.runner_up->changed == 980);

  const Containment hidden =
      find_contained(set_of(kVersion1 + range(100'000, 190'000)), two_versions(), {});
  CHECK(names_of(hidden) == Names{"debian:1"});
}

TEST_CASE("nothing in common is said as such", "[files][unit]") {
  const Containment none = find_contained(set_of(range(70'000, 70'100)), two_versions(), {});
  CHECK(none.contained.empty());
  CHECK_FALSE(none.runner_up);
  CHECK(none.why == "none of 100 files is a base's");
  CHECK(find_contained({}, two_versions(), {}).why == "there is no file to compare");
  CHECK(find_contained(set_of(kVersion1), FileSetIndex(), {}).contained.empty());
}

TEST_CASE("of several stacks of one base the best is told", "[files][unit]") {
  BaseFileSet other = base("debian:1", range(30'000, 30'900));
  other.platform = "linux/arm64";
  const FileSetIndex index({base("debian:1", kVersion1), other});
  const Containment answer = find_contained(set_of(range(30'000, 30'900)), index, {});
  REQUIRE(names_of(answer) == Names{"debian:1"});
  CHECK(answer.contained.front().platform == "linux/arm64");
}

TEST_CASE("many versions of one base", "[files][unit]") {
  std::vector<BaseFileSet> sets;
  for (std::uint64_t i = 0; i < 60; ++i)
    sets.push_back(base("debian:" + std::to_string(i), range(0, 900) + range(900, 1000, i + 1)));
  const FileSetIndex index(std::move(sets));
  for (const std::uint64_t version : {0U, 31U, 59U}) {
    Files files = range(0, 900) + range(900, 1000, version + 1);
    for (std::size_t i = 0; i < files.size(); i += 9)
      files[i].second = 5000;
    CHECK(names_of(find_contained(set_of(files), index, {})) ==
          Names{"debian:" + std::to_string(version)});
  }
}

TEST_CASE("a base that many others are built on is found by what they share", "[files][unit]") {
  // Each of 300 bases replaced the four files that only the one below has.
  std::vector<BaseFileSet> sets{base("debian:1", kVersion1)};
  for (std::uint64_t i = 0; i < 300; ++i)
    sets.push_back(base(
        "team" + std::to_string(i) + ":1",
        range(4, 1000) + range(0, 4, i + 1) + range(10'000 * (i + 1), 10'000 * (i + 1) + 300)));
  const FileSetIndex index(std::move(sets));
  const Files image = range(4, 1000) + range(0, 4, 5000) + range(9'000'000, 9'000'100);
  const Containment answer = find_contained(set_of(image), index, {});
  REQUIRE(names_of(answer) == Names{"debian:1"});
  CHECK(answer.contained.front().share_permille > 980);
}

TEST_CASE("a base below the one that is there counts although it was changed a little",
          "[files][unit]") {
  const Files python = range(6, 1000) + range(0, 6, 1) + range(2000, 2400);
  const FileSetIndex index(
      {base("debian:1", kVersion1), base("debian:2", kVersion2), base("python:1", python)});
  CHECK(names_of(find_contained(set_of(python + range(9000, 9100)), index, {})) ==
        Names{"python:1", "debian:1"});
  CHECK(names_of(find_contained(set_of(kVersion1), index, {})) == Names{"debian:1"});
}

TEST_CASE("a base whose own files are all missing is not named beside its kin", "[files][unit]") {
  // Neither the six files that python replaced nor what it added: a copy of one folder.
  const Files python = range(6, 1000) + range(0, 6, 1) + range(2000, 2400);
  const FileSetIndex index({base("debian:1", kVersion1), base("python:1", python)});
  const Containment answer = find_contained(set_of(range(6, 990)), index, {});
  CHECK(names_of(answer) == Names{"debian:1"});
  REQUIRE(answer.runner_up);
  CHECK(answer.runner_up->base.text() == "python:1");
}

TEST_CASE("a small base is no part of a larger one that lost too much", "[files][unit]") {
  // Most of the small one are files that the large one has as well; 20 are its own.
  const FileSetIndex index(
      {base("debian:1", kVersion1), base("tiny:1", range(0, 300) + range(3000, 3020))});
  const Containment lost = find_contained(set_of(range(0, 400)), index, {});
  CHECK(names_of(lost).empty());
  REQUIRE(lost.runner_up);
  CHECK(lost.runner_up->base.text() == "tiny:1");
  CHECK(lost.runner_up->own_present == 0);
  CHECK(names_of(find_contained(set_of(range(0, 300) + range(3000, 3020)), index, {})) ==
        Names{"tiny:1"});
}
