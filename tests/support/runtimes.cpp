// SPDX-License-Identifier: Apache-2.0
#include "tests/support/runtimes.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace assay::tests {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);)
    if (!part.empty()) parts.push_back(part);
  return parts;
}

// "top:…:bottom" as runtimes print stacks, bottom first.
std::vector<std::string> bottom_first(const std::string& stack) {
  auto parts = split(stack, ':');
  std::ranges::reverse(parts);
  return parts;
}

// "UPPER:LOWER:LOWER" of an image in docker's and podman's words.
constexpr const char* kStackTemplate =
    "{{index .GraphDriver.Data \"UpperDir\"}}"
    "{{with index .GraphDriver.Data \"LowerDir\"}}:{{.}}{{end}}";
constexpr const char* kLowerTemplate = "{{index .GraphDriver.Data \"LowerDir\"}}";

class Docker final : public ContainerRuntime {
 public:
  Docker() : folder_("docker"), containerd_(folder_) {
    const std::string socket = "unix://" + (folder_ / "d.sock");
    docker_ = {"docker", "--host", socket};
    // A containerd of its own: without the option dockerd would join one that runs on the node.
    daemon_ = std::make_unique<Daemon>(
        Words{"dockerd", "--iptables=false", "--bridge=none", "--data-root", folder_ / "data",
              "--exec-root", folder_ / "exec", "--host", socket, "--pidfile", folder_ / "d.pid",
              "--containerd", containerd_.socket()},
        folder_ / "dockerd.log");
    const auto answers = [this] {
      return !daemon_->is_running() || run_command(docker_ + Words{"version"}).exit_code == 0;
    };
    if (!wait_until(answers) || !daemon_->is_running())
      throw std::runtime_error("dockerd does not answer\n" + daemon_->log_tail());
  }
  ~Docker() override {
    const CommandResult all = run_command(docker_ + Words{"ps", "-aq"});
    for (const std::string& id : split(all.out, '\n'))
      run_command(docker_ + Words{"rm", "-f", id});
  }

  std::string_view name() const override { return "docker"; }
  Words client() const override { return docker_; }
  void load(const std::string& docker_archive) override {
    must_run(docker_ + Words{"load", "--input", docker_archive});
  }
  CommandResult run(const std::string& image, const Words& argv) override {
    return run_command(docker_ + Words{"run", "--rm"} + limits() + Words{image} + argv);
  }
  std::string start(const std::string& image, const std::string& container,
                    const Words& argv) override {
    return must_run(docker_ + Words{"run", "--detach", "--name", container} + limits() +
                    Words{image} + argv);
  }
  CommandResult exec(const std::string& container, const Words& argv) override {
    return run_command(docker_ + Words{"exec", container} + argv);
  }
  void remove(const std::string& container) override {
    must_run(docker_ + Words{"rm", "--force", container});
  }
  Words layer_directories(const std::string& image, const std::string&) override {
    return bottom_first(
        must_run(docker_ + Words{"image", "inspect", "--format", kStackTemplate, image}));
  }
  Words container_directories(const std::string& container) override {
    return bottom_first(
        must_run(docker_ + Words{"inspect", "--format", kLowerTemplate, container}));
  }

 private:
  // Raising an rlimit needs CAP_SYS_RESOURCE, which a test host may lack.
  static Words limits() { return {"--network", "none", "--ulimit", "nofile=1024:1024"}; }

  TempFolder folder_;
  ContainerdDaemon containerd_;
  Words docker_;
  std::unique_ptr<Daemon> daemon_;
};

class Containerd final : public ContainerRuntime {
 public:
  Containerd() : folder_("ctrd"), daemon_(folder_), ctr_({"ctr", "--address", daemon_.socket()}) {}
  ~Containerd() override {
    const CommandResult all = run_command(ctr_ + Words{"containers", "ls", "--quiet"});
    for (const std::string& id : split(all.out, '\n'))
      take_down(id);
  }

  std::string_view name() const override { return "containerd"; }
  Words client() const override { return ctr_; }
  void load(const std::string& docker_archive) override {
    must_run(ctr_ + Words{"images", "import", docker_archive});
  }
  CommandResult run(const std::string& image, const Words& argv) override {
    return run_command(ctr_ + Words{"run", "--rm", image, "run-" + std::to_string(++runs_)} + argv);
  }
  std::string start(const std::string& image, const std::string& container,
                    const Words& argv) override {
    must_run(ctr_ + Words{"run", "--detach", image, container} + argv);
    return container;
  }
  CommandResult exec(const std::string& container, const Words& argv) override {
    return run_command(
        ctr_ + Words{"tasks", "exec", "--exec-id", "exec-" + std::to_string(++runs_), container} +
        argv);
  }
  void remove(const std::string& container) override {
    if (!take_down(container)) throw std::runtime_error("cannot remove " + container);
  }
  Words layer_directories(const std::string&, const std::string& top_chain_id) override {
    const std::string key = "assay-view-" + std::to_string(++runs_);
    const std::string mount =
        must_run(ctr_ + Words{"snapshots", "view", "--mounts", key, top_chain_id});
    run_command(ctr_ + Words{"snapshots", "rm", key});
    return parse_containerd_mount(mount);
  }
  Words container_directories(const std::string& container) override {
    return parse_containerd_mount(
        must_run(ctr_ + Words{"snapshots", "mounts", folder_.path(), container}));
  }

 private:
  bool take_down(const std::string& id) {
    run_command(ctr_ + Words{"tasks", "kill", "--signal", "SIGKILL", id});
    return wait_until([&] {
      run_command(ctr_ + Words{"tasks", "rm", "--force", id});
      return run_command(ctr_ + Words{"containers", "rm", id}).exit_code == 0;
    });
  }

  TempFolder folder_;
  ContainerdDaemon daemon_;
  Words ctr_;
  std::atomic<unsigned> runs_{0};
};

class Podman final : public ContainerRuntime {
 public:
  Podman() : folder_("podman") {
    podman_ = {"podman",           "--root",           folder_ / "root",
               "--runroot",        folder_ / "run",    "--tmpdir",
               folder_ / "tmp",    "--runtime",        "runc",
               "--cgroup-manager", "cgroupfs",         "--storage-driver",
               "overlay",          "--events-backend", "none"};
    must_run(podman_ + Words{"info"});
  }
  ~Podman() override {
    run_command(podman_ + Words{"rm", "--all", "--force", "--time", "0"});
    run_command(podman_ + Words{"umount", "--all"});
  }

  std::string_view name() const override { return "podman"; }
  Words client() const override { return podman_; }
  void load(const std::string& docker_archive) override {
    must_run(podman_ + Words{"load", "--input", docker_archive});
  }
  CommandResult run(const std::string& image, const Words& argv) override {
    return run_command(podman_ + Words{"run", "--rm"} + limits() + Words{image} + argv);
  }
  std::string start(const std::string& image, const std::string& container,
                    const Words& argv) override {
    return must_run(podman_ + Words{"run", "--detach", "--name", container} + limits() +
                    Words{image} + argv);
  }
  CommandResult exec(const std::string& container, const Words& argv) override {
    return run_command(podman_ + Words{"exec", container} + argv);
  }
  void remove(const std::string& container) override {
    must_run(podman_ + Words{"rm", "--force", "--time", "0", container});
  }
  Words layer_directories(const std::string& image, const std::string&) override {
    return bottom_first(
        must_run(podman_ + Words{"image", "inspect", "--format", kStackTemplate, image}));
  }
  Words container_directories(const std::string& container) override {
    return bottom_first(
        must_run(podman_ + Words{"inspect", "--format", kLowerTemplate, container}));
  }

 private:
  static Words limits() {
    return {"--network=none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"};
  }

  TempFolder folder_;
  Words podman_;
};

}  // namespace

ContainerdDaemon::ContainerdDaemon(const TempFolder& folder) : socket_(folder / "c.sock") {
  const std::string config = folder / "containerd.toml";
  std::ofstream file(config);
  file << "version = 2\nroot = \"" << folder / "c-root"
       << "\"\nstate = \"" << folder / "c-state"
       << "\"\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = \"" << socket_
       << "\"\n[ttrpc]\naddress = \"" << socket_ << ".ttrpc\"\n";
  file.close();
  daemon_ =
      std::make_unique<Daemon>(Words{"containerd", "--config", config}, folder / "containerd.log");
  const auto answers = [this] {
    return !daemon_->is_running() ||
           run_command({"ctr", "--address", socket_, "version"}).exit_code == 0;
  };
  if (!wait_until(answers) || !daemon_->is_running())
    throw std::runtime_error("containerd does not answer\n" + daemon_->log_tail());
}

// Versions print it in ways of their own: take the folders out of it.
std::vector<std::string> parse_containerd_mount(const std::string& mount) {
  const std::size_t at = mount.find("lowerdir=");
  if (at != std::string::npos) {
    const std::size_t start = at + std::string_view("lowerdir=").size();
    return bottom_first(mount.substr(start, mount.find_first_of(", \"]}\n", start) - start));
  }
  for (const std::string& word : split(mount, ' ')) {
    const std::size_t slash = word.find('/');
    if (slash != std::string::npos && word.find("/snapshots/") != std::string::npos)
      return {word.substr(slash, word.find_first_of(",\"]}", slash) - slash)};
  }
  throw std::runtime_error("no layer directories in: " + mount);
}

std::string missing_for_runtime(std::string_view runtime) {
  if (::geteuid() != 0) return "needs root";
  Words programs = {"runc"};
  if (runtime == "docker") programs = programs + Words{"docker", "dockerd", "containerd", "ctr"};
  if (runtime == "containerd") programs = programs + Words{"containerd", "ctr"};
  if (runtime == "podman") programs = programs + Words{"podman"};
  for (const std::string& program : programs)
    if (!has_program(program)) return "needs " + program;
  return {};
}

std::unique_ptr<ContainerRuntime> start_runtime(std::string_view runtime) {
  if (runtime == "docker") return std::make_unique<Docker>();
  if (runtime == "containerd") return std::make_unique<Containerd>();
  if (runtime == "podman") return std::make_unique<Podman>();
  throw std::runtime_error("no such runtime: " + std::string(runtime));
}

}  // namespace assay::tests
