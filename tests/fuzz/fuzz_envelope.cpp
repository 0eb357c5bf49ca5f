// SPDX-License-Identifier: Apache-2.0
// Envelopes come from the network and from files: whatever is read must be written back alike.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/catalog/log.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace assay::catalog;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto trust = TrustRoot::parse(text); trust && trust->threshold > trust->keys.size())
    std::abort();
  const auto envelope = Envelope::from_json(text);
  if (!envelope) return 0;
  const auto again = Envelope::from_json(envelope->to_json());
  if (!again || again->payload != envelope->payload ||
      again->payload_type != envelope->payload_type ||
      again->signatures.size() != envelope->signatures.size())
    std::abort();
  // Nobody signed it: with a key or without, it must not verify.
  static const PublicKey key = SigningKey::generate(KeyType::kEd25519)->public_key();
  if (!verified_by(*again, {key}).empty()) std::abort();
  return 0;
}
