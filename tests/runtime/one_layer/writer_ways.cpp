// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <stdexcept>

#include "tests/runtime/one_layer/ways.h"
#include "tests/support/command.h"
#include "tests/support/runtimes.h"
#include "tests/support/tar_builder.h"

namespace assay::tests {
namespace {

using Prints = std::vector<image::LayerFingerprint>;

void copy_tree(const std::string& from, const std::string& to) {
  must_run({"cp", "--archive", from + "/.", to});
}

// Takes the fractions off all times below `root`: where Go's tar writer is not told a format it
// rounds to the nearest second, and what it wrote is another layer then.
void cut_times(const std::string& root) {
  must_run(
      {"find", root, "-exec", "sh", "-c",
       "for path; do touch --no-dereference --date=@$(stat --format=%Y \"$path\") \"$path\"; done",
       "sh", "{}", "+"});
}

// umoci compares the folder with the one it unpacked and writes what is new.
Prints umoci_repack(const Subject& subject) {
  const TempFolder folder("umoci");
  const std::string image = (folder / "layout") + ":1";
  const std::string bundle = folder / "bundle";
  must_run({"umoci", "init", "--layout", folder / "layout"});
  must_run({"umoci", "new", "--image", image});
  must_run({"umoci", "unpack", "--image", image, bundle});
  copy_tree(subject.tree(), bundle + "/rootfs");
  cut_times(bundle + "/rootfs");
  must_run({"umoci", "repack", "--refresh-bundle", "--image", image, bundle});
  apply_application(bundle + "/rootfs");
  must_run({"umoci", "repack", "--image", image, bundle});
  must_run({"umoci", "gc", "--layout", folder / "layout"});
  return layers_of(folder / "layout");
}

// Two containers, each changed through its mount and committed.
Prints buildah_commit(const Subject& subject) {
  const TempFolder folder("buildah");
  const Words buildah = {"buildah",      "--root",           folder / "root", "--runroot",
                         folder / "run", "--storage-driver", "overlay"};
  const std::string first = must_run(buildah + Words{"from", "scratch"});
  copy_tree(subject.tree(), must_run(buildah + Words{"mount", first}));
  must_run(buildah + Words{"umount", first});
  must_run(buildah + Words{"commit", first, "base"});
  const std::string second = must_run(buildah + Words{"from", "localhost/base"});
  apply_application(must_run(buildah + Words{"mount", second}));
  must_run(buildah + Words{"umount", second});
  must_run(buildah + Words{"commit", second, "app"});
  must_run(buildah + Words{"push", "localhost/app", "oci-archive:" + (folder / "app.tar")});
  must_run(buildah + Words{"rm", "--all"});
  return layers_of(folder / "app.tar");
}

// docker builds the bottom layer from the tree's tar, and a container's changes become the other.
Prints docker_build_and_commit(const Subject& subject) {
  const TempFolder folder("build");
  const auto docker = start_runtime("docker");
  std::filesystem::copy_file(subject.base_tar(), folder / "base.tar");
  write_bytes(folder / "Dockerfile", "FROM scratch\nADD base.tar /\n");
  must_run(docker->client() + Words{"build", "--tag", "base", folder.path()});
  docker->start("base", "one", {"/bin/sh", "-c", application_script() + "; busybox sleep 600"});
  must_run(docker->client() + Words{"exec", "one", "/bin/sh", "-c",
                                    "until [ -e /var/lib/app/new ]; do busybox usleep 1000; done"});
  must_run(docker->client() + Words{"commit", "one", "app"});
  must_run(docker->client() + Words{"save", "--output", folder / "app.tar", "app"});
  return layers_of(folder / "app.tar");
}

// podman imports the tree's tar, and commits what was changed through the container's mount.
Prints podman_import_and_commit(const Subject& subject) {
  const TempFolder folder("build");
  const auto podman = start_runtime("podman");
  must_run(podman->client() + Words{"import", subject.base_tar(), "base"});
  const std::string id = must_run(podman->client() + Words{"create", "localhost/base", "/bin/sh"});
  apply_application(must_run(podman->client() + Words{"mount", id}));
  must_run(podman->client() + Words{"umount", id});
  must_run(podman->client() + Words{"commit", id, "app"});
  must_run(podman->client() + Words{"save", "--format", "oci-archive", "--output",
                                    folder / "app.tar", "localhost/app"});
  return layers_of(folder / "app.tar");
}

// containerd's differ compares two snapshots; umoci puts its tar on top of the bottom layer.
Prints containerd_diff(const Subject& subject) {
  const TempFolder folder("diff");
  const auto containerd = start_runtime("containerd");
  containerd->load(subject.docker_archive());
  const std::string bottom = must_read(subject.layout()).layers.front().chain_id->text();
  const Words snapshots = containerd->client() + Words{"snapshots"};
  must_run(snapshots + Words{"prepare", "app", bottom});
  std::filesystem::create_directory(folder / "root");
  must_run({"sh", "-e", "-c", must_run(snapshots + Words{"mounts", folder / "root", "app"})});
  apply_application(folder / "root");
  must_run({"umount", folder / "root"});
  const Words to_file = {
      "sh", "-e", "-c", "out=$1; shift; \"$@\" >\"$out\"", "sh", folder / "app.tar.gz"};
  must_run(to_file + snapshots + Words{"diff", "app"});
  must_run({"gzip", "--decompress", folder / "app.tar.gz"});
  const std::string image = (folder / "layout") + ":1";
  must_run({"umoci", "init", "--layout", folder / "layout"});
  must_run({"umoci", "new", "--image", image});
  must_run({"umoci", "raw", "add-layer", "--image", image, subject.base_tar()});
  must_run({"umoci", "raw", "add-layer", "--image", image, folder / "app.tar"});
  return layers_of(folder / "layout");
}

Way way(std::string name, std::function<std::string()> missing,
        std::function<Prints(const Subject&)> read) {
  Way made;
  made.name = std::move(name);
  made.missing = std::move(missing);
  made.read = std::move(read);
  return made;
}

}  // namespace

std::vector<Way> writer_ways() {
  Way umoci = way("umoci repack", needs_programs({"umoci"}), umoci_repack);
  Way differ = way("containerd diff", needs_runtime("containerd"), containerd_diff);
  umoci.spells_deletions = differ.spells_deletions = true;
  return {
      umoci,
      differ,
      way("buildah commit", needs_programs({"buildah"}), buildah_commit),
      way("docker build and commit", needs_runtime("docker"), docker_build_and_commit),
      way("podman import and commit", needs_runtime("podman"), podman_import_and_commit),
  };
}

}  // namespace assay::tests
