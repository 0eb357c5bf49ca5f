// SPDX-License-Identifier: Apache-2.0
// Lists inside one column, as JSON, so that SQL's own json functions can read them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "collector/core/events.h"
#include "common/base/result.h"
#include "common/catalog/containment.h"

namespace assay::collector {

std::string encode(const std::vector<std::string>& texts);
std::string encode(const std::vector<std::uint32_t>& numbers);
std::string encode(const std::map<std::string, std::string>& texts);
std::string encode(const std::vector<Process>& processes);
std::string encode(const std::vector<Degradation>& degraded);
std::string encode(const catalog::Containment& found);
std::string encode(const catalog::Login& login);      ///< "" when nothing is known
std::string encode(const catalog::Posture& posture);  ///< without its traits; "" = not known
Result<catalog::Posture> decode_posture(const std::string& text, std::int64_t traits);
Result<catalog::Login> decode_login(const std::string& text);
std::string encode(const catalog::View& view);

// Errors: kCorrupt.
Result<std::vector<std::string>> decode_texts(const std::string& json);
Result<std::vector<std::uint32_t>> decode_numbers(const std::string& json);
Result<std::map<std::string, std::string>> decode_map(const std::string& json);
Result<std::vector<Process>> decode_processes(const std::string& json);
Result<std::vector<Degradation>> decode_degraded(const std::string& json);
Result<catalog::Containment> decode_containment(const std::string& json);
/// "": nobody looked.
Result<catalog::View> decode_view(const std::string& json);

}  // namespace assay::collector
