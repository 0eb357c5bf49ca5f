// SPDX-License-Identifier: Apache-2.0
// Documents and their printers are shared with the agent's own commands; here they are spoken of
// all the time.
#pragma once

#include "common/output/document.h"

namespace assay::cli {
using namespace output;  // NOLINT: on purpose
}
