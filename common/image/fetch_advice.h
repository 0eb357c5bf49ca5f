// SPDX-License-Identifier: Apache-2.0
// Sources that name an image somewhere else. Private to common/image.
#pragma once

#include <optional>
#include <string>

#include "common/base/result.h"

namespace assay::image {

/// The answer to docker://, docker-daemon:, containers-storage:, http:// and https://: Assay does
/// not fetch images; the message has the skopeo command that does. Nothing for any other source.
/// Source: containers-transports(5), skopeo-copy(1).
std::optional<Error> advice_on_transport(const std::string& source);

/// The same for a `source` that is no file but reads like a name in a registry
/// (registry/name:tag, name:tag, name@sha256:…, name); nothing for what reads like a path.
std::optional<Error> advice_on_name(const std::string& source);

}  // namespace assay::image
