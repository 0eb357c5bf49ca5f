// SPDX-License-Identifier: Apache-2.0
// Reading an image for a person: progress on the terminal, and what the layers say of themselves.
#pragma once

#include <optional>
#include <string>

#include "cli/output/document.h"
#include "cli/session.h"
#include "common/catalog/about.h"
#include "common/catalog/file_set.h"
#include "common/image/image.h"

namespace assay::cli {

/// Reads `source` as `options` say, with its progress on the terminal. Errors: read_image()'s.
Result<image::Image> read_shown(const std::string& source, image::ImageOptions options,
                                Session& session);

struct DescribedImage {
  image::Image image;
  catalog::About about;
  /// Of all layers together, when it was asked for and there is one.
  std::optional<catalog::FileSet> file_set;
  std::string no_file_set;  ///< why there is none although it was asked for
};

enum class FileSetWanted { kNo, kYes };

/// The same, and what the layers say of themselves. `keeps_packages`: with the list of them.
/// `options.observer_of` is taken for it.
Result<DescribedImage> read_described(const std::string& source, image::ImageOptions options,
                                      bool keeps_packages, Session& session,
                                      FileSetWanted file_set = FileSetWanted::kNo);

/// "reading app.tar: layer 2 of 5, 41.9 MB of 120.0 MB (34 %)".
std::string progress_text(const std::string& source, const image::ReadProgress& progress);

}  // namespace assay::cli
