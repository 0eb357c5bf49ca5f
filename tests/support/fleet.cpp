// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fleet.h"

#include <algorithm>
#include <string>

#include "common/base/sha256.h"

namespace assay::tests {
namespace {

using collector::NodeKey;
using collector::StackId;
using collector::StoreWriter;

constexpr int kNodesPerTransaction = 50;

template <typename D>
D digest_of_word(const char* kind, const std::string& word) {
  return D{sha256(std::string(kind) + "/" + word).bytes};
}

/// The layers under image `image`, as words.
std::vector<std::string> layer_words(const FleetOptions& options, int image) {
  std::vector<std::string> words{"root"};
  const int base = 1 + image % std::max(options.bases - 1, 1);
  for (int i = 1; i < options.base_layers; ++i)
    words.push_back("base-" + std::to_string(base) + "-" + std::to_string(i));
  for (int i = 0; i < options.application_layers; ++i)
    words.push_back("image-" + std::to_string(image) + "-" + std::to_string(i));
  return words;
}

catalog::Base base_of(const FleetOptions& options, int number) {
  catalog::Base base;
  base.id = {"golden", std::to_string(number)};
  base.status = catalog::BaseStatus::kApproved;
  catalog::BaseStack stack;
  const auto words = layer_words(options, std::max(number - 1, 0));
  const int layers = number == 0 ? 1 : options.base_layers;
  for (int i = 0; i < layers; ++i) {
    const std::string& word = words[static_cast<std::size_t>(i)];
    stack.layers.push_back({std::nullopt, digest_of_word<ShapeDigest>("shape", word),
                            digest_of_word<ContentDigest>("content", word),
                            digest_of_word<DeletionsDigest>("deletions", "none"), 100, 10'000});
  }
  base.stacks.push_back(std::move(stack));
  return base;
}

catalog::Stack stack_on(const NodeKey& node, const FleetOptions& options, int image) {
  catalog::Stack stack{node.cluster, node.node, {}, "", {}};
  for (const std::string& word : layer_words(options, image)) {
    catalog::StackLayer layer;
    const Sha256 place = sha256(word);
    std::uint64_t inode = 0;
    for (int i = 0; i < 6; ++i)
      inode = inode << 8U | place.bytes[static_cast<std::size_t>(i)];
    layer.instance = {"uuid:" + node.node, inode, 7, 1'700'000'000'000'000'000};
    layer.evidence.shape = digest_of_word<ShapeDigest>("shape", word);
    layer.evidence.content = digest_of_word<ContentDigest>("content", word);
    layer.evidence.deletions = digest_of_word<DeletionsDigest>("deletions", "none");
    layer.name = "/var/lib/docker/overlay2/" + place.hex() + "/diff";
    layer.entries = 100;
    layer.content_bytes = 10'000;
    stack.layers.push_back(std::move(layer));
  }
  return stack;
}

collector::RunStarted run_of(const FleetOptions& options, int node, int run, int image,
                             const StackDigest& stack, WallTime now) {
  const std::string word = std::to_string(node) + "/" + std::to_string(run);
  const Sha256 id = sha256(word);
  collector::RunStarted start;
  start.run_id = id.hex().substr(0, 32);
  start.kind = "container";
  const std::int64_t age_s = (std::int64_t{node} * 7919 + std::int64_t{run} * 104'729) % 7'776'000;
  start.started_ns = to_unix_ns(now) - age_s * 1'000'000'000;
  start.stack = stack;
  start.process = {static_cast<std::uint32_t>(1000 + run), start.started_ns, "server"};
  start.executable = "/usr/local/bin/server";
  start.cgroup_path = "/docker/" + id.hex();
  start.origin.cause = "exec";
  start.origin.ancestors = {{4711, 1, "containerd-shim"}, {1, 1, "systemd"}};
  start.origin.namespace_pids = {start.process.pid, 1};
  start.origin.arguments = {"server", "--listen", "0.0.0.0:8080"};
  start.origin.root_type = "overlay";
  start.names.container_id = id.hex();
  start.names.runtime = "containerd";
  start.names.name = "app-" + std::to_string(image);
  start.names.image = "registry.example/team/app-" + std::to_string(image) + ":1.4";
  start.names.pod_namespace = "team-" + std::to_string(image % options.namespaces);
  start.names.pod_name = "app-" + std::to_string(image) + "-7d4b9c6f5-" + id.hex().substr(0, 5);
  start.names.labels = {{"app.kubernetes.io/name", "app-" + std::to_string(image)}};
  return start;
}

Result<void> fill_node(StoreWriter& writer, const FleetOptions& options, int number, WallTime now) {
  const NodeKey node{"fleet", "node-" + std::to_string(number)};
  ASSAY_ASSIGN(const auto node_id, writer.node_id(node));
  const int runs = options.runs_per_node / options.stacks_per_node;
  for (int i = 0; i < options.stacks_per_node; ++i) {
    const int image = (number * 31 + i * 17) % options.images;
    const catalog::Stack stack = stack_on(node, options, image);
    const StackDigest digest = catalog::digest_of(stack);
    ASSAY_ASSIGN(const auto known, writer.find_stack(node_id, digest));
    StackId id{};
    if (known) {
      id = known->id;
    } else {
      ASSAY_ASSIGN(id, writer.add_stack(node_id, digest));
      ASSAY_TRY(writer.describe_stack(id, node_id, stack));
    }
    for (int run = 0; run < runs; ++run) {
      const auto start = run_of(options, number, i * runs + run, image, digest, now);
      ASSAY_TRY(writer.add_run({node_id, id, &start, false, 0}));
    }
  }
  return ok();
}

}  // namespace

catalog::Catalog fleet_catalog(const FleetOptions& options, std::uint64_t sequence, int revoked) {
  std::map<catalog::BaseId, catalog::Base> bases;
  for (int number = 0; number < options.bases; ++number) {
    catalog::Base base = base_of(options, number);
    if (number == revoked) {
      base.status = catalog::BaseStatus::kRevoked;
      base.reason = "CVE-2026-0001 in its libc";
    }
    bases.emplace(base.id, std::move(base));
  }
  return catalog::Catalog("fleet", sequence, std::move(bases), {});
}

Result<void> fill_with_fleet(collector::Store& store, const FleetOptions& options, WallTime now) {
  for (int first = 0; first < options.nodes; first += kNodesPerTransaction)
    ASSAY_TRY(store.write_repeatable([&](StoreWriter& writer) -> Result<void> {
      const int end = std::min(first + kNodesPerTransaction, options.nodes);
      for (int number = first; number < end; ++number)
        ASSAY_TRY(fill_node(writer, options, number, now));
      return ok();
    }));
  return ok();
}

}  // namespace assay::tests
