// SPDX-License-Identifier: Apache-2.0
#include "common/base/authorities.h"

#include <algorithm>

#include "common/base/sha256.h"

namespace assay {

Sha256 digest_of_authorities(const std::vector<std::string>& certificates) {
  std::vector<Sha256> digests;
  for (const std::string& certificate : certificates)
    digests.push_back(sha256(certificate));
  std::ranges::sort(digests);
  std::string all;
  for (const Sha256& digest : digests)
    all += digest.raw();
  return sha256(all);
}

}  // namespace assay
