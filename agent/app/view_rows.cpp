// SPDX-License-Identifier: Apache-2.0
#include "agent/app/view_rows.h"

namespace assay::agent {
namespace {

constexpr const char* kName = "(what the container sees)";

catalog::LayerOutcome outcome_of(catalog::ViewState state) {
  switch (state) {
    case catalog::ViewState::kAgrees:
      return catalog::LayerOutcome::kAsRecorded;
    case catalog::ViewState::kDiffers:
      return catalog::LayerOutcome::kChanged;
    case catalog::ViewState::kUnchecked:
      break;
  }
  return catalog::LayerOutcome::kNotChecked;
}

}  // namespace

std::optional<catalog::VerifiedLayer> view_row(const catalog::VerifiedContainer& run,
                                               const catalog::View& view) {
  if (view.state == catalog::ViewState::kUnchecked && view.layers == 0) return std::nullopt;
  catalog::VerifiedLayer row;
  row.containers = {run};
  row.containers_total = 1;
  row.name = kName;
  row.outcome = outcome_of(view.state);
  row.checked.emplace_back(catalog::kCheckedView);
  row.changes = view.masked_paths;
  row.reason = view.reason;
  row.entries = view.paths;
  return row;
}

void ViewRows::collect(Auditor& auditor, const std::vector<catalog::VerifiedContainer>& runs,
                       std::function<void(Rows)> then) {
  const std::shared_ptr<ViewRows> rows(new ViewRows(std::move(then)));  // shared by the answers
  for (const catalog::VerifiedContainer& run : runs) {
    const auto answer = [rows, run](const RunId&, const catalog::View& view) {
      if (auto row = view_row(run, view)) rows->rows_.push_back(std::move(*row));
      rows->done();
    };
    ++rows->awaited_;
    if (auditor.check_views(run.run_id, answer) == 0) rows->done();
  }
  rows->done();
}

void ViewRows::done() {
  if (--awaited_ == 0) then_(std::move(rows_));
}

}  // namespace assay::agent
