// SPDX-License-Identifier: Apache-2.0
// Any bytes as records of the ring buffer (each led by two bytes of length) and as a sweep's
// output.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "agent/probe/event_decoder.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  assay::agent::EventDecoder decoder;
  std::string_view rest = input;
  while (rest.size() > 2) {
    const std::size_t length = static_cast<std::uint8_t>(rest[0]) |
                               static_cast<std::size_t>(static_cast<std::uint8_t>(rest[1])) << 8U;
    rest.remove_prefix(2);
    const std::string_view record = rest.substr(0, length);
    static_cast<void>(decoder.decode(record));
    rest.remove_prefix(record.size());
  }
  static_cast<void>(assay::agent::decode_swept_tasks(input));
  return 0;
}
