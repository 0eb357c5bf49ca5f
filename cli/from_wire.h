// SPDX-License-Identifier: Apache-2.0
// The collector's messages as the client's own values. Included by client.cpp alone: it is the only
// header of the command line that knows generated types.
#pragma once

#include "assay/v1/access.pb.h"
#include "assay/v1/enrolment.pb.h"
#include "assay/v1/planning.pb.h"
#include "assay/v1/query.pb.h"
#include "assay/v1/scan.pb.h"
#include "assay/v1/triage.pb.h"
#include "cli/client.h"

namespace assay::cli {

ContainerNames from_wire(const v1::ContainerNames& wire);
Run from_wire(const v1::Run& wire);
Finding from_wire(const v1::Finding& wire);
Node from_wire(const v1::Node& wire);
JoinToken from_wire(const v1::JoinToken& wire);
Trace from_wire(const v1::Trace& wire);
Impact from_wire(const v1::Impact& wire);
PolicyTrial from_wire(const v1::PolicyTrial& wire);
Discovery from_wire(const v1::Discovery& wire);
Scan from_wire(const v1::Scan& wire);
ImportedScan from_wire(const v1::ImportedScan& wire);
Where from_wire(const v1::WhereVulnerabilityResponse& wire);

FindingDetail from_wire(const v1::FindingDetail& wire);
Identity from_wire(const v1::Identity& wire);
Token from_wire(const v1::Token& wire);
AuditEntry from_wire(const v1::AuditEntry& wire);

/// On the wire 0 means that there is no such time.
std::optional<WallTime> time_from(std::int64_t unix_ns);

v1::ScanReport to_wire(const catalog::ScanReport& report);

}  // namespace assay::cli
