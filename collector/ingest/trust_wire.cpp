// SPDX-License-Identifier: Apache-2.0
#include "collector/ingest/trust_wire.h"

namespace assay::collector {

void to_wire(const TrustedAuthorities& trusted, v1::TrustBundle& out) {
  for (const std::string& certificate : trusted.certificates)
    out.add_authorities(certificate);
  if (trusted.issuer) out.set_issuer(std::string(trusted.issuer->raw()));
}

AgentStreamHost::TrustMessage trust_message(const TrustedAuthorities& trusted) {
  auto message = std::make_shared<v1::ToAgent>();
  to_wire(trusted, *message->mutable_trust());
  return {std::string(trusted.digest.raw()), message->trust().issuer(), message};
}

}  // namespace assay::collector
