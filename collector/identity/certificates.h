// SPDX-License-Identifier: Apache-2.0
// The collector's own small certificate authority: ECDSA P-256, PEM in and out.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collector/core/enrolment.h"
#include "common/base/clock.h"
#include "common/base/result.h"

namespace assay::collector {

struct CertificatePair {
  std::string certificate;  ///< PEM
  std::string key;          ///< PEM, PKCS #8, not encrypted
};

inline constexpr std::chrono::days kAuthorityLifetime{3650};
inline constexpr std::chrono::days kLeafLifetime{365};

struct LeafRequest {
  std::string common_name;         ///< for people only; cut to 64 bytes
  std::vector<std::string> uris;   ///< subject alternative names
  std::vector<std::string> hosts;  ///< DNS names and IP addresses, told apart here
  bool is_server = false;          ///< extended key usage serverAuth, else clientAuth
  std::chrono::seconds lifetime = kLeafLifetime;
};

/// A new authority that may sign leaves and nothing else. Errors: kInternal.
Result<CertificatePair> make_authority(const std::string& common_name, WallTime now);
/// Errors: kInvalidArgument (not an authority's PEM; key and certificate do not belong together).
Result<CertificatePair> issue(const CertificatePair& authority, const LeafRequest& request,
                              WallTime now);
/// The same for a key that is made already; `public_key`: SubjectPublicKeyInfo, DER.
/// Errors: as above, kUntrusted (no such key).
Result<IssuedLeaf> issue_for(const CertificatePair& authority, const std::string& public_key,
                             const LeafRequest& request, WallTime now);
/// The same with the names of the leaf `before`, for its own key (PEM both).
Result<std::string> issue_again(const CertificatePair& authority, const CertificatePair& before,
                                std::chrono::seconds lifetime, WallTime now);

/// Only the key and the proof that its holder has it count. Errors: as NodeCertifier's.
Result<RequestedKey> read_certificate_request(std::string_view der);
/// What a peer showed, PEM. Errors: kCorrupt.
Result<ShownCertificate> read_shown_certificate(const std::string& pem);
/// All certificates of a bundle, DER. Errors: kInvalidArgument (none, or more than 16).
Result<std::vector<std::string>> certificates_of(const std::string& pem);
std::string to_pem(const std::vector<std::string>& certificates);
/// The one of `bundle` that belongs to `key` (PEM both), PEM; nothing when none does.
std::optional<std::string> certificate_of_key(const std::string& bundle, const std::string& key);
/// When a leaf should be replaced: two thirds of its life are over. Errors: kInvalidArgument.
Result<bool> is_due(const std::string& certificate, WallTime now);
/// Of a certificate, PEM; for people only.
std::string common_name_of(const std::string& certificate);
/// Whether `certificate` was signed by `authority` (PEM both).
bool is_issued_by(const std::string& certificate, const std::string& authority);

/// What gRPC would refuse without a word: PEM, key and certificate belong together, validity.
/// Errors: kInvalidArgument, naming `cert_path`, `key_path` or `ca_path` and what to do.
struct ServerFiles {
  std::string cert_path;
  std::string key_path;
  std::string ca_path;
};
struct ServerMaterial {
  CertificatePair pair;
  std::string authority;  ///< PEM; one or more certificates
};
Result<ServerMaterial> load_server_files(const ServerFiles& files, WallTime now);

}  // namespace assay::collector
