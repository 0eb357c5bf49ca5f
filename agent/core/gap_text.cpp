// SPDX-License-Identifier: Apache-2.0
#include "agent/core/gap_text.h"

#include <string_view>

namespace assay::agent {
namespace {

std::string_view cause_of(const ObservationGap& gap) {
  switch (gap.cause) {
    case GapCause::kLosses:
      return "the probe lost records";
    case GapCause::kAbsence:
      return "no agent was running; what still ran at the end was found";
    case GapCause::kUnstored:
      return "the agent ended before it had stored all that it had seen; what still ran at the end "
             "was found";
  }
  return "";
}

void add(std::string& text, std::uint64_t count, std::string_view what) {
  if (count == 0) return;
  text += text.empty() ? "" : ", ";
  text += std::to_string(count) + " " + std::string(what);
}

}  // namespace

std::uint64_t lost_in(const ObservationGap& gap, bool records_execs) {
  return gap.lost.gone() + (records_execs ? gap.lost.lost_execs : 0);
}

std::string describe(const ObservationGap& gap, bool records_execs) {
  std::string lost;
  add(lost, gap.lost.ended_untold, "runs that had ended before a sweep could find them");
  add(lost, gap.lost.lost_unknown, "starts lost while the map of runs was full");
  add(lost, gap.lost.recursion_misses, "calls of the programs missed");
  if (records_execs) add(lost, gap.lost.lost_execs, "execs");
  std::string text(cause_of(gap));
  if (!lost.empty()) text += ": " + lost;
  return text;
}

}  // namespace assay::agent
