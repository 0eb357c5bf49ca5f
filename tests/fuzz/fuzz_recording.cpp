// SPDX-License-Identifier: Apache-2.0
// Any bytes as a recording, read and played through everything behind the probe.
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>

#include "agent/app/replay.h"
#include "agent/app/replay_view.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::istringstream in(std::string(reinterpret_cast<const char*>(data), size));
  auto reader = assay::agent::RecordingReader::open(in);
  if (!reader) return 0;
  assay::agent::ReplayClock clock(reader->header());
  assay::agent::ReplayView view(clock, true);
  const auto report = assay::agent::replay(*reader, clock, view);
  if (report) static_cast<void>(view.to_json(reader->header(), *report));
  return 0;
}
