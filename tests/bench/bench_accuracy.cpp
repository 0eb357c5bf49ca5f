// SPDX-License-Identifier: Apache-2.0
// Which bases are in which images, and what finding that costs (bench_accuracy.py drives it).
//
//   bench_accuracy answers NAME:VERSION=SOURCE…   images on stdin, one path a line; for each one
//                                                    line of JSON on stdout
//   bench_accuracy cost NAME:VERSION=SOURCE…      a table: one image against 1,000 bases
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "common/catalog/containment.h"
#include "common/files/file_set_maker.h"
#include "common/image/image.h"

namespace {

using namespace assay;
using Json = nlohmann::ordered_json;
using Sets = std::vector<catalog::BaseFileSet>;

constexpr std::size_t kBases = 1000;
constexpr std::size_t kRounds = 5;

/// CPU time of this program, in milliseconds: others on the machine do not count.
double cpu_ms() {
  return static_cast<double>(std::clock()) * 1000 / CLOCKS_PER_SEC;
}

Result<catalog::FileSet> set_of(const std::string& source) {
  files::FileSetMaker maker;
  image::ImageOptions options;
  options.on_merged = [&](const image::Entry& entry) { maker.add(entry); };
  ASSAY_ASSIGN(const image::Image image, image::read_image(source, options, {}));
  return std::move(maker).finish();
}

Result<Sets> sets_of(const std::vector<std::string>& arguments) {
  Sets sets;
  for (const std::string& argument : arguments) {
    const std::size_t sign = argument.find('=');
    if (sign == std::string::npos)
      return Error{ErrorCode::kInvalidArgument, argument + " is not NAME:VERSION=SOURCE"};
    ASSAY_ASSIGN(catalog::BaseId id, catalog::BaseId::parse(argument.substr(0, sign)));
    ASSAY_ASSIGN(catalog::FileSet files, set_of(argument.substr(sign + 1)));
    sets.push_back({std::move(id), "", std::make_shared<const catalog::FileSet>(std::move(files))});
  }
  return sets;
}

Json to_json(const catalog::ContainedBase& base) {
  return {{"base", base.base.text()},
          {"share", base.share_permille / 10.0},
          {"files", base.files},
          {"present", base.present},
          {"changed", base.changed},
          {"missing", base.missing},
          {"rival", base.rival},
          {"own_files", base.own_files},
          {"own_present", base.own_present},
          {"why", base.why}};
}

/// `lacks` in a line after the image: a base that the catalog is to lack this once.
Result<Json> answer_to(const std::string& line, const Sets& sets) {
  const std::size_t tab = line.find('\t');
  const std::string lacks = tab == std::string::npos ? "" : line.substr(tab + 1);
  Sets known;
  for (const catalog::BaseFileSet& set : sets)
    if (set.base.text() != lacks) known.push_back(set);
  ASSAY_ASSIGN(const catalog::FileSet files, set_of(line.substr(0, tab)));
  const catalog::FileSetIndex index(std::move(known));
  const auto answer = catalog::find_contained(files, index, {});
  Json shares = Json::object();  // of every base, for who looks for a threshold
  for (const auto& hit : index.look_up(files))
    shares[index.sets()[hit.set].base.text()] = hit.share;
  Json json{{"files", answer.files},      {"upload_bytes", files.encode().size()},
            {"why", answer.why},          {"shares", std::move(shares)},
            {"contained", Json::array()}, {"runner_up", nullptr}};
  for (const catalog::ContainedBase& base : answer.contained)
    json["contained"].push_back(to_json(base));
  if (answer.runner_up) json["runner_up"] = to_json(*answer.runner_up);
  return json;
}

int answers(const Sets& sets) {
  for (std::string line; std::getline(std::cin, line);) {
    const Result<Json> json = answer_to(line, sets);
    if (!json) {
      std::fprintf(stderr, "bench_accuracy: %s\n", json.error().text().c_str());
      return 1;
    }
    std::cout << json->dump() << std::endl;
  }
  return 0;
}

/// `set` after an update: one file in thirty has other bytes, under one name or as another base.
catalog::FileSet updated(const catalog::FileSet& set, std::mt19937_64& random) {
  std::vector<catalog::FileSetEntry> entries = set.entries();
  for (std::size_t i = 0; i < std::max<std::size_t>(1, entries.size() / 30); ++i)
    entries[random() % entries.size()].file = random();
  return catalog::FileSet(std::move(entries));
}

/// 1,000 bases: each real one and its updates, one on top of the other; every tenth version begins
/// another name.
Sets thousand_bases(const Sets& real) {
  std::mt19937_64 random(7);  // NOLINT: the same every time
  Sets all = real;
  for (std::size_t i = 0; all.size() < kBases; ++i) {
    const catalog::BaseFileSet& before = i < real.size() ? real[i] : all[all.size() - real.size()];
    const std::size_t version = i / real.size();
    all.push_back({{"made" + std::to_string(i % real.size()) + "-" + std::to_string(version / 10),
                    std::to_string(version)},
                   "",
                   std::make_shared<const catalog::FileSet>(updated(*before.files, random))});
  }
  return all;
}

int cost(const Sets& real) {
  const Sets all = thousand_bases(real);
  std::size_t entries = 0;
  for (const catalog::BaseFileSet& set : all)
    entries += set.files->size();
  double start = cpu_ms();
  const catalog::FileSetIndex index(all);
  std::printf("| the index of %zu bases with %zu files together is made in | %.0f ms of CPU |\n",
              all.size(), entries, cpu_ms() - start);
  std::vector<double> times;
  for (std::size_t round = 0; round < kRounds; ++round)
    for (std::size_t i = 0; i < all.size(); i += 37) {
      start = cpu_ms();
      const auto answer = catalog::find_contained(*all[i].files, index, {});
      times.push_back(cpu_ms() - start);
      if (answer.contained.empty() || answer.contained.front().base != all[i].base) {
        std::fprintf(stderr, "bench_accuracy: %s was not found: %s\n", all[i].base.text().c_str(),
                     answer.why.c_str());
        return 1;
      }
    }
  std::ranges::sort(times);
  std::printf("| one stack against %zu bases, %zu times | p50 %.1f ms, max %.1f ms of CPU |\n",
              all.size(), times.size(), times[times.size() / 2], times.back());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() < 2 || (arguments[0] != "answers" && arguments[0] != "cost")) {
    std::fprintf(stderr, "usage: bench_accuracy answers|cost NAME:VERSION=SOURCE…\n");
    return 2;
  }
  const Result<Sets> sets = sets_of({arguments.begin() + 1, arguments.end()});
  if (!sets) {
    std::fprintf(stderr, "bench_accuracy: %s\n", sets.error().text().c_str());
    return 1;
  }
  return arguments[0] == "cost" ? cost(*sets) : answers(*sets);
}
