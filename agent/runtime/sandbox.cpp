// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/sandbox.h"

#include <algorithm>

namespace assay::agent {
namespace {

struct Row {
  std::string_view word;
  const char* sandbox;
};
// Words of the shims' names, from the projects' installation pages.
constexpr Row kRows[] = {{"runsc", "gVisor"},         {"gvisor", "gVisor"},
                         {"kata", "Kata Containers"}, {"firecracker", "Firecracker"},
                         {"quark", "Quark"},          {"krun", "libkrun"},
                         {"urunc", "urunc"},          {"nabla", "Nabla"}};

/// The next of the words that are separated by any of "-._:", taken from `text`.
std::string_view take_word(std::string_view& text) {
  const std::size_t end = std::min(text.find_first_of("-._:"), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

}  // namespace

std::string sandbox_of_runtime(std::string_view name) {
  name = name.substr(name.rfind('/') + 1);  // the whole of it without one
  while (!name.empty()) {
    const std::string_view word = take_word(name);
    const auto* row =
        std::ranges::find_if(kRows, [&](const Row& known) { return known.word == word; });
    if (row != std::end(kRows)) return row->sandbox;
  }
  return "";
}

}  // namespace assay::agent
