// SPDX-License-Identifier: Apache-2.0
#include "cli/image_reading.h"

#include <map>

#include "common/about/layer_about_reader.h"
#include "common/files/file_set_maker.h"
#include "common/output/table.h"

namespace assay::cli {
namespace {

constexpr std::size_t kMaxSourceBytes = 40;

/// The end of a long path says more than its start.
std::string shortened(const std::string& source) {
  if (source.size() <= kMaxSourceBytes) return source;
  std::size_t start = source.size() - kMaxSourceBytes;
  while (start < source.size() && (static_cast<unsigned char>(source[start]) & 0xC0U) == 0x80U)
    ++start;
  return "…" + source.substr(start);
}

}  // namespace

std::string progress_text(const std::string& source, const image::ReadProgress& progress) {
  std::string text = (progress.layer == 0 ? "listing " : "reading ") + shortened(source) + ": ";
  if (progress.layers > 1)
    text +=
        "layer " + std::to_string(progress.layer) + " of " + std::to_string(progress.layers) + ", ";
  if (progress.files > 0) text += std::to_string(progress.files) + " files, ";
  text += format_bytes(progress.bytes);
  if (progress.total_bytes > 0)
    text +=
        " of " + format_bytes(progress.total_bytes) + " (" +
        std::to_string(std::min<std::uint64_t>(100, progress.bytes * 100 / progress.total_bytes)) +
        " %)";
  return text;
}

Result<image::Image> read_shown(const std::string& source, image::ImageOptions options,
                                Session& session) {
  options.progress = [&](const image::ReadProgress& progress) {
    session.terminal().progress(progress_text(source, progress), progress.layer);
  };
  auto image = image::read_image(source, options, {});
  session.terminal().end_progress();
  return image;
}

Result<DescribedImage> read_described(const std::string& source, image::ImageOptions options,
                                      bool keeps_packages, Session& session,
                                      FileSetWanted file_set) {
  about::ListBudget budget;
  std::map<std::size_t, about::LayerAboutReader> readers;
  options.observer_of = [&](std::size_t layer) -> image::LayerObserver* {
    return &readers
                .try_emplace(layer, keeps_packages ? &budget : nullptr, about::ReaderLimits{},
                             std::stop_token{})
                .first->second;
  };
  files::FileSetMaker maker;
  bool has_merged = false;
  if (file_set == FileSetWanted::kYes)
    options.on_merged = [&](const image::Entry& entry) {
      has_merged = true;
      maker.add(entry);
    };
  ASSAY_ASSIGN(image::Image image, read_shown(source, std::move(options), session));
  std::vector<catalog::LayerAbout> layers(image.layers.size());
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (const auto reader = readers.find(i); reader != readers.end()) {
      layers[i] = reader->second.take();
      continue;
    }
    // Equal layers are read once.
    for (std::size_t below = 0; below < i; ++below)
      if (image.layers[below].diff_id == image.layers[i].diff_id) layers[i] = layers[below];
  }
  catalog::About about = catalog::merge_about(layers);
  DescribedImage described{std::move(image), std::move(about), std::nullopt, ""};
  if (file_set == FileSetWanted::kNo) return described;
  auto made = std::move(maker).finish();
  if (made && has_merged)
    described.file_set = std::move(*made);
  else
    described.no_file_set =
        made ? "its layers hold too many entries, or none" : made.error().message;
  return described;
}

}  // namespace assay::cli
