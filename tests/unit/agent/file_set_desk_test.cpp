// SPDX-License-Identifier: Apache-2.0
#include "agent/identify/file_set_desk.h"

#include <fcntl.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <mutex>

#include "common/base/unique_fd.h"
#include "common/image/verity.h"
#include "tests/unit/agent/scratch.h"

namespace assay::agent {
namespace {

using catalog::FileSet;
using tests::Scratch;

constexpr std::chrono::seconds kDeadline{20};

class NamedLayer final : public Layer {
 public:
  explicit NamedLayer(UniqueFd fd) : fd_(std::move(fd)) {}
  const catalog::LayerInstance& instance() const override { return instance_; }
  int fd() const override { return fd_.get(); }
  bool is_cacheable() const override { return false; }

 private:
  UniqueFd fd_;
  catalog::LayerInstance instance_;
};

struct NamedOpener final : LayerOpener {
  Result<std::unique_ptr<Layer>> open(const LowerLayer& layer, const ContainerStart&) override {
    UniqueFd fd(::open(layer.name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return Error{ErrorCode::kNotFound, "the layer is gone"};
    return std::unique_ptr<Layer>(std::make_unique<NamedLayer>(std::move(fd)));
  }
  Result<std::unique_ptr<Layer>> open_root(const ContainerStart& start) override {
    LowerLayer layer;
    layer.name = start.executable;
    return open(layer, start);
  }
};

/// A desk over folders; answers are collected as the uplink would.
struct Side {
  std::string layer(const std::string& name) const { return scratch.path(name); }
  LayerTask task(const std::string& name) const {
    LayerTask one;
    one.layer.name = layer(name);
    one.start.in_host_user_namespace = true;
    one.start.is_overlay = true;
    return one;
  }
  FileSetAnswer wait() {
    std::unique_lock lock(mutex);
    REQUIRE(changed.wait_for(lock, kDeadline, [&] { return ready > 0; }));
    --ready;
    lock.unlock();
    auto answer = desk.take();
    REQUIRE(answer);
    return *answer;
  }

  Scratch scratch;
  NamedOpener opener;
  std::vector<LayerTask> layers;
  std::mutex mutex;
  std::condition_variable changed;
  int ready = 0;
  FileSetDesk desk{{opener, [this](const StackDigest&, const auto& then) { then(layers); },
                    [this] {
                      const std::lock_guard lock(mutex);
                      ++ready;
                      changed.notify_all();
                    }},
                   {}};
};

StackDigest digest(std::uint8_t fill) {
  StackDigest one;
  one.bytes.fill(fill);
  return one;
}

TEST_CASE("the files of layers over one another, from a layer on", "[agent][unit]") {
  Side here;
  here.scratch.write("base/usr/a", "1");
  here.scratch.write("base/usr/b", "2");
  here.scratch.write("app/usr/b", "3");
  here.scratch.write("app/opt/c", "4");
  here.layers = {here.task("base"), here.task("app")};
  const auto sizes = [&](std::size_t first) {
    here.desk.ask({digest(static_cast<std::uint8_t>(first)), first});
    const FileSetAnswer answer = here.wait();
    CHECK(answer.gap.empty());
    CHECK(answer.wish.first_layer == first);
    CHECK(answer.wish.stack == digest(static_cast<std::uint8_t>(first)));
    return FileSet::decode(answer.files).value();
  };
  const FileSet all = sizes(0);
  const FileSet above = sizes(1);
  CHECK(all.size() == 3);
  CHECK(above.size() == 2);
  CHECK(FileSet::over(above, all) == all);
  CHECK_FALSE(here.desk.take());
}

TEST_CASE("what cannot be read is said", "[agent][unit]") {
  Side here;
  here.desk.ask({digest(1), 0});
  CHECK_THAT(here.wait().gap, Catch::Matchers::Contains("not remembered any more"));
  here.layers = {here.task("nowhere")};
  here.desk.ask({digest(2), 0});
  CHECK_THAT(here.wait().gap, Catch::Matchers::Contains("layer 1") &&
                                  Catch::Matchers::Contains("the layer is gone"));
  here.desk.ask({digest(3), 1});
  CHECK_THAT(here.wait().gap, Catch::Matchers::Contains("no layer"));
}

TEST_CASE("one set is made at a time, and none twice while it waits", "[agent][unit]") {
  Side here;
  here.scratch.write("base/a", "1");
  here.layers = {here.task("base")};
  for (int i = 0; i < 3; ++i)
    here.desk.ask({digest(1), 0});
  here.desk.ask({digest(2), 0});
  CHECK(here.wait().wish.stack == digest(1));
  CHECK(here.wait().wish.stack == digest(2));
  CHECK_FALSE(here.desk.take());
  here.desk.ask({digest(1), 0});  // again, after it was taken
  CHECK(here.wait().wish.stack == digest(1));
}

TEST_CASE("a desk that goes waits for nobody to take", "[agent][unit]") {
  Side here;
  here.scratch.write("base/a", "1");
  here.layers = {here.task("base")};
  here.desk.ask({digest(1), 0});
  here.desk.ask({digest(2), 0});
  std::unique_lock lock(here.mutex);
  REQUIRE(here.changed.wait_for(lock, kDeadline, [&] { return here.ready > 0; }));
}

}  // namespace
}  // namespace assay::agent
