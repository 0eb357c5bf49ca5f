// SPDX-License-Identifier: Apache-2.0
// One reader per format; read_scan() chooses. All of them: errors as read_scan(). Internal to
// common/scan.
#pragma once

#include "common/scan/json_view.h"

namespace assay::scan {

/// Source: trivy pkg/types/report.go, pkg/fanal/types/artifact.go (schema version 2).
Result<catalog::ScanReport> read_trivy(const Json& report);
/// Source: grype grype/presenter/models/document.go.
Result<catalog::ScanReport> read_grype(const Json& report);
/// `report`: one result of `snyk container test --json`, or an array of them.
Result<catalog::ScanReport> read_snyk(const Json& report);
/// Source: OASIS SARIF 2.1.0; what Trivy, Grype and Snyk put where.
Result<catalog::ScanReport> read_sarif(const Json& report);
/// Source: CycloneDX 1.4 to 1.7, JSON schema "vulnerabilities".
Result<catalog::ScanReport> read_cyclonedx(const Json& report);
/// Source: OpenVEX specification 0.2.0; 0.0.1, which has other members, is read where they agree.
Result<catalog::ScanReport> read_openvex(const Json& report);

}  // namespace assay::scan
