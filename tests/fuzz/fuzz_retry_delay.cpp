// SPDX-License-Identifier: Apache-2.0
// The details of a gRPC status come from whoever ended the stream: no delay beyond its limit may
// come out of them.
#include <cstdint>
#include <cstdlib>

#include "common/retry/retry_delay.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace assay;
  const auto delay = retry_delay_of({reinterpret_cast<const char*>(data), size});
  if (delay.count() < 0 || delay > kMaxRetryDelay) std::abort();
  return 0;
}
