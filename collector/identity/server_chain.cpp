// SPDX-License-Identifier: Apache-2.0
#include "collector/identity/server_chain.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <memory>

#include "collector/identity/certificates.h"
#include "collector/identity/openssl_handles.h"

namespace assay::collector {
namespace {

using Store = std::unique_ptr<X509_STORE, Deleter<X509_STORE_free>>;
using Context = std::unique_ptr<X509_STORE_CTX, Deleter<X509_STORE_CTX_free>>;

Result<std::vector<Certificate>> read_all(const std::string& pem) {
  ASSAY_ASSIGN(const auto all, certificates_of(pem));
  std::vector<Certificate> certificates;
  for (const std::string& der : all) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
    certificates.emplace_back(d2i_X509(nullptr, &bytes, static_cast<long>(der.size())));
  }
  return certificates;
}

}  // namespace

Result<void> check_server_chain(const std::string& chain, const std::string& bundle, WallTime now) {
  ASSAY_ASSIGN(const auto shown, read_all(chain));
  ASSAY_ASSIGN(const auto trusted, read_all(bundle));
  const Store store(X509_STORE_new());
  for (const Certificate& authority : trusted)
    X509_STORE_add_cert(store.get(), authority.get());
  STACK_OF(X509)* between = sk_X509_new_null();
  for (const Certificate& one : shown)
    sk_X509_push(between, one.get());
  const Context context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), shown.front().get(), between);
  X509_STORE_CTX_set_purpose(context.get(), X509_PURPOSE_SSL_SERVER);
  X509_STORE_CTX_set_flags(context.get(), X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
  X509_STORE_CTX_set_time(
      context.get(), 0,
      static_cast<time_t>(
          std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count()));
  const bool is_believed = X509_verify_cert(context.get()) == 1;
  const int reason = X509_STORE_CTX_get_error(context.get());
  sk_X509_free(between);
  ERR_clear_error();
  if (is_believed) return ok();
  return Error{ErrorCode::kUntrusted, X509_verify_cert_error_string(reason)};
}

}  // namespace assay::collector
