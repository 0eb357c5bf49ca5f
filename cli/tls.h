// SPDX-License-Identifier: Apache-2.0
// Why a TLS connection fails, in words: gRPC says only that it did.
#pragma once

#include <chrono>
#include <string>

#include "common/base/result.h"

namespace assay::cli {

/// PEM texts of a client. Without certificate and key it shows none.
struct TlsMaterial {
  std::string ca;
  std::string cert = {};
  std::string key = {};
};

/// Checks that all are what they should be and that key and certificate belong together.
/// Errors: kInvalidArgument.
Result<void> check_material(const TlsMaterial& material);

/// Connects to `address` (HOST:PORT), shakes hands and hears whether the collector takes our
/// certificate. Blocks up to `timeout`; only for telling a person why a call failed.
/// Errors: kUnavailable (nobody there, not TLS), kUntrusted (a certificate was refused, by us or by
/// it).
Result<void> diagnose_tls(const std::string& address, const TlsMaterial& material,
                          std::chrono::milliseconds timeout);

/// Splits HOST:PORT or [IPV6]:PORT. Errors: kInvalidArgument.
struct HostPort {
  std::string host;
  std::string port;
};
Result<HostPort> parse_address(const std::string& address);

}  // namespace assay::cli
