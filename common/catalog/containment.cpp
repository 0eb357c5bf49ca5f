// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/containment.h"

#include <algorithm>
#include <cmath>

namespace assay::catalog {
namespace {

// Compared with one another, file by file; the candidates after them only with those contained.
constexpr std::size_t kMaxCompared = 16;
// So many files that tell two bases of different names apart are no accident.
constexpr std::uint64_t kMinTelling = 16;
// One part in so many of a base's files that a base built on it may have replaced.
constexpr std::uint64_t kMaxReplaced = 20;

struct Candidate {
  const BaseFileSet* set = nullptr;
  std::vector<bool> is_present;  // of each entry of the set
  ContainedBase found;
  bool is_enough = false;  // of it is there; else it is only a rival of others
  bool is_alike = false;   // its rival has more of what tells the two apart
};

/// The files that one of two bases has and the other lacks.
struct OwnFiles {
  std::uint64_t files = 0;
  std::uint64_t present = 0;
  OwnFiles& operator+=(const OwnFiles& other) {
    files += other.files;
    present += other.present;
    return *this;
  }
  double ratio() const {
    return files == 0 ? 1 : static_cast<double>(present) / static_cast<double>(files);
  }
};

std::string count_text(std::uint64_t count, const char* what) {
  return std::to_string(count) + " " + what;
}

std::string percent_text(std::uint32_t permille) {
  return std::to_string(permille / 10) + "." + std::to_string(permille % 10) + " %";
}

std::string share_text(const ContainedBase& base) {
  return percent_text(base.share_permille) + " of base " + base.base.text() +
         " is here: " + std::to_string(base.present) + " of " +
         count_text(base.files, "files unchanged") + ", " + count_text(base.changed, "changed") +
         ", " + count_text(base.missing, "missing");
}

std::string own_text(const ContainedBase& base) {
  if (base.rival.empty()) return "";
  return "; " + std::to_string(base.own_present) + " of " +
         count_text(base.own_files, "files that tell it from ") + base.rival + " are here";
}

Candidate compare(const BaseFileSet& set, double share, const FileSet& files) {
  Candidate candidate;
  candidate.set = &set;
  ContainedBase& found = candidate.found;
  found.base = set.base;
  found.platform = set.platform;
  found.files = set.files->size();
  found.share_permille =
      static_cast<std::uint32_t>(std::clamp(std::floor(share * 1000 + 1e-6), 0.0, 1000.0));
  auto other = files.entries().begin();
  const auto end = files.entries().end();
  candidate.is_present.reserve(set.files->size());
  for (const FileSetEntry& entry : set.files->entries()) {
    other = std::find_if(other, end, [&](const auto& one) { return one.path >= entry.path; });
    const bool has_path = other != end && other->path == entry.path;
    const bool is_same = has_path && other->file == entry.file;
    candidate.is_present.push_back(is_same);
    ++(is_same ? found.present : has_path ? found.changed : found.missing);
  }
  return candidate;
}

/// What tells two bases apart, in one pass over both.
struct Differences {
  OwnFiles added;        ///< of paths that only the first has
  OwnFiles changed;      ///< of paths that both have, with another file
  OwnFiles their_added;  ///< likewise, of the second
  OwnFiles their_changed;
};

Differences differences(const Candidate& base, const Candidate& other) {
  Differences found;
  const auto count = [](OwnFiles& own, bool is_present) {
    ++own.files;
    if (is_present) ++own.present;
  };
  const auto& ours = base.set->files->entries();
  const auto& theirs = other.set->files->entries();
  std::size_t at = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    for (; at < theirs.size() && theirs[at].path < ours[i].path; ++at)
      count(found.their_added, other.is_present[at]);
    if (at == theirs.size() || theirs[at].path != ours[i].path) {
      count(found.added, base.is_present[i]);
      continue;
    }
    if (theirs[at].file != ours[i].file) {
      count(found.changed, base.is_present[i]);
      count(found.their_changed, other.is_present[at]);
    }
    ++at;
  }
  for (; at < theirs.size(); ++at)
    count(found.their_added, other.is_present[at]);
  return found;
}

/// Whether the other base, of another name, seems to be built on this one, and is there too. What
/// it replaced then says nothing: its list of packages, its linker's cache.
bool is_built_on(const Candidate& base, const Differences& found, const Policy& policy) {
  return found.their_added.files >= kMinTelling &&
         found.their_added.ratio() * 100 >= policy.contained_own_percent &&
         found.changed.files * kMaxReplaced <= base.set->files->size();
}

/// Takes `other` as the rival of `base` when it is the hardest to tell from it so far.
void confront(Candidate& base, const Candidate& other, const Policy& policy) {
  const bool is_other_name = base.set->base.name != other.set->base.name;
  const Differences found = differences(base, other);
  OwnFiles own = found.added;
  if (!is_other_name || !is_built_on(base, found, policy)) own += found.changed;
  if (own.files == 0) return;  // it lies wholly inside the other one
  OwnFiles theirs = found.their_added;
  theirs += found.their_changed;
  const double percent = own.ratio() * 100;
  const bool is_baseless =
      is_other_name && own.files >= kMinTelling && percent * 2 < policy.contained_own_percent;
  // A base of another name of which next to nothing is there explains nothing better.
  const bool is_other_there =
      !is_other_name || theirs.ratio() * 2 * 100 >= policy.contained_own_percent;
  const bool is_alike = is_baseless || (percent < policy.contained_own_percent && is_other_there &&
                                        (theirs.files == 0 || theirs.ratio() > own.ratio()));
  ContainedBase& told = base.found;
  const OwnFiles before{told.own_files, told.own_present};
  const bool is_harder = told.rival.empty() || own.ratio() < before.ratio() ||
                         (own.ratio() == before.ratio() && own.files < before.files);
  if (base.is_alike > is_alike || (base.is_alike == is_alike && !is_harder)) return;
  base.is_alike = is_alike;
  told.rival = other.found.base.text();
  told.own_files = own.files;
  told.own_present = own.present;
}

/// Those whose share suffices, and those with the most files there: what a base has in common with
/// a larger one that misses the share is no sign of it.
std::vector<Candidate> candidates_of(const std::vector<FileSetIndex::Hit>& hits,
                                     const FileSet& files, const FileSetIndex& index,
                                     const Policy& policy) {
  std::vector<Candidate> candidates;
  for (const FileSetIndex::Hit& hit : hits) {
    const bool is_enough = hit.share * 100 + 1e-9 >= policy.contained_share_percent &&
                           hit.present >= policy.contained_min_files;
    if (!is_enough && candidates.size() >= kMaxCompared) continue;
    const BaseFileSet& set = index.sets()[hit.set];
    const auto known = std::ranges::find_if(
        candidates, [&](const Candidate& one) { return one.set->base == set.base; });
    if (known != candidates.end() && (known->is_enough || !is_enough)) continue;
    Candidate candidate = compare(set, hit.share, files);
    candidate.is_enough = is_enough;
    if (known == candidates.end())
      candidates.push_back(std::move(candidate));
    else
      *known = std::move(candidate);
  }
  return candidates;
}

void tell_apart(std::vector<Candidate>& candidates, const Policy& policy) {
  const std::size_t compared = std::min(candidates.size(), kMaxCompared);
  for (std::size_t i = 0; i < compared; ++i)
    for (std::size_t other = 0; other < compared; ++other)
      if (other != i && candidates[i].is_enough) confront(candidates[i], candidates[other], policy);
  for (std::size_t i = compared; i < candidates.size(); ++i)
    for (std::size_t other = 0; other < i && !candidates[i].is_alike; ++other)
      if (other == 0 || !candidates[other].is_alike)
        confront(candidates[i], candidates[other], policy);
}

/// The nearest base although it is not contained: one whose share sufficed, else the best share.
std::optional<ContainedBase> runner_up_of(const std::vector<Candidate>& candidates,
                                          const std::vector<FileSetIndex::Hit>& hits,
                                          const FileSet& files, const FileSetIndex& index,
                                          const Policy& policy) {
  for (const Candidate& candidate : candidates) {
    if (!candidate.is_alike || !candidate.is_enough) continue;
    ContainedBase found = candidate.found;
    found.why = share_text(found) + own_text(found) + ", too few";
    return found;
  }
  const FileSetIndex::Hit* best = nullptr;
  for (const FileSetIndex::Hit& hit : hits) {
    const BaseId& base = index.sets()[hit.set].base;
    const bool is_candidate = std::ranges::any_of(
        candidates, [&](const Candidate& one) { return one.is_enough && one.found.base == base; });
    if (!is_candidate && (best == nullptr || hit.share > best->share)) best = &hit;
  }
  if (best == nullptr) return std::nullopt;
  ContainedBase found = compare(index.sets()[best->set], best->share, files).found;
  const bool are_few = best->share * 100 >= policy.contained_share_percent &&
                       found.present < policy.contained_min_files;
  found.why = are_few ? share_text(found) + "; fewer than " +
                            count_text(policy.contained_min_files, "files tell nothing")
                      : "only " + share_text(found);
  return found;
}

std::string reason_of(const Containment& answer) {
  if (!answer.contained.empty()) return answer.contained.front().why;
  if (answer.files == 0) return "there is no file to compare";
  if (answer.runner_up) return "no base is contained; the nearest: " + answer.runner_up->why;
  return "none of " + count_text(answer.files, "files") + " is a base's";
}

}  // namespace

Containment find_contained(const FileSet& files, const FileSetIndex& index, const Policy& policy) {
  Containment answer;
  answer.files = files.size();
  const auto hits = index.look_up(files);
  std::vector<Candidate> candidates = candidates_of(hits, files, index, policy);
  tell_apart(candidates, policy);
  for (const Candidate& candidate : candidates) {
    if (candidate.is_alike || !candidate.is_enough) continue;
    ContainedBase found = candidate.found;
    found.is_contained = true;
    found.why = share_text(found) + own_text(found);
    answer.contained.push_back(std::move(found));
  }
  answer.runner_up = runner_up_of(candidates, hits, files, index, policy);
  answer.why = reason_of(answer);
  return answer;
}

}  // namespace assay::catalog
