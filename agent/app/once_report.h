// SPDX-License-Identifier: Apache-2.0
// What `assay-agent once` prints.
#pragma once

#include <cstddef>
#include <string>

#include "agent/app/run_ledger.h"
#include "common/catalog/policy.h"
#include "common/output/document.h"

namespace assay::agent {

struct OnceContext {
  std::string cluster;
  std::string node;
  std::uint64_t catalog_sequence = 0;  ///< 0: none is trusted
  bool is_complete = true;             ///< false: the time was over first
  catalog::Policy policy = {};         ///< of that catalog
};

/// `findings`: how many there are. Text in it is foreign; printers escape it.
output::Document once_report(const RunLedger& ledger, const OnceContext& context,
                             std::size_t& findings);

}  // namespace assay::agent
