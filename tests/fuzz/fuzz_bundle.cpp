// SPDX-License-Identifier: Apache-2.0
// Bundles, change files and root files come from anybody: none may verify that nobody signed.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/catalog/bundle.h"
#include "common/catalog/change_file.h"
#include "common/catalog/log.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace assay::catalog;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static const PublicKey key = SigningKey::generate(KeyType::kEd25519)->public_key();
  if (const auto bundle = Bundle::from_json(text))
    if (verify_bundle(*bundle, key, "artifact") || verify_bundle(*bundle, key, std::nullopt))
      std::abort();
  if (const auto file = ChangeFile::from_json(text)) {
    const auto again = ChangeFile::from_json(file->to_json());
    if (!again || again->change.head != file->change.head) std::abort();
  }
  if (const auto root = root_from_in_toto(text)) {
    const auto again = root_from_in_toto(to_in_toto(*root));
    if (!again || to_in_toto(*again) != to_in_toto(*root)) std::abort();
  }
  if (const auto file = RootFile::from_json(text)) (void)file->signatures();
  TrustRoot trust;
  trust.mark_keys = {key};
  if (verify_mark(text, trust)) std::abort();
  return 0;
}
