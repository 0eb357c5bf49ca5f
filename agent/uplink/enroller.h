// SPDX-License-Identifier: Apache-2.0
// Gets the node's certificate from the collector and keeps it fresh, without a restart: enrols with
// a token when there is none, renews it after two thirds of its life, and enrols with the old key
// when it expired meanwhile or its authority is trusted no longer. After a success it asks for
// nothing for a twentieth of the certificate's life, however far ahead the wall clock is.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/uplink/tls_files.h"
#include "common/base/clock.h"

namespace assay::agent {

struct EnrolOptions {
  std::string address;  ///< HOST:PORT of the collector; "": wait for one
  std::string cluster;
  std::string node;
  std::string folder;                ///< of key.pem, cert.pem and ca.pem
  std::string token_file;            ///< a join token, or …
  std::string service_account_file;  ///< … a token of Kubernetes; both are read for each try
  std::string ca_file;               ///< PEM, "": the token says whom to trust
  std::chrono::milliseconds backoff_least{1000};
  std::chrono::milliseconds backoff_most{60'000};
};

/// On the enroller's own thread; they must return within milliseconds and must not call stop().
struct EnrolCallbacks {
  std::function<void()> on_certificate;  ///< a new one is in the files
  /// Why there is no new one, once for each reason.
  std::function<void(const std::string&)> on_problem;
  /// There is a new one, and what is wrong all the same, once for each reason.
  std::function<void(const std::string&)> on_warning;
};

/// What the agent trusts, as it tells the collector.
struct HeldTrust {
  std::string digest;  ///< digest_of_authorities(), 32 bytes; "" = nothing yet
  std::string issuer;  ///< digest of the authority that issued the certificate, "" = none
};

/// Thread-safe.
class Enroller {
 public:
  /// Makes the folder and the key. Errors: kPermissionDenied, kUnavailable, kInvalidArgument.
  static Result<std::unique_ptr<Enroller>> create(EnrolOptions options, const Clock& clock,
                                                  EnrolCallbacks callbacks);
  virtual ~Enroller() = default;

  virtual void start() = 0;
  virtual void stop() = 0;  ///< idempotent
  virtual TlsFiles files() const = 0;
  virtual HeldTrust trust() const = 0;
  /// Keeps the authorities (DER) that the collector names on its stream; when `issuer` is another
  /// than that of our certificate, a new one is asked for soon. Errors: kUntrusted, kUnavailable.
  virtual Result<void> take_trust(const std::vector<std::string>& authorities,
                                  const std::string& issuer) = 0;
  virtual void set_address(const std::string& address) = 0;
};

}  // namespace assay::agent
