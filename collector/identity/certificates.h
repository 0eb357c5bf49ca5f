// SPDX-License-Identifier: Apache-2.0
// The collector's own small certificate authority: ECDSA P-256, PEM in and out.
#pragma once

#include <chrono>
#include <string>
#include <vector>

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
};

/// A new authority that may sign leaves and nothing else. Errors: kInternal.
Result<CertificatePair> make_authority(const std::string& common_name, WallTime now);
/// Errors: kInvalidArgument (not an authority's PEM; key and certificate do not belong together).
Result<CertificatePair> issue(const CertificatePair& authority, const LeafRequest& request,
                              WallTime now);

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
