// SPDX-License-Identifier: Apache-2.0
// What a verify shows to people: the same from the command line and from the agent on its node.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/base/exit_code.h"
#include "common/catalog/verification.h"
#include "common/output/document.h"

namespace assay::verification {

/// What was heard of one node.
struct VerifiedNode {
  std::string cluster;
  std::string node;
  std::uint32_t layers_expected = 0;
  std::vector<catalog::VerifiedLayer> layers;
  std::optional<Error> error;  ///< why not all layers were told, if so
};

/// Takes `event` into `node`; true: it was the last one.
bool take(const catalog::VerifyEvent& event, VerifiedNode& node);

/// How many layers came out how.
struct Tally {
  std::size_t as_recorded = 0;
  std::size_t changed = 0;
  std::size_t no_record = 0;
  std::size_t not_checked = 0;
  std::size_t failed_nodes = 0;
};
Tally tally(const std::vector<VerifiedNode>& nodes);

/// kOk: all layers are as recorded. kNegative: one is not, whatever else is. Else, of one node, the
/// code of its error; kUnavailable when a layer or a node could not be looked at, or had no record:
/// that is never told as clean.
ExitCode exit_code_of(const std::vector<VerifiedNode>& nodes);

/// `has_clusters`: the table names them.
output::Document document_of(const std::vector<VerifiedNode>& nodes, bool has_clusters);

/// One line: "12 layers as recorded, 1 changed"; errors of nodes, one a line, after it.
std::string note_of(const std::vector<VerifiedNode>& nodes);

/// Of the work, for one line on a terminal.
std::string progress_text(const VerifiedNode& node, const catalog::VerifyProgress& progress);

}  // namespace assay::verification
