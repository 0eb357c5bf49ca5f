// SPDX-License-Identifier: Apache-2.0
// Any bytes as each of containers/storage's lists.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "agent/runtime/image_list.h"
#include "agent/runtime/json_rows.h"
#include "agent/runtime/layer_list.h"
#include "common/base/unique_fd.h"

using namespace assay;
using namespace assay::agent;

namespace {

const std::string kImage(64, 'a');

/// The lists are read from files: one in memory serves for all rounds.
int file_with(const std::uint8_t* data, std::size_t size) {
  static const UniqueFd fd(::memfd_create("list", MFD_CLOEXEC));
  if (::ftruncate(fd.get(), 0) != 0 ||
      ::pwrite(fd.get(), data, size, 0) != static_cast<ssize_t>(size))
    return -1;
  return fd.get();
}

int at_start(int fd) {
  (void)::lseek(fd, 0, SEEK_SET);
  return fd;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const int fd = file_with(data, size);
  if (fd < 0) return 0;
  if (const auto layers = LayerList::read(at_start(fd), {})) {
    Sha256 id;
    const ListedLayer* layer = layers->find(id);
    if (layer != nullptr && layer->parent) (void)layers->find(*layer->parent);
  }
  (void)find_listed_image(at_start(fd), kImage);
  RowLimits limits;
  limits.max_rows = 4;
  limits.max_text_bytes = 16;
  limits.max_list_items = 2;
  limits.max_depth = 8;
  (void)read_json_rows(at_start(fd), {{"id", "image", "layer", "metadata"}, {"names"}}, limits,
                       [](const JsonRow& row) { return row.texts[0] != "stop"; });
  return 0;
}
