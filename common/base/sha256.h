// SPDX-License-Identifier: Apache-2.0
// SHA-256 through OpenSSL, behind a header that shows none of it.
#pragma once

#include <memory>
#include <string_view>

#include "common/base/digest.h"

namespace assay {

/// Incremental SHA-256 (FIPS 180-4). Reusable after finish(). Not thread-safe.
class Sha256Hasher {
 public:
  Sha256Hasher();
  Sha256Hasher(Sha256Hasher&&) noexcept;
  Sha256Hasher& operator=(Sha256Hasher&&) noexcept;
  ~Sha256Hasher();

  void update(std::string_view bytes);
  /// The digest of all bytes since construction or the last finish().
  Sha256 finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

Sha256 sha256(std::string_view bytes);

}  // namespace assay
