// SPDX-License-Identifier: Apache-2.0
#include <stdexcept>

#include "tests/runtime/one_layer/ways.h"
#include "tests/support/command.h"
#include "tests/support/runtimes.h"

namespace assay::tests {
namespace {

// Makes an image in `folder` and returns its source as `assay fingerprint` takes it.
using MakeSource = std::function<std::string(const Subject& subject, const TempFolder& folder)>;

Way way(std::string name, Words programs, MakeSource make) {
  Way made;
  made.name = std::move(name);
  made.missing = needs_programs(std::move(programs));
  made.read = [make = std::move(make)](const Subject& subject) {
    const TempFolder folder("way");
    return layers_of(make(subject, folder));
  };
  return made;
}

// The OCI archive as a whole, compressed by a shell command that reads stdin and writes stdout.
Way compressed(std::string name, Words programs, const std::string& command) {
  return way(
      std::move(name), std::move(programs), [command](const auto& subject, const auto& folder) {
        must_run(
            {"sh", "-c", command + " <\"$0\" >\"$1\"", subject.oci_archive(), folder / "image"});
        return folder / "image";
      });
}

// The image with layers of another media type, which must be so indeed.
Way with_layers(std::string name, const std::string& media_type, MakeSource make) {
  Way made;
  made.name = std::move(name);
  made.missing = needs_programs({"podman"});
  made.read = [make = std::move(make), media_type](const Subject& subject) {
    const TempFolder folder("way");
    const image::Image image = must_read(make(subject, folder));
    std::vector<image::LayerFingerprint> prints;
    for (const image::ImageLayer& layer : image.layers) {
      if (layer.media_type != media_type)
        throw std::runtime_error("a layer is " + layer.media_type + ", not " + media_type);
      prints.push_back(layer.fingerprint);
    }
    return prints;
  };
  return made;
}

Words podman_in(const TempFolder& folder) {
  return {"podman",           "--root", folder / "root", "--runroot", folder / "run",
          "--storage-driver", "vfs"};
}

// The image pushed from podman's store with `options` into a layout.
MakeSource pushed_by_podman(const Words& options) {
  return [options](const Subject& subject, const TempFolder& folder) {
    const Words client = podman_in(folder);
    must_run(client + Words{"pull", "oci-archive:" + subject.oci_archive()});
    const std::string id = must_run(client + Words{"images", "--quiet"});
    must_run(client + Words{"push"} + options + Words{id, "oci:" + (folder / "layout") + ":1"});
    return folder / "layout";
  };
}

// The image loaded by `runtime` and saved again with its own command.
Way saved_by(const std::string& runtime, std::string name, const Words& command) {
  Way made;
  made.name = std::move(name);
  made.missing = needs_runtime(runtime);
  made.read = [runtime, command](const Subject& subject) {
    const TempFolder folder("way");
    const auto running = start_runtime(runtime);
    running->load(subject.docker_archive());
    Words argv = running->client() + command;
    if (runtime == "containerd") {
      argv = argv + Words{folder / "image", Subject::name()};
    } else {
      argv = argv + Words{"--output", folder / "image", Subject::name()};
    }
    must_run(argv);
    return layers_of(folder / "image");
  };
  return made;
}

// An index of two images, of which `platform` is the subject's; made by podman, copied by skopeo.
std::vector<image::LayerFingerprint> read_multi_platform(const Subject& subject, bool is_archive) {
  const TempFolder folder("way");
  const Words podman = podman_in(folder);
  const std::string other = folder / "other";
  must_run({"umoci", "init", "--layout", other});
  must_run({"umoci", "new", "--image", other + ":1"});
  must_run({"umoci", "raw", "add-layer", "--image", other + ":1", subject.app_tar()});
  must_run({"umoci", "config", "--image", other + ":1", "--architecture", "s390x"});
  must_run(podman + Words{"manifest", "create", "both"});
  must_run(podman + Words{"manifest", "add", "both", "oci:" + other + ":1"});
  must_run(podman + Words{"manifest", "add", "both", "oci:" + subject.layout() + ":1"});
  must_run(podman + Words{"manifest", "push", "--all", "both", "oci:" + (folder / "both") + ":1"});
  std::string source = folder / "both";
  if (is_archive) {
    must_run({"skopeo", "copy", "--all", "oci:" + source + ":1",
              "oci-archive:" + (folder / "both.tar") + ":1"});
    source = folder / "both.tar";
  }
  if (layers_of(source, "linux/s390x").size() != 1)
    throw std::runtime_error("--platform linux/s390x did not choose the other image");
  return layers_of(source, must_read(subject.layout()).platform);
}

std::vector<Way> multi_platform_ways() {
  std::vector<Way> ways(2);
  for (Way& made : ways)
    made.missing = needs_programs({"podman", "skopeo", "umoci"});
  ways[0].name = "OCI layout with an index for two platforms by podman";
  ways[0].read = [](const Subject& subject) { return read_multi_platform(subject, false); };
  ways[1].name = "OCI archive with an index for two platforms by skopeo";
  ways[1].read = [](const Subject& subject) { return read_multi_platform(subject, true); };
  return ways;
}

}  // namespace

std::vector<Way> archive_ways() {
  std::vector<Way> ways = {
      way("OCI layout by umoci, gzip layers", {},
          [](const auto& subject, const auto&) { return subject.layout(); }),
      way("OCI archive by skopeo", {},
          [](const auto& subject, const auto&) { return subject.oci_archive(); }),
      way("docker archive by skopeo", {},
          [](const auto& subject, const auto&) { return subject.docker_archive(); }),
      compressed("OCI archive, gzip", {"gzip"}, "gzip -c"),
      compressed("OCI archive, gzip in several members", {"gzip"},
                 "split --bytes=200K --filter='gzip -c' -"),
      compressed("OCI archive, zstd", {"zstd"}, "zstd -c"),
      compressed("OCI archive, zstd with skippable frames by pzstd", {"pzstd"}, "pzstd -c -p 3"),
      with_layers("OCI layout by skopeo, plain layers", "application/vnd.oci.image.layer.v1.tar",
                  [](const auto& subject, const auto& folder) {
                    must_run({"skopeo", "copy", "--dest-decompress",
                              "oci:" + subject.layout() + ":1", "dir:" + (folder / "plain")});
                    must_run({"skopeo", "copy", "--preserve-digests", "dir:" + (folder / "plain"),
                              "oci:" + (folder / "layout") + ":1"});
                    return folder / "layout";
                  }),
      with_layers("OCI layout by podman, zstd layers",
                  "application/vnd.oci.image.layer.v1.tar+zstd",
                  pushed_by_podman({"--compression-format", "zstd"})),
      with_layers("OCI layout by podman, zstd:chunked layers",
                  "application/vnd.oci.image.layer.v1.tar+zstd",
                  pushed_by_podman({"--compression-format", "zstd:chunked"})),
      saved_by("docker", "docker save", {"save"}),
      saved_by("containerd", "ctr images export", {"images", "export"}),
      saved_by("podman", "podman save, docker archive", {"save", "--format", "docker-archive"}),
      saved_by("podman", "podman save, OCI archive", {"save", "--format", "oci-archive"}),
      saved_by("podman", "podman save, OCI layout", {"save", "--format", "oci-dir"}),
  };
  for (Way& made : multi_platform_ways())
    ways.push_back(std::move(made));
  return ways;
}

}  // namespace assay::tests
