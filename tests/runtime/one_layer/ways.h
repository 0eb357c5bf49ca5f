// SPDX-License-Identifier: Apache-2.0
// The ways that a layer can reach Assay: one row each. Every row must give the digests that
// tests/support/fingerprint.py computed from the subject's tars (subject.h).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/image/fingerprint.h"
#include "tests/runtime/one_layer/subject.h"

namespace assay::tests {

/// What a row's fingerprints are fingerprints of.
enum class Form {
  kLayers,  ///< of each of the subject's layers, bottom first
  kBottom,  ///< of the bottom layer alone
  kMerged,  ///< of one tree that all of them make together (vfs, native: the top folder)
  kRoot,    ///< of a root that runtimes added to, in the root form
};

struct Way {
  std::string name;  ///< stands in the failure, e.g. "docker overlay2, unpacked"
  /// No real tool or runtime made the bytes: the row copies a layout that is only documented.
  bool is_made_by_hand = false;
  Form form = Form::kLayers;
  /// The deletions digest cannot be there; the row's name says why.
  bool hides_deletions = false;
  /// The runtime could not make device nodes.
  bool has_no_devices = false;
  /// The tool writes no extended attributes.
  bool loses_xattrs = false;
  /// The tool writes a whiteout for each path where the subject has an opaque folder.
  bool spells_deletions = false;
  /// Why the row cannot run here ("needs umoci"), "" when it can. May be empty.
  std::function<std::string()> missing;
  /// Throws when something fails.
  std::function<std::vector<image::LayerFingerprint>(const Subject&)> read;
};

/// How a directory is to be read. `ids`: of users and groups; empty: as they are.
inline image::WalkOptions in(image::Dialect dialect, const std::vector<image::IdRange>& ids = {}) {
  image::WalkOptions options;
  options.dialect = dialect;
  options.uid_map = options.gid_map = ids;
  return options;
}

/// Images as files: layouts and archives, compressed in every way, with one image or more.
std::vector<Way> archive_ways();
/// Tars of the bottom layer's tree, as programs that make tars write them.
std::vector<Way> tar_ways();
/// Images whose layers a container tool wrote itself, from a container's changes.
std::vector<Way> writer_ways();
/// Layers as directories, as runtimes and stores unpack them.
std::vector<Way> directory_ways();
/// The same in other stores than the runtimes' usual ones.
std::vector<Way> store_ways();
/// Directories that no runtime's unpacker wrote: uppers that became layers, documented layouts.
std::vector<Way> other_directory_ways();

/// The fingerprints of an image's layers; throws with read_image()'s error.
std::vector<image::LayerFingerprint> layers_of(const std::string& source,
                                               const std::string& platform = {});

/// For `missing`: the first of `programs` that is not in PATH, as "needs NAME".
std::function<std::string()> needs_programs(std::vector<std::string> programs);
/// For `missing`: see missing_for_runtime().
std::function<std::string()> needs_runtime(std::string runtime);

}  // namespace assay::tests
