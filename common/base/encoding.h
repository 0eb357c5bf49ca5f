// SPDX-License-Identifier: Apache-2.0
// Small text and byte encodings: hex, base64, length-prefixed fields, escaping of foreign text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace assay {

std::string to_hex(std::string_view bytes);
/// Errors: kInvalidArgument (odd length, not a hex digit).
Result<std::string> from_hex(std::string_view text);

/// Base64 with padding (RFC 4648 section 4).
std::string to_base64(std::string_view bytes);
/// Reads standard and URL-safe base64, padded or not, as DSSE asks of verifiers.
/// Errors: kInvalidArgument.
Result<std::string> from_base64(std::string_view text);

/// Appends a field: 4 bytes length, little-endian, then the bytes. Every digest of ours that covers
/// more than one value is taken over such fields, so that no two inputs run into one another.
void append_field(std::string& out, std::string_view field);
/// The same with the decimal digits of `number` as the field.
void append_field(std::string& out, std::uint64_t number);

/// `text` made safe for a terminal or a log line: control characters, quotes' backslash and bytes
/// that are not UTF-8 become \xNN; longer than `max_bytes` is cut and ends in "…".
/// Everything that a container or an image controls passes here before it is printed.
std::string escape_untrusted(std::string_view text, std::size_t max_bytes = 512);

/// At most `max_bytes` of `text` as plain UTF-8 to be kept: each control character, each mark that
/// reorders or hides text and each byte that is not UTF-8 becomes "?". For foreign text that is
/// only ever read by people; what prints it escapes it all the same.
std::string to_plain_text(std::string_view text, std::size_t max_bytes);

}  // namespace assay
