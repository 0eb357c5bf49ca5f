// SPDX-License-Identifier: Apache-2.0
// What agents answer to a verify: any bytes give an event within its limits, or an error.
#include <cstdlib>

#include "common/verification/report.h"
#include "common/verification/verify_codec.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace assay;
  const auto event =
      verification::decode(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!event) return 0;
  const std::string again = verification::encode(*event);
  if (again.size() > static_cast<std::size_t>(verification::kMaxEventBytes)) std::abort();
  verification::VerifiedNode node;
  (void)verification::take(*event, node);
  (void)verification::document_of({node}, true);
  (void)verification::exit_code_of({node});
  return 0;
}
