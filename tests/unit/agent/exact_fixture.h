// SPDX-License-Identifier: Apache-2.0
// One layer as a directory and as the tar-split that a store keeps of it.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "agent/identify/exact_desk.h"
#include "common/base/sha256.h"
#include "common/image/directory.h"
#include "tests/support/tar_builder.h"
#include "tests/support/tar_split.h"
#include "tests/unit/agent/fakes.h"
#include "tests/unit/agent/layer_task.h"
#include "tests/unit/agent/named_opener.h"
#include "tests/unit/agent/scratch.h"

namespace assay::agent::tests {

struct MapCache final : LayerCache {
  std::optional<KnownLayer> find(const LayerKey& key) override {
    const auto found = rows.find(key);
    return found == rows.end() ? std::nullopt : std::optional(found->second);
  }
  Result<void> store(const LayerKey& key, const KnownLayer& layer) override {
    rows[key] = layer;
    return ok();
  }
  std::map<LayerKey, KnownLayer> rows;
};

/// Files of one folder, as a store's that only root may write.
struct FolderStreams final : StreamOpener {
  Result<UniqueFd> open(const StreamPlace& place) override {
    ++opened;
    if (is_others) return Error{ErrorCode::kUntrusted, "someone but root may write it"};
    UniqueFd fd(::open((place.store + "/" + place.path).c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return Error{ErrorCode::kNotFound, "there is no " + place.path};
    return fd;
  }
  bool is_others = false;
  int opened = 0;
};

struct ExactFixture {
  Scratch scratch;
  NamedOpener opener;
  ManualClaims claims;
  FolderStreams streams;
  MapCache cache;
  LayerTask task;
  std::string tar;

  ExactFixture() {
    scratch.write("tree/etc/one", "one\n");
    scratch.write("tree/etc/two", "two\n");
    task = task_for(scratch.path("tree"));
    keep_tar_split();
  }

  /// The tar of the directory as it is, and its tar-split in the store.
  void keep_tar_split() {
    namespace fs = std::filesystem;
    assay::tests::TarBuilder builder;
    for (const char* const name : {"etc/one", "etc/two"}) {
      struct stat status = {};
      if (::stat(scratch.path(std::string("tree/") + name).c_str(), &status) != 0) continue;
      assay::tests::TarItem item = assay::tests::tar_item(name);
      item.data = assay::tests::read_bytes(scratch.path(std::string("tree/") + name));
      item.mode = status.st_mode & 07777;
      item.uid = status.st_uid;
      item.gid = status.st_gid;
      item.mtime_s = status.st_mtime;
      builder.add(item);
    }
    tar = builder.finish();
    scratch.write("store/split", assay::tests::tar_split_text(assay::tests::split_tar(tar)));
    scratch.write("store/blob", assay::tests::gzip(tar));
    claim(StreamPlace::Kind::kTarSplit, "split");
  }
  DiffId diff_id() const { return DiffId{sha256(tar).bytes}; }
  void claim(StreamPlace::Kind kind, const std::string& path) {
    const LayerRef ref = ref_of(task.layer);
    claims.known[ref] = {
        ref, diff_id(), std::nullopt, false, {kind, scratch.path("store"), path, ""}};
  }
  /// The same inode, size and time, other bytes.
  void change(const std::string& path, const std::string& text) const {
    const std::string file = scratch.path("tree/" + path);
    const auto time = std::filesystem::last_write_time(file);
    std::fstream(file, std::ios::in | std::ios::out | std::ios::binary) << text;
    std::filesystem::last_write_time(file, time);
  }
};

}  // namespace assay::agent::tests
