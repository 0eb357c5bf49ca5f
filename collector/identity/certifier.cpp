// SPDX-License-Identifier: Apache-2.0
#include "collector/identity/certifier.h"

#include "collector/core/principal.h"
#include "common/base/authorities.h"
#include "common/base/sha256.h"

namespace assay::collector {
Result<Certifier::State> Certifier::read(const AuthorityMaterial& material) {
  State state;
  state.material = material;
  ASSAY_ASSIGN(state.trusted.certificates, certificates_of(material.bundle));
  state.trusted.digest = digest_of_authorities(state.trusted.certificates);
  if (material.key.empty()) return state;
  auto certificate = certificate_of_key(material.bundle, material.key);
  if (!certificate)
    return Error{ErrorCode::kInvalidArgument,
                 "the authority's key belongs to none of the certificates that are trusted: check "
                 "enrol.ca_key and tls.ca"};
  state.certificate = std::move(*certificate);
  ASSAY_ASSIGN(const auto issuer, certificates_of(state.certificate));
  state.trusted.issuer = sha256(issuer.front());
  return state;
}

Result<std::unique_ptr<Certifier>> Certifier::create(const AuthorityMaterial& material,
                                                     const Clock& clock) {
  ASSAY_ASSIGN(State state, read(material));
  return std::unique_ptr<Certifier>(new Certifier(std::move(state), clock));
}

Result<void> Certifier::set(const AuthorityMaterial& material) {
  ASSAY_ASSIGN(State state, read(material));
  const MutexLock lock(mutex_);
  state_ = std::move(state);
  return ok();
}

Result<RequestedKey> Certifier::read_request(std::string_view der) const {
  return read_certificate_request(der);
}

Result<IssuedLeaf> Certifier::issue(const NodeKey& node, const RequestedKey& key) {
  CertificatePair authority;
  LeafRequest request;
  request.common_name = node.node;
  request.uris = {node_uri(node)};
  {
    const MutexLock lock(mutex_);
    authority = {state_.certificate, state_.material.key};
    request.lifetime = state_.material.lifetime;
  }
  if (authority.key.empty())
    return Error{ErrorCode::kUnsupported,
                 "this collector issues no certificates: it has no authority's key "
                 "(enrol.ca_key); certificates come from elsewhere here"};
  return issue_for(authority, key.der, request, clock_.wall_now());
}

TrustedAuthorities Certifier::trusted() const {
  const MutexLock lock(mutex_);
  return state_.trusted;
}

Result<ShownCertificate> Certifier::read_certificate(const std::string& pem) const {
  return read_shown_certificate(pem);
}

}  // namespace assay::collector
