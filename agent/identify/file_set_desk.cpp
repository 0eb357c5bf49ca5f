// SPDX-License-Identifier: Apache-2.0
#include "agent/identify/file_set_desk.h"

#include <malloc.h>
#include <sys/stat.h>

#include <utility>

#include "agent/identify/id_map.h"
#include "agent/identify/layer_dialect.h"
#include "common/base/encoding.h"
#include "common/files/file_set_maker.h"
#include "common/image/directory.h"

namespace assay::agent {
namespace {

constexpr std::size_t kMaxWaiting = 1024;  // more are asked for again on the next connection
constexpr std::size_t kMaxGapBytes = 200;

}  // namespace

FileSetDesk::FileSetDesk(Ports ports, const image::FingerprintLimits& limits)
    : ports_(std::move(ports)),
      limits_(limits),
      worker_("assay-files", 1, WorkerPriority::kIdle, kMaxWaiting) {}

FileSetDesk::~FileSetDesk() = default;

void FileSetDesk::ask(const FileSetWish& wish) {
  {
    const MutexLock lock(mutex_);
    if (waiting_.contains(wish.stack)) return;
  }
  ports_.find_layers(wish.stack, [this, wish](Layers layers) { queue(wish, std::move(layers)); });
}

void FileSetDesk::queue(const FileSetWish& wish, Layers layers) {
  const MutexLock lock(mutex_);
  if (!waiting_.insert(wish.stack).second) return;
  const bool is_taken =
      worker_.try_submit([this, wish, layers = std::move(layers)](const std::stop_token& stop) {
        make(wish, layers, stop);
      });
  if (!is_taken) waiting_.erase(wish.stack);
}

void FileSetDesk::make(const FileSetWish& wish, const Layers& layers, const std::stop_token& stop) {
  FileSetAnswer answer{wish, "", ""};
  if (const auto set = read(wish, layers, stop); set)
    answer.files = set->encode();
  else
    answer.gap = escape_untrusted(set.error().text(), kMaxGapBytes);
  ::malloc_trim(0);  // a walk leaves megabytes in malloc's free lists
  {
    std::unique_lock lock(mutex_);
    taken_.wait(lock, stop, [this] { return !ready_.has_value(); });
    if (stop.stop_requested()) return;
    waiting_.erase(wish.stack);
    ready_ = std::move(answer);
  }
  ports_.on_ready();
}

std::optional<FileSetAnswer> FileSetDesk::take() {
  const MutexLock lock(mutex_);
  auto taken = std::exchange(ready_, std::nullopt);
  if (taken) taken_.notify_one();
  return taken;
}

Result<catalog::FileSet> FileSetDesk::read(const FileSetWish& wish, const Layers& layers,
                                           const std::stop_token& stop) {
  if (layers.empty()) return Error{ErrorCode::kNotFound, "its layers are not remembered any more"};
  if (wish.first_layer >= layers.size())
    return Error{ErrorCode::kInvalidArgument, "it has no layer from which files are wanted"};
  files::LayeredFileSetMaker maker;
  for (std::size_t i = layers.size(); i-- > wish.first_layer;) {
    auto done = read_layer(layers[i], maker.observer(), stop);
    if (!done) return std::move(done.error()).with_context("layer " + std::to_string(i + 1));
    maker.next_layer();
  }
  return std::move(maker).finish();
}

Result<void> FileSetDesk::read_layer(const LayerTask& task, image::LayerObserver& observer,
                                     const std::stop_token& stop) {
  ASSAY_ASSIGN(const std::unique_ptr<Layer> layer,
               task.is_root_directory ? ports_.opener.open_root(task.start)
                                      : ports_.opener.open(task.layer, task.start));
  struct stat root = {};
  if (::fstat(layer->fd(), &root) != 0) return system_error("fstat");
  ASSAY_ASSIGN(const IdMap map, choose_id_map(id_maps_of(task), root.st_uid));
  image::WalkOptions options;
  options.dialect = dialect_of(task);
  options.scope = image::Scope::kContent;
  options.uid_map = map.uids;
  options.gid_map = map.gids;
  options.limits = limits_;
  options.observer = &observer;
  be_background(options, ports_.budget, stop);
  auto found = image::fingerprint_directory(layer->fd(), options, stop);
  if (!found && found.error().code == ErrorCode::kUnsupported && !map.text.empty()) {
    // Ids outside the map: the layer was not shifted for this container (layer_identifier.cpp).
    options.uid_map.clear();
    options.gid_map.clear();
    be_background(options, ports_.budget, stop);
    found = image::fingerprint_directory(layer->fd(), options, stop);
  }
  if (!found) return std::move(found.error());
  return ok();
}

}  // namespace assay::agent
