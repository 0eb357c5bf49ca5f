// SPDX-License-Identifier: Apache-2.0
// Where the layers of stacks lie, for as long as somebody may ask for more of them.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

#include "agent/core/ports.h"

namespace assay::agent {

/// Remembers how to open the layers of the stacks that were seen last, whether their runs live or
/// not: the files of a container that lived a millisecond may still be read. Not thread-safe: the
/// auditor's thread only.
class StackPlaces {
 public:
  /// `max_stacks`: about 2 KiB each; the one that was seen longest ago goes first.
  explicit StackPlaces(std::size_t max_stacks) : max_stacks_(max_stacks) {}

  /// The stack `digest` has the layers of `tasks`, bottom first.
  void put(const StackDigest& digest, const std::vector<LayerTask>& tasks);
  /// More evidence came: the same layers under another digest.
  void move(const StackDigest& from, const StackDigest& to);
  /// The tasks as they were put, or none.
  std::vector<LayerTask> find(const StackDigest& digest) const;
  std::size_t size() const { return places_.size(); }

 private:
  /// The layers, and once for all of them what opening needs.
  struct Place {
    std::shared_ptr<const ContainerStart> start;  // shared by the digests of one stack
    std::list<StackDigest>::iterator order;
  };
  void insert(const StackDigest& digest, Place place);

  const std::size_t max_stacks_;
  std::unordered_map<StackDigest, Place> places_;
  std::list<StackDigest> by_time_;  // seen longest ago first
};

}  // namespace assay::agent
