// SPDX-License-Identifier: Apache-2.0
// The agent's own key and certificate, and the authorities it believes.
#pragma once

#include <string>

#include "common/base/result.h"

namespace assay::agent {

struct TlsFiles {
  std::string ca;           ///< path, PEM, one or more certificates
  std::string certificate;  ///< path, PEM, the leaf first
  std::string key;          ///< path, PEM, not encrypted
};

struct TlsMaterial {
  std::string ca;
  std::string certificate;
  std::string key;
  bool operator==(const TlsMaterial&) const = default;
};

/// Reads the three files and checks what a peer would only refuse with a riddle: that they are PEM,
/// that the key belongs to the certificate, that the certificate is issued by the authority and is
/// valid now. Thread-safe. Errors: kNotFound, kPermissionDenied, kInvalidArgument (not PEM),
/// kUntrusted (does not fit together); the message names the file and what to do.
Result<TlsMaterial> load_tls_files(const TlsFiles& files);

}  // namespace assay::agent
