// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/codec.h"

#include <nlohmann/json.hpp>

namespace assay::collector {
namespace {

using nlohmann::json;

/// What is not UTF-8 becomes U+FFFD: a column never fails because of a container's text.
std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

template <typename T>
Result<T> decode(const std::string& text) {
  try {
    return json::parse(text).get<T>();
  } catch (const json::exception&) {
    return Error{ErrorCode::kCorrupt, "a column does not hold the JSON it should"};
  }
}

}  // namespace

// nlohmann finds these by argument-dependent lookup.
static void to_json(json& out, const Process& process) {
  out = json{{"pid", process.pid}, {"start_ns", process.start_ns}, {"name", process.name}};
}

static void from_json(const json& in, Process& process) {
  in.at("pid").get_to(process.pid);
  in.at("start_ns").get_to(process.start_ns);
  in.at("name").get_to(process.name);
}

static void to_json(json& out, const Degradation& degradation) {
  out = json{{"mode", degradation.mode}, {"reason", degradation.reason}};
}

static void from_json(const json& in, Degradation& degradation) {
  in.at("mode").get_to(degradation.mode);
  in.at("reason").get_to(degradation.reason);
}

std::string encode(const std::vector<std::string>& texts) {
  return dump(json(texts));
}

std::string encode(const std::vector<std::uint32_t>& numbers) {
  return dump(json(numbers));
}

std::string encode(const std::map<std::string, std::string>& texts) {
  return dump(json(texts));
}

std::string encode(const std::vector<Process>& processes) {
  return dump(json(processes));
}

std::string encode(const std::vector<Degradation>& degraded) {
  return dump(json(degraded));
}

Result<std::vector<std::string>> decode_texts(const std::string& json) {
  return decode<std::vector<std::string>>(json);
}

Result<std::vector<std::uint32_t>> decode_numbers(const std::string& json) {
  return decode<std::vector<std::uint32_t>>(json);
}

Result<std::map<std::string, std::string>> decode_map(const std::string& json) {
  return decode<std::map<std::string, std::string>>(json);
}

Result<std::vector<Process>> decode_processes(const std::string& json) {
  return decode<std::vector<Process>>(json);
}

Result<std::vector<Degradation>> decode_degraded(const std::string& json) {
  return decode<std::vector<Degradation>>(json);
}

}  // namespace assay::collector
