// SPDX-License-Identifier: Apache-2.0
// Whether those who trust a bundle will believe a server.
#pragma once

#include <string>

#include "common/base/clock.h"
#include "common/base/result.h"

namespace assay::collector {

/// `chain`: the server's certificate, then what stands between it and an authority; `bundle`: what
/// its clients trust, one or more authorities; PEM both. Judged as gRPC's clients do: an authority
/// in the bundle need not be a root. Names are not looked at.
/// Errors: kUntrusted (with OpenSSL's reason), kInvalidArgument (not PEM).
Result<void> check_server_chain(const std::string& chain, const std::string& bundle, WallTime now);

}  // namespace assay::collector
