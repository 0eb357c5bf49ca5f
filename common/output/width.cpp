// SPDX-License-Identifier: Apache-2.0
// Width of text on a terminal, by the C library's own Unicode tables.
#include <clocale>
#include <cwchar>

#include "common/output/table.h"

namespace assay::output {
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
  const auto is_continuation = [&](std::size_t i) {
    return i < text.size() && (static_cast<unsigned char>(text[i]) & 0xc0) == 0x80;
  };
  std::size_t width = 0;
  // Escaped text is well-formed: a lead byte says how many of its bits count.
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto lead = static_cast<unsigned char>(text[i]);
    int mask = 0x7f;
    if (lead >= 0xf0)
      mask = 0x07;
    else if (lead >= 0xe0)
      mask = 0x0f;
    else if (lead >= 0xc0)
      mask = 0x1f;
    wchar_t code = lead & mask;
    for (; is_continuation(i + 1); ++i)
      code = static_cast<wchar_t>((code << 6) | (text[i + 1] & 0x3f));
    const int columns = wcwidth(code);
    width += columns < 0 ? 1 : static_cast<std::size_t>(columns);
  }
  return width;
}

}  // namespace assay::output
