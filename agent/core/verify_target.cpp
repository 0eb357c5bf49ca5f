// SPDX-License-Identifier: Apache-2.0
#include "agent/core/verify_target.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "common/base/encoding.h"

namespace assay::agent {
namespace {

constexpr std::string_view kAlgorithm = "sha256:";
constexpr std::size_t kMaxNamed = 5;  // of several that answer to one prefix

using Indices = std::set<std::size_t>;

bool is_exactly(const catalog::VerifiedContainer& container, std::string_view target) {
  return container.run_id == target || container.container_id == target || container.name == target;
}

/// What is meant, by its full name, and its layers.
struct Found {
  std::set<std::string> subjects;
  Indices layers;
};

void add_run(const std::string& subject, const VerifyRun& run, Found& found) {
  found.subjects.insert(subject);
  found.layers.insert(run.layers.begin(), run.layers.end());
}

void add_containers(std::string_view prefix, const std::vector<VerifyRun>& runs, Found& found) {
  for (const VerifyRun& run : runs) {
    const catalog::VerifiedContainer& container = run.container;
    if (!container.container_id.empty() && container.container_id.starts_with(prefix))
      add_run("container " + container.container_id, run, found);
    else if (container.run_id.starts_with(prefix))
      add_run("run " + container.run_id, run, found);
  }
}

template <typename Digest>
void add_digest(const char* what, const std::optional<Digest>& digest, std::string_view prefix,
                std::size_t index, Found& found) {
  if (!digest || !digest->hex().starts_with(prefix)) return;
  found.subjects.insert(what + digest->hex());
  found.layers.insert(index);
}

void add_layers(std::string_view prefix, const std::vector<VerifyTask>& layers, Found& found) {
  for (std::size_t i = 0; i < layers.size(); ++i) {
    add_digest("diff ID sha256:", layers[i].known.diff_id, prefix, i, found);
    add_digest("shape sha256:", layers[i].known.shape, prefix, i, found);
    add_digest("content sha256:", layers[i].known.content, prefix, i, found);
  }
}

Error ambiguous(std::string_view target, const std::set<std::string>& subjects) {
  std::string named;
  std::size_t left = kMaxNamed;
  for (const std::string& subject : subjects) {
    if (left-- == 0) break;
    named += (named.empty() ? "" : ", ") + escape_untrusted(subject, 120);
  }
  return {ErrorCode::kInvalidArgument,
          "\"" + escape_untrusted(target, 100) + "\" may mean " + std::to_string(subjects.size()) +
              ": " + named + (subjects.size() > kMaxNamed ? ", …" : "") + ": give more of it"};
}

}  // namespace

Result<std::vector<std::size_t>> find_verify_target(std::string_view target,
                                                    const std::vector<VerifyRun>& runs,
                                                    const std::vector<VerifyTask>& layers) {
  if (target.empty()) {
    std::vector<std::size_t> all(layers.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    return all;
  }
  Found found;
  const bool is_digest = target.starts_with(kAlgorithm);
  if (!is_digest)
    for (const VerifyRun& run : runs)
      if (is_exactly(run.container, target)) add_run("exactly", run, found);
  if (found.subjects.empty()) {
    if (!is_digest) add_containers(target, runs, found);
    const std::string_view hex = is_digest ? target.substr(kAlgorithm.size()) : target;
    if (!hex.empty()) add_layers(hex, layers, found);
  }
  if (found.subjects.size() > 1) return ambiguous(target, found.subjects);
  if (found.subjects.empty())
    return Error{ErrorCode::kNotFound, "no running container and no layer of one is called \"" +
                                           escape_untrusted(target, 100) +
                                           "\" on this node (assay ps shows the containers)"};
  return std::vector<std::size_t>(found.layers.begin(), found.layers.end());
}

}  // namespace assay::agent
