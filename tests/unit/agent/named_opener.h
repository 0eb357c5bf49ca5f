// SPDX-License-Identifier: Apache-2.0
// Opens layers without a kernel's facts.
#pragma once

#include <fcntl.h>

#include <memory>
#include <utility>

#include "agent/core/ports.h"
#include "common/base/unique_fd.h"

namespace assay::agent::tests {

/// Opens by name; is the layer that it is asked for, whatever lies there.
class NamedOpener final : public LayerOpener {
 public:
  class Opened final : public Layer {
   public:
    Opened(UniqueFd fd, catalog::LayerInstance instance, bool is_cacheable)
        : fd_(std::move(fd)), instance_(std::move(instance)), is_cacheable_(is_cacheable) {}
    const catalog::LayerInstance& instance() const override { return instance_; }
    int fd() const override { return fd_.get(); }
    bool is_cacheable() const override { return is_cacheable_; }

   private:
    UniqueFd fd_;
    catalog::LayerInstance instance_;
    bool is_cacheable_;
  };

  Result<std::unique_ptr<Layer>> open(const LowerLayer& layer, const ContainerStart&) override {
    UniqueFd fd(::open(layer.name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return Error{error, "not opened"};
    return std::unique_ptr<Layer>(std::make_unique<Opened>(
        std::move(fd), catalog::LayerInstance{"uuid:1", layer.inode, layer.generation, 1},
        is_cacheable));
  }
  Result<std::unique_ptr<Layer>> open_root(const ContainerStart&) override {
    return Error{ErrorCode::kNotFound, "no root is walked again"};
  }
  bool is_cacheable = true;
  ErrorCode error = ErrorCode::kNotFound;  // of a directory that is not there
};

}  // namespace assay::agent::tests
