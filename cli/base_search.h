// SPDX-License-Identifier: Apache-2.0
// Which bases an image stands on: by its layers first, then by its files, as nodes and collector
// judge a run of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/known_bases.h"
#include "cli/layered_image.h"
#include "cli/output/document.h"
#include "common/catalog/containment.h"
#include "common/catalog/judge.h"

namespace assay::cli {

struct BaseSearch {
  catalog::Verdict verdict;                      ///< with what the files tell
  std::optional<catalog::Containment> by_files;  ///< none: the layers told everything
  std::size_t first_layer = 0;                   ///< from which on `by_files` looked
  std::string gap;                               ///< why the files could not be looked at
  std::vector<catalog::FindingCause> findings;   ///< that a run of it would open
};

/// Judges `layered` at `now`. A base that only its files show never makes it approved.
BaseSearch search_bases(const LayeredImage& layered, const KnownBases& known, WallTime now);

/// Members `base`, `evidence`, `matches` and `containment` (docs/cli.md).
void add_search(Object& object, const BaseSearch& search);
/// Appends what shows them.
void add_search_sections(std::vector<Section>& sections, const BaseSearch& search);

}  // namespace assay::cli
