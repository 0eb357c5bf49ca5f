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
  /// `max_bytes`: a stack takes about 2 KiB, one of 500 layers a hundred; what was seen longest ago
  /// goes first.
  explicit StackPlaces(std::size_t max_bytes) : max_bytes_(max_bytes) {}

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
    std::unique_ptr<const ContainerStart> start;
    std::size_t bytes = 0;
    std::list<StackDigest>::iterator order;
  };
  void insert(const StackDigest& digest, Place place);
  Place take(std::unordered_map<StackDigest, Place>::iterator found);

  const std::size_t max_bytes_;
  std::size_t bytes_ = 0;
  std::unordered_map<StackDigest, Place> places_;
  std::list<StackDigest> by_time_;  // seen longest ago first
};

}  // namespace assay::agent
