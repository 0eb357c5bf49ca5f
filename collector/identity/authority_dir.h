// SPDX-License-Identifier: Apache-2.0
// What `assay-collector init` and `issue` leave on disk.
#pragma once

#include <string>
#include <vector>

#include "collector/identity/certificates.h"
#include "common/base/clock.h"
#include "common/base/result.h"

namespace assay::collector {

struct InitRequest {
  std::string dir;
  std::string cluster = "default";
  std::string host;  ///< further name or address in the server's certificate, may be ""
};

/// Creates DIR with cluster, ca.pem, ca-key.pem, server.pem, server-key.pem and admin/{ca.pem,
/// cert.pem, key.pem} of the user admin, who has that role, and a first token (first_token.h). Keys
/// and the token have mode 0600.
/// Errors: kAlreadyExists (an authority is there), kInvalidArgument, kPermissionDenied.
Result<void> init_authority(const InitRequest& request, WallTime now);

struct IssueRequest {
  std::string dir;              ///< of init
  std::string node;             ///< either a node, NAME (of init's cluster) or CLUSTER/NAME …
  std::string user;             ///< … or a user
  std::string out;              ///< gets ca.pem, cert.pem and key.pem
  std::string role = "viewer";  ///< of a user: viewer, approver or admin
};

/// The authority that lies in a folder, as init and the rotation leave it.
struct AuthorityFolder {
  CertificatePair authority;  ///< the one that issues
  std::string bundle;         ///< PEM: all that are trusted, of which it is one
};
/// Errors: kNotFound (no authority in `dir`), kInvalidArgument (a key that is none of ca.pem's).
Result<AuthorityFolder> load_authority(const std::string& dir);
/// Of init; "default" where there is none.
std::string cluster_of(const std::string& dir);

/// Errors: kNotFound (no authority in DIR), kAlreadyExists (OUT has a key.pem),
/// kInvalidArgument.
Result<void> issue_client(const IssueRequest& request, WallTime now);

}  // namespace assay::collector
