// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <filesystem>
#include <future>
#include <mutex>

#include "agent/identify/layer_identifier.h"
#include "common/base/sha256.h"
#include "common/base/unique_fd.h"
#include "tests/unit/agent/layer_task.h"
#include "tests/unit/agent/scratch.h"

namespace assay::agent {
namespace {

using tests::Scratch;
using tests::task_for;
using namespace std::chrono_literals;

constexpr auto kDeadline = 20s;

/// A directory opened by its name; counts how often, and can be made to wait.
class NamedOpener final : public LayerOpener {
 public:
  class Opened final : public Layer {
   public:
    Opened(UniqueFd fd, catalog::LayerInstance instance)
        : fd_(std::move(fd)), instance_(std::move(instance)) {}
    const catalog::LayerInstance& instance() const override { return instance_; }
    int fd() const override { return fd_.get(); }
    bool is_cacheable() const override { return true; }

   private:
    UniqueFd fd_;
    catalog::LayerInstance instance_;
  };

  Result<std::unique_ptr<Layer>> open(const LowerLayer& layer, const ContainerStart&) override {
    ++opened;
    std::unique_lock lock(mutex_);
    released_.wait(lock, [this] { return !is_held_; });
    UniqueFd fd(::open(layer.name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return Error{ErrorCode::kNotFound, "gone"};
    return std::unique_ptr<Layer>(std::make_unique<Opened>(
        std::move(fd), catalog::LayerInstance{"uuid:1", layer.inode, layer.generation, 1}));
  }
  Result<std::unique_ptr<Layer>> open_root(const ContainerStart& start) override {
    LowerLayer layer;
    layer.name = start.executable;
    return open(layer, start);
  }
  void hold() {
    const std::lock_guard lock(mutex_);
    is_held_ = true;
  }
  void release() {
    {
      const std::lock_guard lock(mutex_);
      is_held_ = false;
    }
    released_.notify_all();
  }
  std::atomic<int> opened{0};

 private:
  std::mutex mutex_;
  std::condition_variable released_;
  bool is_held_ = false;
};

class MapCache final : public LayerCache {
 public:
  std::optional<KnownLayer> find(const LayerKey& key) override {
    const std::lock_guard lock(mutex_);
    const auto found = rows_.find(key);
    return found == rows_.end() ? std::nullopt : std::optional(found->second);
  }
  Result<void> store(const LayerKey& key, const KnownLayer& layer) override {
    const std::lock_guard lock(mutex_);
    rows_[key] = layer;
    return ok();
  }
  std::size_t size() {
    const std::lock_guard lock(mutex_);
    return rows_.size();
  }

 private:
  std::mutex mutex_;
  std::map<LayerKey, KnownLayer> rows_;
};

/// Collects results and waits for the final one.
class Results {
 public:
  Identifier::Callback callback() {
    return [this](LayerResult result) {
      {
        const std::lock_guard lock(mutex_);
        all_.push_back(std::move(result));
      }
      changed_.notify_all();
    };
  }
  std::vector<LayerResult> wait_for_final() {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, kDeadline,
                              [this] { return !all_.empty() && all_.back().is_final; }));
    return all_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<LayerResult> all_;
};

IdentifierOptions quick() {
  IdentifierOptions options;
  options.content_is_idle = false;
  return options;
}

const std::string kLarge(200'000, 'x');  // above what is hashed at once

TEST_CASE("a layer's shape comes first, then its content", "[agent][unit]") {
  const Scratch scratch;
  scratch.write("layer/file", kLarge);
  NamedOpener opener;
  MapCache cache;
  Results results;
  LayerIdentifier identifier(opener, cache, quick());
  identifier.identify(task_for(scratch.path("layer")), results.callback());
  const auto all = results.wait_for_final();
  REQUIRE(all.size() == 2);
  CHECK(all[0].layer.evidence.shape.has_value());
  CHECK_FALSE(all[0].layer.evidence.content.has_value());
  CHECK(all[1].layer.evidence.shape == all[0].layer.evidence.shape);
  CHECK(all[1].layer.evidence.content.has_value());
  CHECK(all[1].ref == LayerRef{1, 7, 5});
  CHECK(all[1].layer.content_bytes == kLarge.size());
  CHECK(cache.size() == 1);
}

TEST_CASE("tasks for one directory are merged, and each is told", "[agent][unit]") {
  const Scratch scratch;
  scratch.write("layer/file", kLarge);
  NamedOpener opener;
  MapCache cache;
  Results one;
  Results two;
  LayerIdentifier identifier(opener, cache, quick());
  opener.hold();
  identifier.identify(task_for(scratch.path("layer")), one.callback());
  identifier.identify(task_for(scratch.path("layer")), two.callback());
  CHECK(identifier.pending() == 1);
  opener.release();
  CHECK(one.wait_for_final().back().layer.evidence == two.wait_for_final().back().layer.evidence);
  CHECK(opener.opened == 1);
}

TEST_CASE("a layer that was identified is recalled without any I/O", "[agent][unit]") {
  const Scratch scratch;
  scratch.write("layer/file", kLarge);
  NamedOpener opener;
  MapCache cache;
  Results results;
  LayerIdentifier identifier(opener, cache, quick());
  const LayerTask task = task_for(scratch.path("layer"));
  CHECK_FALSE(identifier.recall(task).has_value());
  identifier.identify(task, results.callback());
  const auto all = results.wait_for_final();
  const int opened = opener.opened;
  const auto recalled = identifier.recall(task);
  REQUIRE(recalled);
  CHECK(recalled->is_final);
  CHECK(recalled->layer.evidence == all.back().layer.evidence);
  CHECK(opener.opened == opened);
}

TEST_CASE("what could name another directory tomorrow is not recalled", "[agent][unit]") {
  const Scratch scratch;
  scratch.write("layer/file", "x");
  const std::vector<std::pair<const char*, void (*)(LayerTask&)>> rows = {
      {"generation 0", [](LayerTask& task) { task.layer.generation = 0; }},
      {"a container's own root",
       [](LayerTask& task) {
         task.is_root_directory = true;
         task.start.executable = task.layer.name;
       }},
  };
  for (const auto& [name, change] : rows) {
    INFO(name);
    NamedOpener opener;
    MapCache cache;
    Results results;
    LayerIdentifier identifier(opener, cache, quick());
    LayerTask task = task_for(scratch.path("layer"));
    change(task);
    identifier.identify(task, results.callback());
    (void)results.wait_for_final();
    CHECK_FALSE(identifier.recall(task).has_value());
  }
}

TEST_CASE("another mount option is another question", "[agent][unit]") {
  const Scratch scratch;
  scratch.write("layer/file", "x");
  NamedOpener opener;
  MapCache cache;
  Results results;
  LayerIdentifier identifier(opener, cache, quick());
  LayerTask task = task_for(scratch.path("layer"));
  identifier.identify(task, results.callback());
  (void)results.wait_for_final();
  task.start.overlay.userxattr = true;
  CHECK_FALSE(identifier.recall(task).has_value());
}

TEST_CASE("after a restart the cache answers and nothing is walked", "[agent][unit]") {
  const Scratch scratch;
  scratch.write("layer/file", kLarge);
  NamedOpener opener;
  MapCache cache;
  const LayerTask task = task_for(scratch.path("layer"));
  std::optional<catalog::LayerEvidence> first;
  {
    Results results;
    LayerIdentifier identifier(opener, cache, quick());
    identifier.identify(task, results.callback());
    first = results.wait_for_final().back().layer.evidence;
  }
  std::filesystem::remove(scratch.path("layer/file"));  // a walk would see another layer now
  Results results;
  LayerIdentifier identifier(opener, cache, quick());
  identifier.identify(task, results.callback());
  const auto all = results.wait_for_final();
  CHECK(all.size() == 1);
  CHECK(all[0].layer.evidence == first);
}

TEST_CASE("a proof is recalled for the bytes that it is of, until they change", "[agent][unit]") {
  Scratch scratch;
  scratch.write("layer/a", "1");
  NamedOpener opener;
  MapCache cache;
  LayerIdentifier identifier(opener, cache, quick());
  const LayerTask task = task_for(scratch.path("layer"));
  const LayerRef ref = ref_of(task.layer);
  Results results;
  identifier.identify(task, results.callback());
  const auto evidence = results.wait_for_final().back().layer.evidence;
  const auto recalled = [&] { return identifier.recall(task)->layer.evidence.exact; };
  CHECK_FALSE(recalled());
  LayerExact exact{ref, DiffId{sha256("the layer").bytes}, *evidence.shape, *evidence.content};
  const LayerExact other{ref, exact.diff_id, exact.shape, ContentDigest{}};
  identifier.on_proof(ref, other);
  CHECK_FALSE(recalled());
  identifier.on_proof(ref, exact);
  CHECK(recalled() == exact.diff_id);
  identifier.on_proof(ref, std::nullopt);
  CHECK_FALSE(recalled());
  identifier.on_proof(ref, exact);
  identifier.on_tampering({ref, "/a (content)", true});
  CHECK_FALSE(recalled());
  identifier.on_proof(ref, exact);
  CHECK_FALSE(recalled());
}

TEST_CASE("what a layer says of itself comes with its content and is remembered", "[agent][unit]") {
  const Scratch scratch;
  scratch.write("layer/file", kLarge);
  scratch.write("layer/etc/os-release", "ID=debian\nVERSION_ID=12\n");
  scratch.write("layer/var/lib/dpkg/status", "Package: a\n\nPackage: b\n\n");
  NamedOpener opener;
  MapCache cache;
  const LayerTask task = task_for(scratch.path("layer"));
  std::string first;
  {
    Results results;
    LayerIdentifier identifier(opener, cache, quick());
    identifier.identify(task, results.callback());
    const auto all = results.wait_for_final();
    REQUIRE(all.size() == 2);
    CHECK(all[0].layer.about.empty());  // no file is opened for a shape
    first = all[1].layer.about;
    catalog::Stack stack;
    stack.layers = {all[1].layer};
    const catalog::About about = catalog::about_of(stack);
    REQUIRE(about.distribution);
    CHECK(about.distribution->id == "debian");
    REQUIRE(about.databases.size() == 1);
    CHECK(about.databases[0].packages == 2);
    CHECK(identifier.recall(task)->layer.about == first);
    stack.layers[0].is_injected = true;
    CHECK(catalog::about_of(stack) == catalog::About{});
    const StackDigest digest = catalog::digest_of(stack);
    stack.layers[0].about.clear();
    CHECK(catalog::digest_of(stack) == digest);
  }
  Results results;
  LayerIdentifier identifier(opener, cache, quick());
  identifier.identify(task, results.callback());
  CHECK(results.wait_for_final().back().layer.about == first);
}

TEST_CASE("a layer that is gone is told with its reason, and asked again the next time",
          "[agent][unit]") {
  const Scratch scratch;
  NamedOpener opener;
  MapCache cache;
  LayerIdentifier identifier(opener, cache, quick());
  const LayerTask task = task_for(scratch.path("layer"));
  {
    Results results;
    identifier.identify(task, results.callback());
    const auto all = results.wait_for_final();
    REQUIRE(all.size() == 1);
    CHECK(all[0].layer.evidence.gap == "the layer was gone before it could be read");
    CHECK_FALSE(all[0].layer.evidence.shape.has_value());
    CHECK(all[0].layer.instance.inode == 7);
  }
  CHECK_FALSE(identifier.recall(task).has_value());
  scratch.write("layer/file", "x");
  Results results;
  identifier.identify(task, results.callback());
  CHECK(results.wait_for_final().back().layer.evidence.content.has_value());
}

TEST_CASE("a layer beyond a limit has no digest but a reason", "[agent][unit]") {
  const Scratch scratch;
  for (int i = 0; i < 10; ++i)
    scratch.write("layer/" + std::to_string(i), "x");
  NamedOpener opener;
  MapCache cache;
  Results results;
  IdentifierOptions options = quick();
  options.limits.max_entries = 5;
  LayerIdentifier identifier(opener, cache, options);
  identifier.identify(task_for(scratch.path("layer")), results.callback());
  const auto all = results.wait_for_final();
  CHECK_FALSE(all.back().layer.evidence.shape.has_value());
  CHECK_FALSE(all.back().layer.evidence.gap.empty());
}

TEST_CASE("layers that found no room in the queue give their descriptor's place back",
          "[agent][unit]") {
  const Scratch scratch;
  scratch.write("layer/file", kLarge);
  const std::string path = scratch.path("layer");
  NamedOpener opener;
  MapCache cache;
  Results first;
  Results second;
  Results last;
  std::array<Results, 100> refused;
  std::promise<void> is_busy;
  std::promise<void> may_go_on;
  IdentifierOptions options = quick();
  options.shape_threads = 1;
  options.content_threads = 1;
  options.max_waiting = 1;
  LayerIdentifier identifier(opener, cache, options);
  identifier.identify(task_for(path, 1), [&](const LayerResult& result) {
    if (result.is_final) is_busy.set_value();
    if (result.is_final) may_go_on.get_future().wait();
    first.callback()(result);
  });
  is_busy.get_future().wait();
  std::promise<void> has_shape;
  identifier.identify(task_for(path, 2), [&](const LayerResult& result) {
    if (!result.is_final) has_shape.set_value();
    second.callback()(result);
  });
  has_shape.get_future().wait();
  std::uint64_t inode = 3;
  for (Results& results : refused) {
    identifier.identify(task_for(path, inode++), results.callback());
    CHECK_FALSE(results.wait_for_final().back().layer.evidence.gap.empty());
  }
  may_go_on.set_value();
  first.wait_for_final();
  second.wait_for_final();
  const int before = opener.opened;
  identifier.identify(task_for(path, 200), last.callback());
  CHECK(last.wait_for_final().back().layer.evidence.content.has_value());
  CHECK(opener.opened == before + 1);  // kept open from shape to content
}

TEST_CASE("memory is bounded: the least recently used layer goes", "[agent][unit]") {
  const Scratch scratch;
  scratch.write("layer/file", "x");
  NamedOpener opener;
  MapCache cache;
  IdentifierOptions options = quick();
  options.max_remembered = 2;
  LayerIdentifier identifier(opener, cache, options);
  const auto identify = [&](std::uint64_t inode) {
    Results results;
    identifier.identify(task_for(scratch.path("layer"), inode), results.callback());
    (void)results.wait_for_final();
  };
  identify(1);
  identify(2);
  CHECK(identifier.recall(task_for("", 1)).has_value());  // used: 2 is the oldest now
  identify(3);
  CHECK(identifier.recall(task_for("", 1)).has_value());
  CHECK_FALSE(identifier.recall(task_for("", 2)).has_value());
  CHECK(identifier.recall(task_for("", 3)).has_value());
}

TEST_CASE("data-only layers cap the rung at shape", "[agent][unit]") {
  const Scratch scratch;
  scratch.write("layer/file", "x");
  NamedOpener opener;
  MapCache cache;
  Results results;
  LayerIdentifier identifier(opener, cache, quick());
  LayerTask task = task_for(scratch.path("layer"));
  task.start.overlay.data_only_layers = 1;
  identifier.identify(task, results.callback());
  CHECK(results.wait_for_final().back().layer.evidence.is_capped_at_shape);
}

TEST_CASE("a root without layers has the digests of the root form and is never remembered",
          "[agent][unit]") {
  const Scratch scratch;
  scratch.write("root/usr/file", "x");
  scratch.write("root/etc/hosts", "written by a runtime");
  NamedOpener opener;
  MapCache cache;
  LayerIdentifier identifier(opener, cache, quick());
  LayerTask task;
  task.is_root_directory = true;
  task.start.in_host_user_namespace = true;
  task.start.executable = scratch.path("root");
  const auto identify = [&] {
    Results results;
    identifier.identify(task, results.callback());
    return results.wait_for_final().back().layer;
  };
  const catalog::StackLayer with_hosts = identify();
  CHECK(with_hosts.entries == 2);
  CHECK(with_hosts.evidence.is_mutable);
  std::filesystem::remove_all(scratch.path("root/etc"));
  CHECK(identify().evidence.content == with_hosts.evidence.content);
  CHECK(cache.size() == 0);
}

TEST_CASE("who stacks the layers decides how marks in them are read", "[agent][unit]") {
  const Scratch scratch;
  scratch.write("layer/.wh.gone", "");
  scratch.write("layer/kept", "x");
  struct Row {
    OtherStack other_stack;
    std::uint64_t entries;
    bool is_capped;
  };
  for (const Row& row : {Row{OtherStack::kNone, 2, false}, Row{OtherStack::kAufs, 1, false},
                         Row{OtherStack::kFuseOverlay, 1, true}}) {
    INFO(row.entries);
    NamedOpener opener;
    MapCache cache;
    Results results;
    LayerIdentifier identifier(opener, cache, quick());
    LayerTask task = task_for(scratch.path("layer"));
    task.start.is_overlay = row.other_stack == OtherStack::kNone;
    task.start.other_stack = row.other_stack;
    identifier.identify(task, results.callback());
    const catalog::StackLayer layer = results.wait_for_final().back().layer;
    CHECK(layer.entries == row.entries);
    CHECK(layer.evidence.is_capped_at_shape == row.is_capped);
    CHECK(layer.evidence.gap.empty() != row.is_capped);
  }
}

}  // namespace
}  // namespace assay::agent
