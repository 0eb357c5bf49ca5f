// SPDX-License-Identifier: Apache-2.0
// Issues nodes' certificates with the authority whose key lies in the data folder, and knows which
// authorities are trusted. Both may be replaced while it runs.
#pragma once

#include <chrono>
#include <memory>

#include "collector/identity/certificates.h"
#include "common/base/mutex.h"

namespace assay::collector {

/// What is in use now.
struct AuthorityMaterial {
  std::string bundle;                        ///< PEM: all that are trusted
  std::string key;                           ///< PEM of one of them, "" when no key is here
  std::chrono::seconds lifetime{24 * 3600};  ///< of nodes' certificates
  bool operator==(const AuthorityMaterial&) const = default;
};

class Certifier final : public NodeCertifier {
 public:
  /// `clock` must outlive it. Errors: kInvalidArgument.
  static Result<std::unique_ptr<Certifier>> create(const AuthorityMaterial& material,
                                                   const Clock& clock);

  /// Errors: kInvalidArgument (not PEM; a key that is none of the bundle's): all stays as it was.
  Result<void> set(const AuthorityMaterial& material);

  Result<RequestedKey> read_request(std::string_view der) const override;
  Result<IssuedLeaf> issue(const NodeKey& node, const RequestedKey& key) override;
  TrustedAuthorities trusted() const override;
  Result<ShownCertificate> read_certificate(const std::string& pem) const override;

 private:
  struct State {
    AuthorityMaterial material;
    std::string certificate;  // PEM, that of the key; "" without one
    TrustedAuthorities trusted;
  };
  static Result<State> read(const AuthorityMaterial& material);
  Certifier(State state, const Clock& clock) : clock_(clock), state_(std::move(state)) {}

  const Clock& clock_;
  mutable Mutex mutex_;
  State state_ ASSAY_GUARDED_BY(mutex_);
};

}  // namespace assay::collector
