// SPDX-License-Identifier: Apache-2.0
#include "common/image/root_form.h"

#include <algorithm>
#include <array>

#include "common/image/canonical.h"

namespace assay::image {
namespace {

// Mount points that runtimes make where the image has none, and files that they write or replace.
// Sources: moby daemon/initlayer/setup_unix.go; runc libcontainer/rootfs_linux.go; podman
// libpod/container_internal_common.go; the kubelet's service account volume.
constexpr std::array<std::string_view, 5> kWithAllBelow = {"dev", "proc", "run/secrets", "sys",
                                                           "var/run/secrets"};
constexpr std::array<std::string_view, 6> kAlone = {
    ".dockerenv", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf", "run/.containerenv"};
constexpr std::array<std::string_view, 2> kParents = {"etc", "run"};

bool is_below(std::string_view path, std::string_view directory) {
  return path.size() > directory.size() && path[directory.size()] == '/' &&
         path.starts_with(directory);
}

}  // namespace

std::uint64_t LayerTreeKeeper::wanted_bytes(std::string_view path, std::size_t number) {
  return other_ != nullptr ? other_->wanted_bytes(path, number) : 0;
}

void LayerTreeKeeper::on_file(std::string_view path, std::size_t number, const ReadAt& bytes) {
  if (other_ != nullptr) other_->on_file(path, number, bytes);
}

void LayerTreeKeeper::on_record(std::string_view path, const Entry& entry, const FileDigest* digest,
                                std::optional<std::size_t> number) {
  Entry& kept = tree_.entries.emplace_back(entry);
  kept.path = path;
  if (digest != nullptr) kept.file_digest = *digest;
  if (other_ != nullptr) other_->on_record(path, entry, digest, number);
}

void LayerTreeKeeper::on_deletions(const Deletions* deletions) {
  if (deletions != nullptr) tree_.deletions = *deletions;
  if (other_ != nullptr) other_->on_deletions(deletions);
}

std::optional<DevicelessFingerprint> fingerprint_without_devices(const LayerTree& layer,
                                                                 Scope scope) {
  if (std::ranges::none_of(layer.entries, is_device)) return std::nullopt;
  RecordDigests digests(scope, Form::kLayer);
  for (const Entry& entry : layer.entries)
    if (!is_device(entry))
      digests.add(entry.path, entry, entry.file_digest ? &*entry.file_digest : nullptr);
  DevicelessFingerprint found;
  digests.finish(found.shape, found.content);
  return found;
}

bool is_left_out_of_root(std::string_view path, EntryType type) {
  if (type == EntryType::kCharDevice || type == EntryType::kBlockDevice) return true;
  const bool is_directory = type == EntryType::kDirectory;
  const auto is_path = [&](std::string_view name) { return name == path; };
  if (std::ranges::any_of(kAlone, is_path)) return true;
  if (is_directory && std::ranges::any_of(kParents, is_path)) return true;
  return std::ranges::any_of(kWithAllBelow, [&](std::string_view name) {
    return (is_directory && name == path) || is_below(path, name);
  });
}

void MergedTree::erase_below(const std::string& directory) {
  if (directory.empty()) return entries_.clear();
  // They sort together, between "d/" and "d0" ('0' follows '/').
  entries_.erase(entries_.lower_bound(directory + "/"), entries_.lower_bound(directory + "0"));
}

void MergedTree::add(const LayerTree& layer) {
  for (const std::string& directory : layer.deletions.opaques)
    erase_below(directory);
  for (const std::string& path : layer.deletions.whiteouts) {
    erase_below(path);
    entries_.erase(path);
  }
  for (const Entry& entry : layer.entries) {
    if (entry.type != EntryType::kDirectory) erase_below(entry.path);
    entries_.insert_or_assign(entry.path, entry);
  }
}

RootFingerprint MergedTree::fingerprint(Scope scope) const {
  RecordDigests digests(scope, Form::kRoot);
  for (const auto& [path, entry] : entries_)
    digests.add(path, entry, entry.file_digest ? &*entry.file_digest : nullptr);
  return digests.finish_root();
}

void MergedTree::show(const std::function<void(const Entry&)>& visitor) const {
  for (const auto& [path, entry] : entries_)
    visitor(entry);
}

}  // namespace assay::image
