// SPDX-License-Identifier: Apache-2.0
#include "common/base/process_stat.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>

namespace assay {
namespace {

/// Takes the next of the fields, which a space begins.
std::optional<std::string_view> take_field(std::string_view& text) {
  if (!text.starts_with(' ')) return std::nullopt;
  text.remove_prefix(1);
  const std::string_view field = text.substr(0, text.find_first_of(" \n"));
  text.remove_prefix(field.size());
  return field;
}

template <typename Number>
bool to_number(std::string_view field, Number& number) {
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), number);
  return error == std::errc() && end == field.data() + field.size();
}

std::chrono::nanoseconds tick() {
  const std::int64_t hertz = std::max<std::int64_t>(::sysconf(_SC_CLK_TCK), 1);
  return std::chrono::nanoseconds(1'000'000'000 / hertz);
}

}  // namespace

std::chrono::nanoseconds ProcessStat::started() const {
  return tick() * static_cast<std::int64_t>(start_ticks);
}

bool ProcessStat::has_started_at(std::chrono::nanoseconds start) const {
  return started() - start <= tick() && start - started() <= tick();
}

std::optional<ProcessStat> parse_process_stat(std::string_view text) {
  // The name of the program stands in brackets and may hold any character.
  const std::size_t name = text.rfind(')');
  if (name == std::string_view::npos) return std::nullopt;
  text.remove_prefix(name + 1);
  ProcessStat stat;
  for (int number = 3; number <= 22; ++number) {
    const auto field = take_field(text);
    if (!field) return std::nullopt;
    const bool is_read = number == 4    ? to_number(*field, stat.parent)
                         : number == 6  ? to_number(*field, stat.session)
                         : number == 7  ? to_number(*field, stat.terminal)
                         : number == 22 ? to_number(*field, stat.start_ticks)
                                        : !field->empty();
    if (!is_read) return std::nullopt;
  }
  return stat;
}

}  // namespace assay
