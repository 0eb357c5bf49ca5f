// SPDX-License-Identifier: Apache-2.0
// The image that every way is tried with: a varied tree as bottom layer, and an application's layer
// with a whiteout, an opaque folder and folders that no entry names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/image/directory.h"
#include "common/image/image.h"
#include "tests/support/command.h"

namespace assay::tests {

/// Digests as tests/support/fingerprint.py computed them.
struct Expected {
  std::string shape;
  std::string content;
  std::string deletions;
  std::uint64_t entries = 0;
  std::string content_without_xattrs;
  std::string spelled_deletions;  ///< with a whiteout for each path instead of an opaque folder
};

/// Makes the varied tree: every kind of entry, odd names, holes, hard links, a file capability.
void make_varied_tree(const std::string& root);
/// Does to the tree what the subject's application layer says.
void apply_application(const std::string& root);
/// The same as a shell script for busybox, run in a container.
std::string application_script();
/// The application's layer as a tar; `is_spelled`: see Expected.
std::string application_tar(bool is_spelled);

/// Made once for all rows. Environment: ASSAY_TEST_BASE names a root file system to use as the
/// bottom layer instead of the varied tree. Failures throw.
class Subject {
 public:
  Subject();

  /// The bottom layer as a tree, and both layers as tars.
  const std::string& tree() const { return tree_; }
  std::string base_tar() const { return folder_ / "base.tar"; }
  std::string app_tar() const { return folder_ / "app.tar"; }
  /// The image as files, by umoci and skopeo; its tag there is "1".
  std::string layout() const { return folder_ / "layout"; }
  std::string oci_archive() const { return folder_ / "oci.tar"; }
  std::string docker_archive() const { return folder_ / "docker.tar"; }
  /// The name that the docker archive carries.
  static const char* name() { return "localhost/assay/fingerprint:1"; }
  /// Chain ID of the whole image.
  std::string top_chain_id() const;
  /// Whether it is the varied tree, whose /bin/sleep runs; another base may have no such program.
  bool is_varied_tree() const { return is_varied_tree_; }

  const std::vector<Expected>& layers() const { return layers_; }
  const Expected& merged() const { return merged_; }
  /// The layers without their devices, and the root form of both (deletions do not apply).
  const std::vector<Expected>& deviceless_layers() const { return deviceless_layers_; }
  const Expected& root() const { return root_; }

 private:
  void make_image();
  void compute_expected();

  TempFolder folder_{"subject"};
  std::string tree_;
  bool is_varied_tree_ = false;
  std::vector<Expected> layers_;
  std::vector<Expected> deviceless_layers_;
  Expected merged_;
  Expected root_;
};

const Subject& subject();

/// read_image(), or throws with its error.
image::Image must_read(const std::string& source, const image::ImageOptions& options = {});
/// fingerprint_directory() of `path`, or throws with its error.
image::LayerFingerprint must_walk(const std::string& path, const image::WalkOptions& options = {});

}  // namespace assay::tests
