// SPDX-License-Identifier: Apache-2.0
// Which layers somebody means who asks to have a container or a layer verified.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/core/ports.h"
#include "common/catalog/verification.h"

namespace assay::agent {

/// One layer to read again.
struct VerifyTask {
  LayerTask task;
  catalog::VerifiedLayer known;  ///< who stands on it, its digests; the outcome is still to come
  std::string unreadable;        ///< why there is nothing to read, "" when there is
};

/// One open run and its layers, as indices into the list of all layers.
struct VerifyRun {
  catalog::VerifiedContainer container;
  std::vector<std::size_t> layers;
};

/// What is to be looked at.
struct VerifyScope {
  std::vector<VerifyTask> layers;
  std::vector<catalog::VerifiedContainer> runs;  ///< that were meant; none of a layer
};

/// The layers that `target` means, as indices into `layers`, ascending: those of every run with
/// exactly this run id, container id or name; else of the one container whose id or run id begins
/// so; or the layers of the one digest (diff ID, shape, content; with or without "sha256:") that
/// begins so. Empty: all. Pure. Errors: kNotFound, kInvalidArgument (several answer to it: the
/// message names some).
Result<std::vector<std::size_t>> find_verify_target(std::string_view target,
                                                    const std::vector<VerifyRun>& runs,
                                                    const std::vector<VerifyTask>& layers);

}  // namespace assay::agent
