// SPDX-License-Identifier: Apache-2.0
// Stores other than the runtimes' usual ones: images kept as one directory, owners shifted for user
// namespaces, owners and modes kept in attributes.
#include "tests/runtime/one_layer/ways.h"
#include "tests/support/store_runtimes.h"

namespace assay::tests {
namespace {

using image::Dialect;
using image::IdRange;
using image::LayerFingerprint;
using image::WalkOptions;

const std::vector<IdRange> kShifted = {{kShiftedIds, 0, kShiftedCount}};
// The user's own id is root's; the subordinate ones follow.
const std::vector<IdRange> kRootless = {{kRootlessUser, 0, 1}, {kShiftedIds, 1, kShiftedCount}};
Way way_of(const std::string& store, std::string name) {
  Way made;
  made.name = std::move(name);
  made.missing = [store] { return missing_for_store(store); };
  return made;
}

// The image's directories as the store unpacked it.
Way image_in(const std::string& store, std::string name, WalkOptions options) {
  Way made = way_of(store, std::move(name));
  made.read = [store, options](const Subject& subject) {
    const auto running = start_store(store);
    running->load(subject.docker_archive());
    std::vector<LayerFingerprint> prints;
    for (const std::string& folder : running->directories(Subject::name(), subject.top_chain_id()))
      prints.push_back(must_walk(folder, options));
    return prints;
  };
  return made;
}

Way merged(Way way) {
  way.form = Form::kMerged;
  return way;
}

Way without_devices(Way way) {
  way.has_no_devices = true;
  return way;
}

// Without the copy of files with other owners that lies on top for a container in a user namespace.
// The copies are layers of their own: containerd 1.6 loses set-id bits and capabilities in them,
// and podman copies only what it must.
Way below_copy(Way way) {
  way.read = [read = way.read](const Subject& subject) {
    std::vector<LayerFingerprint> prints = read(subject);
    prints.pop_back();
    return prints;
  };
  return way;
}

// A container's own root, with what the runtime put into it.
Way root_in(const std::string& store, std::string name, WalkOptions options) {
  Way made = way_of(store, std::move(name));
  made.form = Form::kRoot;
  made.read = [store, options](const Subject& subject) mutable {
    const auto running = start_store(store);
    running->load(subject.docker_archive());
    const pid_t pid = running->start(Subject::name(), "one", {"/bin/sleep", "600"});
    options.wants_root_form = true;
    return std::vector<LayerFingerprint>{must_walk(root_directory_of(pid), options)};
  };
  return made;
}

}  // namespace

std::vector<Way> store_ways() {
  return {
      merged(image_in("docker-vfs", "docker vfs, unpacked", in(Dialect::kPlain))),
      root_in("docker-vfs", "docker vfs, a container's root", in(Dialect::kPlain)),
      image_in("docker-remapped", "docker userns-remap, unpacked", in(Dialect::kOverlay, kShifted)),
      image_in("docker-containerd", "docker with containerd's store, unpacked",
               in(Dialect::kOverlay)),
      merged(image_in("containerd-native", "containerd native, unpacked", in(Dialect::kPlain))),
      root_in("containerd-native", "containerd native, a container's root", in(Dialect::kPlain)),
      below_copy(image_in("containerd-chowned", "containerd overlayfs, below a chowned copy",
                          in(Dialect::kOverlay))),
      merged(image_in("podman-vfs", "podman vfs, unpacked", in(Dialect::kPlain))),
      root_in("podman-vfs", "podman vfs, a container's root", in(Dialect::kPlain)),
      root_in("podman-vfs-shifted", "podman vfs, a chowned container's root",
              in(Dialect::kPlain, kShifted)),
      image_in("podman-additional", "podman overlay, an additional store", in(Dialect::kOverlay)),
      without_devices(image_in("podman-rootless", "podman rootless, unpacked",
                               in(Dialect::kOverlayUser, kRootless))),
      below_copy(without_devices(image_in("podman-keep-id", "podman rootless, below a chowned copy",
                                          in(Dialect::kOverlayUser, kRootless)))),
      image_in("podman-fuse", "podman with fuse-overlayfs, unpacked", in(Dialect::kFuseOverlay)),
  };
}

}  // namespace assay::tests
