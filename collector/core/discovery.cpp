// SPDX-License-Identifier: Apache-2.0
#include "collector/core/discovery.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "common/base/encoding.h"
#include "common/base/sha256.h"

namespace assay::collector {
namespace {

/// One layer on top of those of its parents.
struct Prefix {
  std::map<ContentDigest, std::unique_ptr<Prefix>> children;
  std::uint64_t ends = 0;  ///< running runs whose image ends here
  std::uint64_t running = 0;
  std::set<NodeKey> nodes;
  std::map<std::string, std::uint64_t> names;  ///< of images, with their runs
  std::shared_ptr<const catalog::Stack> example;
};

std::vector<catalog::StackLayer> own_layers(const catalog::Stack& stack) {
  std::vector<catalog::StackLayer> layers;
  for (const auto& layer : stack.layers)
    if (!layer.is_injected) layers.push_back(layer);
  return layers;
}

class Grouping {
 public:
  explicit Grouping(std::size_t max_proposals) : max_proposals_(max_proposals) {}

  Result<void> visit(const RunningStack& stack, const Store::StackReader& reader) {
    const auto status = stack.verdict.status;
    const bool is_open =
        status == catalog::VerdictStatus::kUnknown || status == catalog::VerdictStatus::kPending;
    if (!is_open || !stack.verdict.matches.empty()) return ok();
    view_.running += stack.running;
    const auto layers = own_layers(stack.stack);
    const bool is_read = stack.stack.unsupported.empty() && !layers.empty() &&
                         std::ranges::all_of(layers, [](const auto& layer) {
                           return layer.evidence.shape && layer.evidence.content;
                         });
    if (!is_read) {
      view_.not_read += stack.running;
      return ok();
    }
    ASSAY_ASSIGN(const auto runs, reader.runs());
    add(stack, layers, runs);
    return ok();
  }

  DiscoveryView finish() && {
    propose(root_, 0, "", "");
    std::ranges::stable_sort(view_.proposals, [](const Proposal& a, const Proposal& b) {
      if (a.running != b.running) return a.running > b.running;
      return a.images > b.images;
    });
    if (view_.proposals.size() > max_proposals_) view_.proposals.resize(max_proposals_);
    return std::move(view_);
  }

 private:
  void add(const RunningStack& stack, const std::vector<catalog::StackLayer>& layers,
           const std::vector<RunningRun>& runs) {
    std::shared_ptr<const catalog::Stack> example;  // shared by the prefixes that are new with it
    Prefix* at = &root_;
    for (const auto& layer : layers) {
      auto& child = at->children[*layer.evidence.content];
      if (child == nullptr) {
        child = std::make_unique<Prefix>();
        if (example == nullptr) example = std::make_shared<const catalog::Stack>(stack.stack);
        child->example = example;
      }
      at = child.get();
      at->running += stack.running;
      at->nodes.insert(stack.node);
      for (const RunningRun& run : runs)
        if (!run.names.image.empty()) ++at->names[run.names.image];
    }
    at->ends += stack.running;
  }

  /// How many different stacks end in `prefix` or above it; proposes on the way. `id`: so far.
  std::uint64_t propose(const Prefix& prefix, std::size_t depth, const std::string& fields,
                        const std::string& below) {
    const bool parts = prefix.children.size() + (prefix.ends != 0 ? 1U : 0U) > 1;
    const bool is_alone = prefix.children.empty() && !is_shared_;
    std::string id;
    std::size_t place = 0;
    if (depth != 0 && (parts || is_alone)) {
      id = sha256(fields).hex();
      place = view_.proposals.size();
      view_.proposals.push_back(proposal_of(prefix, depth, id, below));
      view_.proposals.back().is_whole = !parts;
    }
    std::uint64_t images = prefix.ends != 0 ? 1 : 0;
    const bool was_shared = std::exchange(is_shared_, is_shared_ || (depth != 0 && parts));
    for (const auto& [content, child] : prefix.children) {
      std::string longer = fields;
      append_field(longer, content.raw());
      images += propose(*child, depth + 1, longer, id.empty() ? below : id);
    }
    is_shared_ = was_shared;
    if (!id.empty()) view_.proposals[place].images = images;
    return images;
  }

  static Proposal proposal_of(const Prefix& prefix, std::size_t depth, const std::string& id,
                              const std::string& below) {
    Proposal proposal;
    proposal.id = id;
    proposal.layers = own_layers(*prefix.example);
    proposal.layers.resize(depth);
    proposal.running = prefix.running;
    proposal.nodes = prefix.nodes.size();
    proposal.about = prefix.example->about;
    proposal.below = below;
    std::vector<std::pair<std::uint64_t, std::string>> names;
    for (const auto& [name, count] : prefix.names)
      names.emplace_back(count, name);
    std::ranges::stable_sort(names, [](const auto& a, const auto& b) { return a.first > b.first; });
    for (std::size_t i = 0; i < std::min(names.size(), kMaxExampleImages); ++i)
      proposal.example_images.push_back(std::move(names[i].second));
    return proposal;
  }

  const std::size_t max_proposals_;
  Prefix root_;
  bool is_shared_ = false;  // some layer below is proposed already
  DiscoveryView view_;
};

}  // namespace

Result<DiscoveryView> discover(Store& store, std::size_t max_proposals) {
  Grouping grouping(max_proposals);
  ASSAY_TRY(store.visit_running([&](const RunningStack& stack, const Store::StackReader& reader) {
    return grouping.visit(stack, reader);
  }));
  return std::move(grouping).finish();
}

}  // namespace assay::collector
