// SPDX-License-Identifier: Apache-2.0
// containerd's gRPC socket, as far as claims need it. gRPC and the generated types stop in
// client.cpp.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "common/base/digest.h"
#include "common/base/result.h"

namespace assay::agent {

struct ContainerdContainer {
  std::string image;  ///< name of an image record, "" when the container has none
  std::string spec;   ///< the runtime specification, JSON
  std::string snapshotter;
  std::string snapshot_key;
  std::vector<std::pair<std::string, std::string>> labels;  ///< at most 256, unchecked bytes
  std::string sandbox_metadata;  ///< what the CRI plugin keeps of a pod, JSON; "" of anything else
};

struct ContainerdMount {
  std::string type;
  std::string source;
  std::vector<std::string> options;
};

/// How long one look-up may take, all calls together.
struct CallLimit {
  std::chrono::steady_clock::time_point deadline;
  std::chrono::steady_clock::duration longest_call;
  std::stop_token stop;
};

/// Every call ends by its deadline, or as soon as the stop is asked for, whatever the server does,
/// and takes no more from it than 4 MiB. Connects with the first call. Not thread-safe.
///
/// Errors of all calls: kNotFound, kUnavailable (nobody answers, or too late), kLimitExceeded (an
/// answer that is too large), kCancelled, kCorrupt.
class ContainerdClient {
 public:
  /// `socket`: path of the unix socket.
  explicit ContainerdClient(const std::string& socket);
  ContainerdClient(ContainerdClient&&) noexcept;
  ContainerdClient& operator=(ContainerdClient&&) noexcept;
  ~ContainerdClient();

  /// At most 64.
  Result<std::vector<std::string>> namespaces(const CallLimit& limit);
  Result<ContainerdContainer> container(const std::string& name_space, const std::string& id,
                                        const CallLimit& limit);
  /// The snapshot's parent, "" when it has none.
  Result<std::string> snapshot_parent(const std::string& name_space, const std::string& snapshotter,
                                      const std::string& key, const CallLimit& limit);
  Result<std::vector<ContainerdMount>> mounts(const std::string& name_space,
                                              const std::string& snapshotter,
                                              const std::string& key, const CallLimit& limit);
  /// The digest that an image's name leads to: of a manifest or of an index.
  Result<std::string> image(const std::string& name_space, const std::string& name,
                            const CallLimit& limit);
  /// Digests of content with this label, at most 64.
  Result<std::vector<std::string>> content_with_label(const std::string& name_space,
                                                      const std::string& label,
                                                      const std::string& value,
                                                      const CallLimit& limit);
  /// A small blob, whole and with the digest that it was asked for by.
  Result<std::string> blob(const std::string& name_space, const Sha256& digest,
                           const CallLimit& limit);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace assay::agent
