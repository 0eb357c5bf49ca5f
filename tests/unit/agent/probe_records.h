// SPDX-License-Identifier: Apache-2.0
// Hand-made records of the kernel side, as bytes.
#pragma once

#include <cstddef>
#include <cstring>
#include <string>

#include "bpf/include/event_abi.h"

namespace assay::agent::tests {

template <typename Record>
std::string bytes_of(Record record, std::uint16_t type, std::size_t size = sizeof(Record)) {
  record.header.type = type;
  record.header.abi_version = ASSAY_ABI_VERSION;
  record.header.size = static_cast<std::uint32_t>(size);
  record.header.boot_ns = 5'000'000'000;
  return {reinterpret_cast<const char*>(&record), size};
}

inline std::string layers_record(std::uint64_t start_id, std::uint32_t first, std::uint32_t count) {
  assay_layers record{};
  record.start_id = start_id;
  record.first_index = first;
  record.count = count;
  for (std::uint32_t i = 0; i < count; ++i) {
    assay_layer& layer = record.layers[i];
    layer.inode = 1000 + first + i;
    layer.device = (254U << 20U) | 1U;
    layer.generation = 7;
    layer.name_size = 1;
    layer.name[0] = static_cast<char>('a' + (first + i) % 26);
  }
  return bytes_of(record, ASSAY_RECORD_LAYERS,
                  offsetof(assay_layers, layers) + count * sizeof(assay_layer));
}

inline assay_start make_start(std::uint64_t start_id, std::uint32_t layer_count) {
  assay_start record{};
  record.start_id = start_id;
  record.layer_count = layer_count;
  record.flags = ASSAY_IS_OVERLAY;
  record.key.device = (0U << 20U) | 39U;
  record.key.inode = 42;
  record.key.cgroup_id = 842;
  record.process.tgid = 77;
  std::memcpy(record.process.name, "exactly15bytes!", 15);
  constexpr char kPath[] = "leaf\0docker";
  std::memcpy(record.cgroup_path, kPath, sizeof(kPath));
  record.cgroup_path_size = sizeof(kPath);
  constexpr char kArguments[] = "/bin/sh\0-c\0";
  record.arguments_size = sizeof(kArguments) - 1;
  std::memcpy(record.arguments, kArguments, sizeof(kArguments));
  return record;
}

inline std::string start_record(const assay_start& record) {
  return bytes_of(record, ASSAY_RECORD_START,
                  offsetof(assay_start, arguments) + record.arguments_size);
}

}  // namespace assay::agent::tests
