// SPDX-License-Identifier: Apache-2.0
// The collector's own key, which signs freshness marks and nothing else, and when it does.
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "collector/catalog/keeper.h"
#include "common/base/result.h"
#include "common/catalog/signing.h"

namespace assay::collector {

/// The key in `path`. When it is not there an Ed25519 key is made; its public half, which goes into
/// the root, is written beside it as PATH.pub. Errors: kInvalidArgument (no key in it),
/// kPermissionDenied, kUnavailable.
Result<catalog::SigningKey> load_mark_key(const std::string& path);

/// Renews the mark once an hour, on a thread of its own. `keeper` outlives it.
class MarkTimer {
 public:
  /// `on_mark`: after each new mark, on its thread.
  MarkTimer(SignedLogKeeper& keeper, std::function<void()> on_mark);

 private:
  void run(const std::stop_token& stop);

  SignedLogKeeper& keeper_;
  const std::function<void()> on_mark_;
  std::jthread thread_;
};

}  // namespace assay::collector
