// SPDX-License-Identifier: Apache-2.0
#include "agent/probe/overlay_offsets.h"

#include <bpf/btf.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <string_view>

namespace assay::agent {
namespace {

constexpr char kModuleBtf[] = "/sys/kernel/btf/overlay";

struct BtfDeleter {
  void operator()(btf* types) const { btf__free(types); }
};
using Btf = std::unique_ptr<btf, BtfDeleter>;

std::uint32_t struct_id(const btf* types, const char* name) {
  const int id = btf__find_by_name_kind(types, name, BTF_KIND_STRUCT);
  return id > 0 ? static_cast<std::uint32_t>(id) : 0;
}

// Byte offset of `member` in struct `id`, also inside unnamed members; ASSAY_NO_FIELD: none.
// `depth` bounds the recursion over what is the kernel's own data.
std::uint32_t offset_of(const btf* types, std::uint32_t id, std::string_view member,
                        int depth = 4) {
  const btf_type* type = btf__type_by_id(types, id);
  if (type == nullptr || !btf_is_composite(type) || depth == 0) return ASSAY_NO_FIELD;
  const btf_member* members = btf_members(type);
  for (std::uint32_t i = 0; i < btf_vlen(type); ++i) {
    const std::uint32_t offset = btf_member_bit_offset(type, i) / 8;
    const std::string_view name = btf__name_by_offset(types, members[i].name_off);
    if (name == member) return offset;
    if (!name.empty()) continue;
    const std::uint32_t inner = offset_of(types, members[i].type, member, depth - 1);
    if (inner != ASSAY_NO_FIELD) return offset + inner;
  }
  return ASSAY_NO_FIELD;
}

// Whether `member` of struct `id` is a pointer; up to 6.4 redirect_mode is a string.
bool is_pointer(const btf* types, std::uint32_t id, std::string_view member) {
  const btf_type* type = btf__type_by_id(types, id);
  for (std::uint32_t i = 0; i < btf_vlen(type); ++i) {
    const btf_member& candidate = btf_members(type)[i];
    if (btf__name_by_offset(types, candidate.name_off) != member) continue;
    const btf_type* target = btf__type_by_id(types, candidate.type);
    return target != nullptr && btf_is_ptr(target);
  }
  return false;
}

Result<assay_overlay_offsets> read_from(const btf* types) {
  const std::uint32_t fs = struct_id(types, "ovl_fs");
  const std::uint32_t config = struct_id(types, "ovl_config");
  const std::uint32_t layer = struct_id(types, "ovl_layer");
  const std::uint32_t inode = struct_id(types, "ovl_inode");
  if (fs == 0 || config == 0 || layer == 0)
    return Error{ErrorCode::kUnsupported, "no overlayfs types in this BTF"};

  const std::uint32_t config_at = offset_of(types, fs, "config");
  const auto option = [&](std::string_view name) {
    const std::uint32_t at = offset_of(types, config, name);
    return at == ASSAY_NO_FIELD ? at : config_at + at;
  };
  assay_overlay_offsets offsets{};
  offsets.layer_size = static_cast<std::uint32_t>(btf__resolve_size(types, layer));
  offsets.layer_mnt = offset_of(types, layer, "mnt");
  offsets.fs_layers = offset_of(types, fs, "layers");
  offsets.fs_layer_count = offset_of(types, fs, "numlayer");
  offsets.fs_data_layer_count = offset_of(types, fs, "numdatalayer");
  offsets.lowerdir = option("lowerdir");
  offsets.lowerdirs = option("lowerdirs");
  offsets.redirect_mode =
      is_pointer(types, config, "redirect_mode") ? ASSAY_NO_FIELD : option("redirect_mode");
  offsets.redirect_dir = option("redirect_dir");
  offsets.redirect_follow = option("redirect_follow");
  offsets.verity_mode = option("verity_mode");
  offsets.metacopy = option("metacopy");
  offsets.userxattr = option("userxattr");
  offsets.inode_vfs_inode = offset_of(types, inode, "vfs_inode");
  offsets.inode_upper_dentry = offset_of(types, inode, "__upperdentry");
  if (offsets.layer_mnt == ASSAY_NO_FIELD || offsets.fs_layers == ASSAY_NO_FIELD ||
      offsets.fs_layer_count == ASSAY_NO_FIELD || config_at == ASSAY_NO_FIELD ||
      offsets.layer_size == 0)
    return Error{ErrorCode::kUnsupported, "this kernel's overlayfs keeps its layers otherwise"};
  offsets.is_known = 1;
  return offsets;
}

}  // namespace

Result<assay_overlay_offsets> read_overlay_offsets() {
  const Btf kernel(btf__load_vmlinux_btf());
  if (!kernel) return system_error("read the kernel's BTF");
  if (struct_id(kernel.get(), "ovl_fs") != 0) return read_from(kernel.get());
  if (::access(kModuleBtf, R_OK) != 0)
    return Error{
        ErrorCode::kUnsupported,
        "overlayfs is a module that is not loaded, or has no BTF: load it before the agent "
        "(modprobe overlay)"};
  const Btf module(btf__parse_split(kModuleBtf, kernel.get()));
  if (!module) return system_error(std::string("read ") + kModuleBtf);
  return read_from(module.get());
}

}  // namespace assay::agent
