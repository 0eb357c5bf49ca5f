// SPDX-License-Identifier: Apache-2.0
// The key, the certificate and the trusted authorities of an agent that gets them by enrolment:
// key.pem, cert.pem and ca.pem in one folder of its state.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/uplink/tls_files.h"
#include "common/base/clock.h"
#include "common/base/digest.h"

namespace assay::agent {

/// A certificate that fits the key and comes from an authority that is trusted.
struct HeldCertificate {
  WallTime begins;
  WallTime expires;
  Sha256 issuer;  ///< digest of the authority's certificate
};

/// Not thread-safe, but for files(). Each file is replaced atomically; the key is never replaced.
class IdentityFolder {
 public:
  /// Makes the folder (mode 0700) and the key (P-256, mode 0600) when they are not there.
  /// Errors: kPermissionDenied, kUnavailable, kInvalidArgument (a key that cannot be read).
  static Result<IdentityFolder> open(const std::string& path);

  TlsFiles files() const;
  /// A certificate request (PKCS #10, DER) for the key; it proves the key and nothing else.
  Result<std::string> request() const;
  /// Nothing when there is none that is good for this key and node; it may be expired.
  std::optional<HeldCertificate> held(const std::string& cluster, const std::string& node) const;
  /// DER; empty when nothing was kept yet.
  std::vector<std::string> authorities() const;
  /// Errors: kUntrusted (one that is no authority, or none), kUnavailable.
  Result<void> keep_authorities(const std::vector<std::string>& certificates);
  /// `certificate`: DER. Errors: kUntrusted (not for this key, or of no authority that is trusted).
  Result<void> keep_certificate(const std::string& certificate);

 private:
  explicit IdentityFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

/// X.509, DER, as PEM; what is none is left out.
std::string certificates_to_pem(const std::vector<std::string>& certificates);
/// All certificates in a PEM text, DER.
std::vector<std::string> certificates_from_pem(const std::string& pem);

}  // namespace assay::agent
