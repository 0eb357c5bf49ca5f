// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/verification.h"

namespace assay::catalog {

std::string_view to_string(LayerOutcome outcome) {
  switch (outcome) {
    case LayerOutcome::kAsRecorded:
      return "as-recorded";
    case LayerOutcome::kChanged:
      return "changed";
    case LayerOutcome::kNoRecord:
      return "no-record";
    case LayerOutcome::kNotChecked:
      return "not-checked";
  }
  return "not-checked";
}

LayerOutcome parse_layer_outcome(std::string_view text) {
  for (const LayerOutcome outcome :
       {LayerOutcome::kAsRecorded, LayerOutcome::kChanged, LayerOutcome::kNoRecord})
    if (text == to_string(outcome)) return outcome;
  return LayerOutcome::kNotChecked;
}

}  // namespace assay::catalog
