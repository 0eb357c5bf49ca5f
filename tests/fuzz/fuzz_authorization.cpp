// SPDX-License-Identifier: Apache-2.0
// Any bytes as an authorization header: a whole token, or an error that holds nothing of them.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "collector/core/token.h"
#include "collector/core/token_book.h"
#include "common/base/sha256.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace assay::collector;
  const std::string header(reinterpret_cast<const char*>(data), size);
  const auto shown = parse_authorization(header);
  if (!shown) {
    static const std::string always = parse_authorization("").error().message;
    if (shown.error().message != always) std::abort();
    return 0;
  }
  if (size != 7 + kTokenBytes || shown->id != header.substr(13, 16) ||
      shown->hash != assay::sha256(header.substr(7)))
    std::abort();
  TokenBook book({});
  if (book.find(*shown, {})) std::abort();  // nobody made it
  return 0;
}
