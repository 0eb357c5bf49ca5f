// SPDX-License-Identifier: Apache-2.0
#include "tests/support/store_runtimes.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "tests/support/runtimes.h"

namespace assay::tests {
namespace {

using Argv = std::vector<std::string>;

Argv join(Argv left, const Argv& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

Argv bottom_first(const std::string& stack) {
  Argv parts;
  std::istringstream stream(stack);
  for (std::string part; std::getline(stream, part, ':');)
    if (!part.empty()) parts.push_back(part);
  std::ranges::reverse(parts);
  return parts;
}

constexpr const char* kStackTemplate =
    "{{index .GraphDriver.Data \"UpperDir\"}}"
    "{{with index .GraphDriver.Data \"LowerDir\"}}:{{.}}{{end}}";

// A folder that processes of other users may pass through.
class OpenFolder : public TempFolder {
 public:
  OpenFolder() : TempFolder("store") { ::chmod(path().c_str(), 0711); }
};

// Words before a command, which then sees subordinate ids of kRootlessUser.
Argv with_subordinate_ids(const TempFolder& folder) {
  const std::string ids = folder / "subordinate-ids";
  std::ofstream(ids) << "nobody:" << kShiftedIds << ":" << kShiftedCount << "\n";
  const char* script =
      "mount --bind \"$0\" /etc/subuid && mount --bind \"$0\" /etc/subgid && exec \"$@\"";
  return {"unshare", "--mount", "--propagation", "slave", "sh", "-c", script, ids};
}

Argv shifted_options() {
  const std::string map = "0:" + std::to_string(kShiftedIds) + ":" + std::to_string(kShiftedCount);
  return {"--uidmap", map, "--gidmap", map};
}

std::string script_path(const char* name) {
  return std::string(ASSAY_SOURCE_DIR) + "/tests/support/" + name;
}

class DockerStore final : public StoreRuntime {
 public:
  explicit DockerStore(std::string_view store) : store_(store) {
    const std::string socket = "unix://" + (folder_ / "d.sock");
    docker_ = {"docker", "--host", socket};
    daemon_ = std::make_unique<Daemon>(command_line(socket), folder_ / "dockerd.log");
    const auto answers = [this] {
      return !daemon_->is_running() || run_command(join(docker_, {"version"})).exit_code == 0;
    };
    // The first start of a later docker makes its tree.
    if (!wait_until(answers, std::chrono::seconds(900)) || !daemon_->is_running())
      throw std::runtime_error("dockerd does not answer\n" + daemon_->log_tail());
  }
  ~DockerStore() override { run_command(join(docker_, {"rm", "--force", "one"})); }

  void load(const std::string& docker_archive) override {
    must_run(join(docker_, {"load", "--input", docker_archive}));
  }
  Argv directories(const std::string& image, const std::string& chain_id) override {
    if (store_ == "docker-vfs") {
      const std::string layers = folder_ / "data/image/vfs/layerdb/sha256/";
      return {folder_ / "data/vfs/dir/" +
              read_text(layers + chain_id.substr(chain_id.find(':') + 1) + "/cache-id")};
    }
    if (store_ == "docker-containerd") {
      const Argv ctr = {"ctr",         "--address", folder_ / "exec/containerd/containerd.sock",
                        "--namespace", "moby",      "snapshots"};
      return parse_containerd_mount(
          must_run(join(ctr, {"view", "--mounts", "assay-view", chain_id})));
    }
    return bottom_first(
        must_run(join(docker_, {"image", "inspect", "--format", kStackTemplate, image})));
  }
  pid_t start(const std::string& image, const std::string& container, const Argv& argv) override {
    must_run(join(join(docker_, {"run", "--detach", "--name", container, "--network", "none",
                                 "--ulimit", "nofile=1024:1024", image}),
                  argv));
    return std::stoi(must_run(join(docker_, {"inspect", "--format", "{{.State.Pid}}", container})));
  }

 private:
  Argv command_line(const std::string& socket) {
    if (store_ == "docker-containerd") {
      const std::string script = script_path("later_docker.sh");
      return {script, "run", folder_.path()};
    }
    const Argv dockerd = {"dockerd",        "--iptables=false", "--bridge=none",  "--data-root",
                          folder_ / "data", "--exec-root",      folder_ / "exec", "--host",
                          socket,           "--pidfile",        folder_ / "d.pid"};
    // In a mount namespace of its own, dockerd needs a containerd that sees its mounts: it starts
    // one. Elsewhere it would join one that runs on the node.
    if (store_ == "docker-remapped")
      return join(join(with_subordinate_ids(folder_), dockerd),
                  {"--userns-remap", "nobody:nogroup"});
    containerd_ = std::make_unique<ContainerdDaemon>(folder_);
    return join(dockerd, {"--storage-driver", "vfs", "--containerd", containerd_->socket()});
  }

  const std::string store_;
  OpenFolder folder_;
  std::unique_ptr<ContainerdDaemon> containerd_;
  Argv docker_;
  std::unique_ptr<Daemon> daemon_;
};

class ContainerdStore final : public StoreRuntime {
 public:
  explicit ContainerdStore(std::string_view store)
      : snapshotter_(store == "containerd-native" ? "native" : "overlayfs"),
        daemon_(folder_),
        ctr_({"ctr", "--address", daemon_.socket()}) {
    if (store == "containerd-chowned") options_ = shifted_options();
  }
  ~ContainerdStore() override {
    run_command(join(ctr_, {"tasks", "kill", "--signal", "SIGKILL", "one"}));
    wait_until([&] {
      run_command(join(ctr_, {"tasks", "rm", "--force", "one"}));
      return run_command(join(ctr_, {"containers", "ls", "--quiet"})).out.empty() ||
             run_command(join(ctr_, {"containers", "rm", "one"})).exit_code == 0;
    });
  }

  void load(const std::string& docker_archive) override {
    must_run(join(ctr_, {"images", "import", "--snapshotter", snapshotter_, docker_archive}));
  }
  // With options for a user namespace: of a container, whose top layer is a copy made for it.
  Argv directories(const std::string& image, const std::string& chain_id) override {
    const Argv snapshots = join(ctr_, {"snapshots", "--snapshotter", snapshotter_});
    if (options_.empty())
      return parse_containerd_mount(
          must_run(join(snapshots, {"view", "--mounts", "assay-view", chain_id})));
    start(image, "one", {"/bin/sleep", "600"});
    return parse_containerd_mount(must_run(join(snapshots, {"mounts", folder_.path(), "one"})));
  }
  pid_t start(const std::string& image, const std::string& container, const Argv& argv) override {
    const std::string pid_file = folder_ / "pid";
    const Argv run = {"run", "--detach", "--pid-file", pid_file, "--snapshotter", snapshotter_};
    must_run(join(join(join(ctr_, run), options_), join({image, container}, argv)));
    return std::stoi(read_text(pid_file));
  }

 private:
  OpenFolder folder_;
  std::string snapshotter_;
  ContainerdDaemon daemon_;
  Argv ctr_;
  Argv options_;
};

class PodmanStore final : public StoreRuntime {
 public:
  explicit PodmanStore(std::string_view store) : store_(store) {
    if (is_rootless()) {
      for (const char* name : {"home", "runtime"}) {
        std::filesystem::create_directory(folder_ / name);
        if (::chown((folder_ / name).c_str(), kRootlessUser, kRootlessUser) != 0)
          throw std::runtime_error("chown failed");
      }
    }
    podman_ = command_line("root");
    must_run(join(podman_, {"info"}));
  }
  ~PodmanStore() override {
    run_command(join(podman_, {"rm", "--all", "--force", "--time", "0"}));
    run_command(join(podman_, {"umount", "--all"}));
    // Keeps the user's namespace.
    const std::string pause = read_text(folder_ / "runtime/libpod/tmp/pause.pid");
    if (!pause.empty()) ::kill(std::stoi(pause), SIGKILL);
  }

  void load(const std::string& docker_archive) override {
    std::string archive = docker_archive;
    if (is_rootless()) {
      archive = folder_ / "home/image.tar";
      std::filesystem::copy_file(docker_archive, archive);
      ::chmod(archive.c_str(), 0644);
    }
    const bool is_elsewhere = store_ == "podman-additional";
    must_run(
        join(is_elsewhere ? command_line("elsewhere") : podman_, {"load", "--input", archive}));
    if (!is_elsewhere) return;
    podman_ = join(podman_, {"--storage-opt", "additionalimagestore=" + (folder_ / "elsewhere")});
  }
  Argv directories(const std::string& image, const std::string&) override {
    if (store_.starts_with("podman-vfs"))
      return {must_run(join(podman_, {"image", "mount", image}))};
    if (store_ == "podman-keep-id") return layers_of_container(image);
    return bottom_first(
        must_run(join(podman_, {"image", "inspect", "--format", kStackTemplate, image})));
  }
  pid_t start(const std::string& image, const std::string& container, const Argv& argv) override {
    Argv run = {"run",      "--detach",         "--name",   container,        "--network=none",
                "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"};
    if (store_ == "podman-vfs-shifted") run = join(run, shifted_options());
    if (store_ == "podman-keep-id") run = join(run, {"--userns", "keep-id"});
    must_run(join(join(podman_, run), join({image}, argv)));
    return std::stoi(must_run(join(podman_, {"inspect", "--format", "{{.State.Pid}}", container})));
  }

 private:
  // Its top one is the copy that podman made for the container.
  Argv layers_of_container(const std::string& image) {
    start(image, "one", {"/bin/sleep", "600"});
    return bottom_first(must_run(join(
        podman_, {"container", "inspect", "--format", "{{.GraphDriver.Data.LowerDir}}", "one"})));
  }

  bool is_rootless() const { return store_ == "podman-rootless" || store_ == "podman-keep-id"; }

  Argv command_line(const std::string& root) {
    Argv podman = {"podman",
                   "--runtime",
                   "runc",
                   "--cgroup-manager",
                   "cgroupfs",
                   "--events-backend",
                   "none",
                   "--storage-driver",
                   store_.starts_with("podman-vfs") ? "vfs" : "overlay"};
    if (is_rootless()) {
      const std::string user = std::to_string(kRootlessUser);
      return join(join(with_subordinate_ids(folder_),
                       {"env", "-C", folder_ / "home", "HOME=" + (folder_ / "home"),
                        "XDG_RUNTIME_DIR=" + (folder_ / "runtime"), "setpriv", "--reuid=" + user,
                        "--regid=" + user, "--clear-groups"}),
                  podman);
    }
    podman = join(podman, {"--root", folder_ / root, "--runroot", folder_ / (root + "-run"),
                           "--tmpdir", folder_ / (root + "-tmp")});
    const char* const program = "overlay.mount_program=/usr/bin/fuse-overlayfs";
    if (store_ == "podman-fuse") podman = join(podman, {"--storage-opt", program});
    if (store_ == "podman-force-mask")
      podman =
          join(podman, {"--storage-opt", program, "--storage-opt", "overlay.force_mask=shared"});
    return podman;
  }

  const std::string store_;
  OpenFolder folder_;
  Argv podman_;
};

}  // namespace

std::string missing_for_store(std::string_view store) {
  const std::string_view runtime = store.substr(0, store.find('-'));
  if (std::string missing = missing_for_runtime(runtime); !missing.empty()) return missing;
  Argv programs;
  if (store == "docker-containerd") programs = {"debootstrap", "ctr"};
  if (store == "docker-remapped") programs = {"unshare"};
  if (store == "podman-rootless" || store == "podman-keep-id")
    programs = {"newuidmap", "setpriv", "unshare"};
  if (store == "podman-fuse" || store == "podman-force-mask") programs = {"fuse-overlayfs"};
  for (const std::string& program : programs)
    if (!has_program(program)) return "needs " + program;
  const bool needs_ids = store == "docker-remapped" || !programs.empty();
  if (needs_ids && !std::filesystem::exists("/etc/subuid")) return "needs /etc/subuid";
  return {};
}

std::unique_ptr<StoreRuntime> start_store(std::string_view store) {
  if (store.starts_with("docker-")) return std::make_unique<DockerStore>(store);
  if (store.starts_with("containerd-")) return std::make_unique<ContainerdStore>(store);
  if (store.starts_with("podman-")) return std::make_unique<PodmanStore>(store);
  throw std::runtime_error("no such store: " + std::string(store));
}

namespace {

// The line of "/" in a process' mountinfo.
std::string root_mount_of(pid_t pid) {
  std::istringstream lines(read_text("/proc/" + std::to_string(pid) + "/mountinfo"));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string id, parent, device, root, mount_point;
    if (fields >> id >> parent >> device >> root >> mount_point && mount_point == "/") return line;
  }
  throw std::runtime_error("no root mount of process " + std::to_string(pid));
}

}  // namespace

std::vector<std::string> lower_directories_of(pid_t pid) {
  return parse_containerd_mount(root_mount_of(pid));
}

std::string root_directory_of(pid_t pid) {
  std::istringstream fields(root_mount_of(pid));
  std::string id, parent, device, root;
  fields >> id >> parent >> device >> root;
  return root;
}

}  // namespace assay::tests
