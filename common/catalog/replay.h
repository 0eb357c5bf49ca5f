// SPDX-License-Identifier: Apache-2.0
// The rules of a base's life, applied statement by statement; internal to common/catalog.
#pragma once

#include <map>
#include <string>

#include "common/catalog/catalog.h"
#include "common/catalog/log.h"

namespace assay::catalog {

/// Not thread-safe.
class Replay {
 public:
  /// Errors: kInvalidArgument (the base's life does not allow it), saying what to do instead.
  Result<void> apply(const Statement& statement, const std::string& signer);
  Catalog finish(std::string catalog_id, std::uint64_t sequence) &&;

 private:
  Result<void> approve(Base& base, const Statement& statement, bool is_new);
  Result<void> draft(Base& base, const Statement& statement, bool is_new);
  Result<void> deprecate(Base& base, const Statement& statement);
  Result<void> revoke(Base& base);

  std::map<BaseId, Base> bases_;
  Policy policy_;
};

}  // namespace assay::catalog
