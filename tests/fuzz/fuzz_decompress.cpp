// SPDX-License-Identifier: Apache-2.0
// Any bytes as a compressed stream: an end or an error, never more than the limit, and the same
// bytes however they are asked for.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "common/image/byte_source.h"

using namespace assay;
using namespace assay::image;

namespace {

constexpr std::uint64_t kMostBytes = 4U << 20;

// Hands `bytes` on in pieces of the given size.
class Pieces final : public ByteSource {
 public:
  Pieces(std::string_view bytes, std::size_t piece) : bytes_(bytes), piece_(piece) {}
  Result<std::size_t> read(std::span<char> out) override {
    const std::size_t part = std::min({out.size(), piece_, bytes_.size()});
    std::copy_n(bytes_.begin(), part, out.begin());
    bytes_.remove_prefix(part);
    return part;
  }

 private:
  std::string_view bytes_;
  std::size_t piece_;
};

struct Outcome {
  bool is_error = false;
  std::string text;
  bool operator==(const Outcome&) const = default;
};

Result<std::string> read_all(ByteSource& source, std::size_t room) {
  std::uint64_t bytes_left = kMostBytes;
  ASSAY_ASSIGN(const std::unique_ptr<ByteSource> plain, decompress(source));
  LimitedSource limited(*plain, bytes_left, kMostBytes);
  std::string text;
  std::string buffer(room, '\0');
  for (;;) {
    ASSAY_ASSIGN(const std::size_t got, limited.read(buffer));
    if (got == 0) return text;
    text.append(buffer, 0, got);
  }
}

Outcome run(std::string_view bytes, std::size_t piece, std::size_t room) {
  Pieces source(bytes, piece);
  auto text = read_all(source, room);
  if (!text) return {true, ""};
  if (text->size() > kMostBytes) std::abort();
  return {false, std::move(*text)};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Outcome whole = run(bytes, bytes.size() + 1, 1U << 16);
  if (!(whole == run(bytes, 7, 1000))) std::abort();
  return 0;
}
