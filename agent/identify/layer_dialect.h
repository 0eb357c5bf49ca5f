// SPDX-License-Identifier: Apache-2.0
// How a layer's marks are to be read: by who puts the root together, never by what is in it.
#pragma once

#include <string>

#include "agent/core/ports.h"
#include "common/image/directory.h"

namespace assay::agent {

image::Dialect dialect_of(const LayerTask& task);

/// Canonical text of all mount options that decide a fingerprint or its cap: of the cache's key.
std::string overlay_options_of(const LayerTask& task);

}  // namespace assay::agent
