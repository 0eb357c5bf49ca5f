// SPDX-License-Identifier: Apache-2.0
// File sets that the collector asks for (docs/formats/file_set.md).
#pragma once

#include <cstddef>
#include <string>

#include "common/base/digest.h"

namespace assay::agent {

struct FileSetWish {
  StackDigest stack;
  std::size_t first_layer = 0;  ///< of those whose files count, bottom first
};

struct FileSetAnswer {
  FileSetWish wish;
  std::string files;  ///< catalog::FileSet's bytes; "" when there is a gap
  std::string gap;    ///< why there is none, escaped
};

}  // namespace assay::agent
