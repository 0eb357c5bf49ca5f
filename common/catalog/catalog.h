// SPDX-License-Identifier: Apache-2.0
// All bases with their status and the policy, at one sequence of the signed log.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/catalog/base_image.h"
#include "common/catalog/evidence.h"
#include "common/catalog/policy.h"
#include "common/catalog/scan_summary.h"

namespace assay::catalog {

/// A stack of some base that starts with the layer that was asked for, or that makes the root.
struct StackReference {
  const Base* base = nullptr;        ///< owned by the catalog
  const BaseStack* stack = nullptr;  ///< owned by the catalog
  bool is_root = false;              ///< it is the stack's root form that was found
};

struct BytesHash {
  std::size_t operator()(const DigestBytes& bytes) const noexcept {
    return std::hash<Sha256>{}(Sha256{bytes});
  }
};

/// Immutable once built: share it between threads as `shared_ptr<const Catalog>`.
class Catalog {
 public:
  Catalog() = default;
  Catalog(std::string id, std::uint64_t sequence, std::map<BaseId, Base> bases, Policy policy);
  // The index points into bases_: moving keeps the map's nodes, copying would not.
  Catalog(Catalog&&) = default;
  Catalog& operator=(Catalog&&) = default;
  Catalog(const Catalog&) = delete;
  Catalog& operator=(const Catalog&) = delete;

  const std::string& id() const { return id_; }
  std::uint64_t sequence() const { return sequence_; }  ///< 0: empty, nothing signed yet
  const Policy& policy() const { return policy_; }
  const std::map<BaseId, Base>& bases() const { return bases_; }
  /// Nothing when there is no such base.
  const Base* find(const BaseId& id) const;
  /// All versions of `name`, in order of their version text.
  std::vector<const Base*> versions_of(std::string_view name) const;

  /// Stacks whose bottom layer, or whose root, has this shape, content or diff ID (duplicates left
  /// out).
  std::vector<StackReference> candidates(const LayerEvidence& bottom) const;
  /// The earliest moment after `now` at which a date changes some verdict, or ends an exemption.
  /// `scans`: as in judge().
  std::optional<WallTime> next_change_after(WallTime now,
                                            const ScanSummaries* scans = nullptr) const;
  /// The same bases and sequence under another policy: for what-if questions.
  Catalog with_policy(Policy policy) const;

 private:
  std::string id_;
  std::uint64_t sequence_ = 0;
  std::map<BaseId, Base> bases_;
  Policy policy_;
  std::unordered_map<DigestBytes, std::vector<StackReference>, BytesHash> by_bottom_;
};

}  // namespace assay::catalog
