// SPDX-License-Identifier: Apache-2.0
// Owners of OpenSSL's objects. Private to agent/uplink.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

#include "common/base/result.h"

namespace assay::agent {

template <auto kFree>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Bio = std::unique_ptr<BIO, Free<BIO_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using PrivateKey = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;

/// An error of ours; what OpenSSL noted of it is dropped.
Error refused(ErrorCode code, const std::string& text);
/// An encrypted key must not make OpenSSL ask a terminal for its password.
int no_password(char*, int, int, void*);

}  // namespace assay::agent
