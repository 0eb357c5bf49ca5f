// SPDX-License-Identifier: Apache-2.0
#include "agent/uplink/tls_files.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

#include <memory>
#include <vector>

#include "agent/uplink/openssl_handles.h"
#include "common/base/guarded_file.h"

namespace assay::agent {
namespace {

constexpr std::size_t kMaxPemBytes = 1U << 20;

struct FreeStack {
  void operator()(STACK_OF(X509) * stack) const { sk_X509_free(stack); }  // a macro, no function
};
using Store = std::unique_ptr<X509_STORE, Free<X509_STORE_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, Free<X509_STORE_CTX_free>>;

Result<std::string> read_pem(const std::string& path, const char* what, Guard guard) {
  auto bytes = read_guarded_file(path, kMaxPemBytes, guard);
  if (!bytes) return std::move(bytes.error()).with_context(what);
  return bytes;
}

std::vector<Certificate> parse_certificates(const std::string& pem) {
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  std::vector<Certificate> all;
  while (X509* one = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr))
    all.emplace_back(one);
  ERR_clear_error();
  return all;
}

Result<void> check_chain(const std::vector<Certificate>& chain,
                         const std::vector<Certificate>& authorities, const TlsFiles& files) {
  const Store store(X509_STORE_new());
  for (const Certificate& authority : authorities)
    X509_STORE_add_cert(store.get(), authority.get());
  const std::unique_ptr<STACK_OF(X509), FreeStack> others(sk_X509_new_null());
  for (std::size_t i = 1; i < chain.size(); ++i)
    sk_X509_push(others.get(), chain[i].get());
  const StoreContext context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), chain.front().get(), others.get());
  if (X509_verify_cert(context.get()) == 1) return ok();
  const std::string why = X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()));
  return refused(ErrorCode::kUntrusted, files.certificate + ": " + why + " (checked against " +
                                            files.ca + "): issue a new certificate");
}

}  // namespace

Error refused(ErrorCode code, const std::string& text) {
  ERR_clear_error();
  return {code, text};
}

int no_password(char*, int, int, void*) {
  return -1;
}

Result<TlsMaterial> load_tls_files(const TlsFiles& files) {
  TlsMaterial material;
  ASSAY_ASSIGN(material.ca, read_pem(files.ca, "tls.ca", Guard::kTrusted));
  ASSAY_ASSIGN(material.certificate, read_pem(files.certificate, "tls.cert", Guard::kTrusted));
  ASSAY_ASSIGN(material.key, read_pem(files.key, "tls.key", Guard::kSecret));

  const auto authorities = parse_certificates(material.ca);
  if (authorities.empty())
    return refused(ErrorCode::kInvalidArgument, files.ca + " holds no PEM certificate");
  const auto chain = parse_certificates(material.certificate);
  if (chain.empty())
    return refused(ErrorCode::kInvalidArgument, files.certificate + " holds no PEM certificate");
  const Bio bio(BIO_new_mem_buf(material.key.data(), static_cast<int>(material.key.size())));
  const PrivateKey key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
  if (!key)
    return refused(ErrorCode::kInvalidArgument,
                   files.key + " holds no PEM private key that can be read without a password");
  if (X509_check_private_key(chain.front().get(), key.get()) != 1)
    return refused(ErrorCode::kUntrusted, files.key + " is not the key of " + files.certificate +
                                              ": give the key that the certificate was made for");
  ASSAY_TRY(check_chain(chain, authorities, files));
  return material;
}

}  // namespace assay::agent
