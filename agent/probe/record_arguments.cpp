// SPDX-License-Identifier: Apache-2.0
#include "agent/probe/record_arguments.h"

#include <cstddef>
#include <cstring>

#include "agent/probe/event_decoder.h"
#include "bpf/include/event_abi.h"

namespace assay::agent {
namespace {

template <typename Field>
Field field_at(std::string_view bytes, std::size_t at) {
  Field field{};
  std::memcpy(&field, bytes.data() + at, sizeof(field));
  return field;
}

template <typename Field>
void put_at(std::string& bytes, std::size_t at, Field field) {
  std::memcpy(bytes.data() + at, &field, sizeof(field));
}

/// Where a kind of record keeps what belongs to its arguments.
struct Places {
  std::size_t flags;
  std::size_t size;
  std::size_t arguments;
};
constexpr Places kStart{offsetof(assay_start, flags), offsetof(assay_start, arguments_size),
                        offsetof(assay_start, arguments)};
constexpr Places kExec{offsetof(assay_exec, flags), offsetof(assay_exec, arguments_size),
                       offsetof(assay_exec, arguments)};

std::optional<std::string> limited(std::string_view record, const Places& at,
                                   const LimitArguments& limit) {
  if (record.size() < at.arguments) return std::nullopt;
  const auto size = field_at<std::uint32_t>(record, at.size);
  if (record.size() != at.arguments + size) return std::nullopt;
  std::vector<std::string> arguments = split_arguments(record.substr(at.arguments));
  std::string result(record);
  if (!limit(arguments)) return result;
  result.resize(at.arguments);
  for (const std::string& argument : arguments)
    result.append(argument).push_back('\0');
  const auto total = static_cast<std::uint32_t>(result.size());
  put_at(result, at.size, static_cast<std::uint32_t>(total - at.arguments));
  put_at(result, at.flags, field_at<std::uint32_t>(result, at.flags) | ASSAY_ARGUMENTS_TRUNCATED);
  put_at(result, offsetof(assay_record_header, size), total);
  return result;
}

}  // namespace

std::optional<std::string> limit_record(ProbeChannel channel, std::string_view record,
                                        const LimitArguments& limit) {
  if (channel == ProbeChannel::kSweptTasks) return std::string(record);
  if (record.size() < sizeof(assay_record_header)) return std::nullopt;
  const auto header = field_at<assay_record_header>(record, 0);
  if (header.size < sizeof(header) || header.size > record.size()) return std::nullopt;
  record = record.substr(0, header.size);
  switch (header.type) {
    case ASSAY_RECORD_START:
      return limited(record, kStart, limit);
    case ASSAY_RECORD_EXEC:
      return limited(record, kExec, limit);
    case ASSAY_RECORD_CANARY:
      return std::nullopt;
    default:
      return std::string(record);
  }
}

}  // namespace assay::agent
