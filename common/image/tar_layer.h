// SPDX-License-Identifier: Apache-2.0
// Fingerprint of a layer as a tar. Private to common/image.
#pragma once

#include <cstdint>
#include <string>

#include "common/image/byte_source.h"
#include "common/image/fingerprint.h"

namespace assay::image {

/// Learns where in the stream the bytes of files stand.
class PayloadGuard {
 public:
  virtual ~PayloadGuard() = default;
  /// The next `size` bytes of the source are those of the file `path`.
  virtual void begin_file(const std::string& path, std::uint64_t size) = 0;
};

/// Fingerprints the uncompressed layer tar in `source` and reads the source to its very end.
/// Whiteouts: ".wh.NAME" and ".wh..wh..opq" (OCI image-spec, layer.md), and character device 0:0,
/// which overlay would take for one. `observer` may be null, and so may `guard`.
/// Errors: kCorrupt, kUnsupported, kLimitExceeded, and the source's.
Result<LayerFingerprint> fingerprint_tar(ByteSource& source, Scope scope,
                                         const FingerprintLimits& limits,
                                         LayerObserver* observer = nullptr,
                                         PayloadGuard* guard = nullptr);

}  // namespace assay::image
