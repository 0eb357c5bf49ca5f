// SPDX-License-Identifier: Apache-2.0
// docker, containerd and podman for tests: each with its own data folder and unix socket, no
// network, gone with the object. Failures throw.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/command.h"

namespace assay::tests {

class ContainerRuntime {
 public:
  virtual ~ContainerRuntime() = default;
  /// "docker", "containerd" or "podman".
  virtual std::string_view name() const = 0;
  /// The client's command line up to its subcommand, for what has no function here.
  virtual std::vector<std::string> client() const = 0;
  /// Loads an image from a docker archive. Name images with a host part ("localhost/assay/x:1"), so
  /// that all runtimes call them the same.
  virtual void load(const std::string& docker_archive) = 0;
  /// Runs a container to its end and removes it.
  virtual CommandResult run(const std::string& image, const std::vector<std::string>& argv) = 0;
  /// Starts a container in the background. Returns its id (containerd: `container`).
  virtual std::string start(const std::string& image, const std::string& container,
                            const std::vector<std::string>& argv) = 0;
  /// Runs `argv` in a container that runs.
  virtual CommandResult exec(const std::string& container,
                             const std::vector<std::string>& argv) = 0;
  /// Kills and removes a container.
  virtual void remove(const std::string& container) = 0;
  /// The directories that hold the image's layers, bottom first. `top_chain_id` ("sha256:…") is
  /// needed by containerd, which names snapshots so.
  virtual std::vector<std::string> layer_directories(const std::string& image,
                                                     const std::string& top_chain_id) = 0;
  /// The read-only directories that a container stands on, bottom first; with docker the last one
  /// is the layer that it injects.
  virtual std::vector<std::string> container_directories(const std::string& container) = 0;
};

/// A containerd with its own root, state and socket, all below `folder`.
class ContainerdDaemon {
 public:
  explicit ContainerdDaemon(const TempFolder& folder);
  const std::string& socket() const { return socket_; }

 private:
  std::string socket_;
  std::unique_ptr<Daemon> daemon_;
};

/// The directories in a mount that containerd's client prints, bottom first.
std::vector<std::string> parse_containerd_mount(const std::string& mount);

/// Why the runtime cannot run here ("needs root", "needs dockerd"); "" when it can.
std::string missing_for_runtime(std::string_view runtime);
/// Starts the runtime "docker", "containerd" or "podman" and waits until it answers.
std::unique_ptr<ContainerRuntime> start_runtime(std::string_view runtime);

}  // namespace assay::tests
