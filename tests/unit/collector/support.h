// SPDX-License-Identifier: Apache-2.0
// What several collector tests share: a folder, a clock, stacks and catalogs made by hand.
#pragma once

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "collector/core/store.h"
#include "common/base/clock.h"
#include "common/catalog/catalog.h"

namespace assay::collector::tests {

class TempDir {
 public:
  TempDir() {
    char name[] = "/tmp/assay-collector-test-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path_ = name;
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Stands still until it is told to move.
class FakeClock final : public Clock {
 public:
  WallTime wall_now() const override { return from_unix_ns(ns_ + set_by_ns_); }
  BootTime boot_now() const override { return BootTime(ns_); }
  void advance(std::chrono::nanoseconds by) { ns_ += by.count(); }
  /// Sets the wall clock, ahead or back.
  void set(std::chrono::nanoseconds by) { set_by_ns_ += by.count(); }

 private:
  std::atomic<std::int64_t> set_by_ns_{0};
  std::atomic<std::int64_t> ns_{1'800'000'000'000'000'000};
};

/// `condition` becomes true within a generous deadline.
inline bool eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

template <typename D>
D digest_with(std::uint8_t fill) {
  D digest;
  digest.bytes.fill(fill);
  return digest;
}

/// Layer `n` of a node: its directory is inode `n`, its shape and content are made of `n`.
inline catalog::StackLayer layer(std::uint8_t n, bool has_content = true) {
  catalog::StackLayer one;
  one.instance = {"uuid:test", n, 7, 1000};
  one.evidence.shape = digest_with<ShapeDigest>(n);
  if (has_content) {
    one.evidence.content = digest_with<ContentDigest>(n);
    one.evidence.deletions = digest_with<DeletionsDigest>(0);
  }
  one.name = "/layers/" + std::to_string(n);
  one.entries = 10;
  return one;
}

inline catalog::Stack stack(const NodeKey& node, std::vector<catalog::StackLayer> layers) {
  return {node.cluster, node.node, std::move(layers), ""};
}

inline catalog::Base base(const std::string& id, catalog::BaseStatus status,
                          const std::vector<std::uint8_t>& layers) {
  catalog::Base one;
  one.id = *catalog::BaseId::parse(id);
  one.status = status;
  catalog::BaseStack of_base;
  for (const std::uint8_t n : layers)
    of_base.layers.push_back({std::nullopt, digest_with<ShapeDigest>(n),
                              digest_with<ContentDigest>(n), digest_with<DeletionsDigest>(0), 10,
                              100});
  one.stacks.push_back(std::move(of_base));
  return one;
}

inline std::shared_ptr<const catalog::Catalog> make_catalog(std::uint64_t sequence,
                                                            std::vector<catalog::Base> bases) {
  std::map<catalog::BaseId, catalog::Base> by_id;
  for (auto& one : bases) {
    const catalog::BaseId id = one.id;
    by_id.emplace(id, std::move(one));
  }
  return std::make_shared<const catalog::Catalog>("test", sequence, std::move(by_id),
                                                  catalog::Policy{});
}

inline std::string run_id(int n) {
  const std::string digits = std::to_string(n);
  return std::string(32 - digits.size(), '0') + digits;
}

inline RunStarted run_started(int n, const std::optional<StackDigest>& digest,
                              std::int64_t started_ns) {
  RunStarted start;
  start.run_id = run_id(n);
  start.kind = "container";
  start.started_ns = started_ns;
  start.stack = digest;
  start.process = {1234, started_ns, "sh"};
  start.executable = "/bin/sh";
  start.cgroup_path = "/docker/x";
  start.origin.cause = "exec";
  start.origin.ancestors = {{1, 5, "systemd"}};
  start.origin.namespace_pids = {1234, 1};
  start.origin.arguments = {"sh", "-c", "true"};
  start.names.container_id = "c0ffee" + run_id(n);
  start.names.name = "web-" + std::to_string(n);
  start.names.image = "registry.example/web:1";
  start.names.image_id = "sha256:as the runtime calls it";
  start.names.config_digest = digest_with<ConfigDigest>(0xc0);
  start.names.repo_digest = digest_with<RepoDigest>(0xd0);
  start.names.labels = {{"app", "web"}};
  return start;
}

}  // namespace assay::collector::tests
