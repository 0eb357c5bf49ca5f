// SPDX-License-Identifier: Apache-2.0
// Owners of OpenSSL's objects. Private to collector/identity.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>

namespace assay::collector {

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;

}  // namespace assay::collector
