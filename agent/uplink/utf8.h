// SPDX-License-Identifier: Apache-2.0
// proto3 strings are UTF-8; names, paths and arguments of containers may be any bytes.
#pragma once

#include <string>
#include <string_view>

namespace assay::agent {

/// `bytes` as UTF-8, nothing lost: bytes that are not UTF-8 become \xNN. Thread-safe.
/// Source: RFC 3629.
std::string to_utf8(std::string_view bytes);

}  // namespace assay::agent
