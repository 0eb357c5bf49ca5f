// SPDX-License-Identifier: Apache-2.0
// The trusted authorities as messages. Private to collector/ingest.
#pragma once

#include "assay/v1/enrolment.pb.h"
#include "collector/core/enrolment.h"
#include "collector/ingest/agent_stream.h"

namespace assay::collector {

void to_wire(const TrustedAuthorities& trusted, v1::TrustBundle& out);
AgentStreamHost::TrustMessage trust_message(const TrustedAuthorities& trusted);

}  // namespace assay::collector
