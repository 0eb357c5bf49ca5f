// SPDX-License-Identifier: Apache-2.0
// Width of text on a terminal, by the C library's own Unicode tables.
#include <locale.h>
#include <wchar.h>

#include "cli/output/table.h"

namespace assay::cli {
namespace {

/// C.UTF-8 for this thread as long as it lives; the program's own locale stays "C".
class Utf8Locale {
 public:
  Utf8Locale()
      : locale_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)),
        before_(locale_ == nullptr ? nullptr : uselocale(locale_)) {}
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;
  ~Utf8Locale() {
    if (locale_ == nullptr) return;
    uselocale(before_);
    freelocale(locale_);
  }

 private:
  locale_t locale_;
  locale_t before_;
};

}  // namespace

std::size_t display_width(std::string_view text) {
  static const Utf8Locale locale;
  std::size_t width = 0;
  wchar_t code = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      ++width;
      continue;
    }
    // Escaped text is well-formed, so a lead byte says how many bits it adds.
    if ((byte & 0xc0) == 0x80)
      code = static_cast<wchar_t>((code << 6) | (byte & 0x3f));
    else
      code = static_cast<wchar_t>(byte >= 0xf0 ? byte & 0x07 : byte & (byte >= 0xe0 ? 0x0f : 0x1f));
    const bool is_last =
        &c == &text.back() || (static_cast<unsigned char>(*(&c + 1)) & 0xc0) != 0x80;
    if (!is_last) continue;
    const int columns = wcwidth(code);
    width += columns < 0 ? 1 : static_cast<std::size_t>(columns);
  }
  return width;
}

}  // namespace assay::cli
