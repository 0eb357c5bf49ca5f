// SPDX-License-Identifier: Apache-2.0
// From the collector's rows to the messages that clients get.
#pragma once

#include "assay/v1/planning.pb.h"
#include "assay/v1/query.pb.h"
#include "collector/core/discovery.h"
#include "collector/core/policy_trial.h"
#include "collector/core/views.h"

namespace assay::collector {

void to_wire(const ContainerNames& names, v1::ContainerNames& out);
void to_wire(const RunView& run, v1::Run& out);
void to_wire(const FindingView& finding, v1::Finding& out);
void to_wire(const NodeView& node, v1::Node& out);
void to_wire(const TraceView& trace, v1::Trace& out);
void to_wire(const ImpactView& impact, v1::Impact& out);
void to_wire(const TrialView& trial, v1::PolicyTrial& out);
void to_wire(const DiscoveryView& found, v1::Discovery& out);

}  // namespace assay::collector
