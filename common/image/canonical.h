// SPDX-License-Identifier: Apache-2.0
// The byte level of docs/formats/fingerprint.md: canonical entries and the record streams. Private
// to common/image; users see fingerprint.h.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/base/sha256.h"
#include "common/image/entry.h"
#include "common/image/fingerprint.h"

namespace assay::image {

/// One file system object; hard links share it.
struct Inode {
  Entry entry;  // its path is not used: the builder's map has the paths
  std::optional<std::size_t> digest_slot;
};

/// Clears what does not apply to the entry's type, clamps the time as unpackers do (before 1970 or
/// beyond 2^63 nanoseconds is 0), drops ignored xattrs and sorts the rest; a file capability whose
/// root id is 0 becomes one without (file_capability.h).
void canonicalize(Entry& entry);

bool is_device(const Entry& entry);  ///< character or block

/// What a tar's hard link header does to the object it links to.
void apply_link_header(Entry& entry, const Entry& header);

/// Whether docker's init layer may hold this.
/// Source: moby daemon/initlayer/setup_unix.go.
bool is_docker_injected(std::string_view path, const Entry& entry);

/// kLayer: one layer as it is. kRoot: a whole root, without what runtimes add to it (root_form.h).
enum class Form { kLayer, kRoot };

/// Computes shape and, when asked for, content over records that come sorted by path.
class RecordDigests {
 public:
  RecordDigests(Scope scope, Form form);
  /// `digest`: of files when content is asked for.
  void add(std::string_view path, const Entry& entry, const FileDigest* digest);
  void finish(ShapeDigest& shape, std::optional<ContentDigest>& content);
  RootFingerprint finish_root();

 private:
  void append_xattrs(const Entry& entry);

  Scope scope_;
  Form form_;
  std::uint64_t records_ = 0;
  std::uint64_t content_bytes_ = 0;
  Sha256Hasher shape_;
  Sha256Hasher content_;
  std::string shape_buffer_;
  std::string content_buffer_;
  std::string xattrs_;
};

DeletionsDigest deletions_digest(const Deletions& deletions);

}  // namespace assay::image
