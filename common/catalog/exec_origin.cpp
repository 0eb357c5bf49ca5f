// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/exec_origin.h"

#include <array>

#include "common/base/encoding.h"

namespace assay::catalog {
namespace {

struct Words {
  ExecOrigin origin;
  std::string_view name;
  std::string_view text;
};
constexpr std::array kWords{
    Words{ExecOrigin::kUnknown, "unknown", "a file of which the kernel does not tell the place"},
    Words{ExecOrigin::kLayer, "layer", "a file of the image"},
    Words{ExecOrigin::kRoot, "root", "a file of a root without layers"},
    Words{ExecOrigin::kUpper, "upper", "a file that was written in this container"},
    Words{ExecOrigin::kMemory, "memory", "a file that lies in memory only"},
    Words{ExecOrigin::kDeleted, "deleted", "a file that was deleted"},
    Words{ExecOrigin::kOtherMount, "other-mount", "a file of another mount than the root"}};

}  // namespace

std::string_view to_string(ExecOrigin origin) {
  return kWords[static_cast<std::size_t>(origin)].name;
}

Result<ExecOrigin> parse_exec_origin(std::string_view text) {
  for (const Words& words : kWords)
    if (words.name == text) return words.origin;
  return Error{ErrorCode::kInvalidArgument,
               "no origin of a file: \"" + escape_untrusted(std::string(text), 80) + "\""};
}

std::string_view describe(ExecOrigin origin) {
  return kWords[static_cast<std::size_t>(origin)].text;
}

}  // namespace assay::catalog
