// SPDX-License-Identifier: Apache-2.0
#include "agent/uplink/identity_folder.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <memory>

#include "agent/uplink/openssl_handles.h"
#include "common/base/file.h"
#include "common/base/guarded_file.h"
#include "common/base/sha256.h"

namespace assay::agent {
namespace {

constexpr std::size_t kMaxPemBytes = 1U << 20;
constexpr std::size_t kMaxAuthorities = 16;
constexpr std::int64_t kMaxSeconds = 9'000'000'000;  // what 64 bits of nanoseconds hold

using Request = std::unique_ptr<X509_REQ, Free<X509_REQ_free>>;

Bio reading(const std::string& bytes) {
  return Bio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
}

std::string text_of(BIO* bio) {
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio, &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

Certificate parse_der(const std::string& der) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
  Certificate certificate(d2i_X509(nullptr, &bytes, static_cast<long>(der.size())));
  ERR_clear_error();
  return certificate;
}

template <typename T>
std::string encoded(const T* object, int (*encode)(const T*, unsigned char**)) {
  unsigned char* bytes = nullptr;
  const int size = encode(object, &bytes);
  if (size <= 0) return {};
  std::string text(reinterpret_cast<char*>(bytes), static_cast<std::size_t>(size));
  OPENSSL_free(bytes);
  return text;
}

PrivateKey parse_key(const std::string& pem) {
  PrivateKey key(PEM_read_bio_PrivateKey(reading(pem).get(), nullptr, no_password, nullptr));
  ERR_clear_error();
  return key;
}

Result<void> make_key(const std::string& path) {
  const PrivateKey key(EVP_EC_gen("P-256"));
  const Bio out(BIO_new(BIO_s_mem()));
  if (!key || PEM_write_bio_PKCS8PrivateKey(out.get(), key.get(), nullptr, nullptr, 0, nullptr,
                                            nullptr) != 1)
    return refused(ErrorCode::kInternal, "cannot make a key");
  return write_file_atomically(path, text_of(out.get()), 0600);
}

WallTime time_of(const ASN1_TIME* time) {
  tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return WallTime(std::chrono::seconds(std::clamp<std::int64_t>(::timegm(&parts), 0, kMaxSeconds)));
}

/// Digest of the one among `authorities` that signed `certificate`.
std::optional<Sha256> issuer_of(X509* certificate, const std::vector<std::string>& authorities) {
  for (const std::string& der : authorities) {
    const Certificate authority = parse_der(der);
    const bool is_it =
        authority && X509_verify(certificate, X509_get0_pubkey(authority.get())) == 1;
    ERR_clear_error();
    if (is_it) return sha256(der);
  }
  return std::nullopt;
}

/// Whether its one URI is the node's.
bool is_of_node(X509* certificate, const std::string& uri) {
  const std::unique_ptr<GENERAL_NAMES, Free<GENERAL_NAMES_free>> names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  if (!names || sk_GENERAL_NAME_num(names.get()) != 1) return false;
  int type = 0;
  const auto* value = static_cast<const ASN1_STRING*>(
      GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), 0), &type));
  if (type != GEN_URI) return false;
  const auto* bytes = reinterpret_cast<const char*>(ASN1_STRING_get0_data(value));
  return std::string_view(bytes, static_cast<std::size_t>(ASN1_STRING_length(value))) == uri;
}

}  // namespace

std::string certificates_to_pem(const std::vector<std::string>& certificates) {
  const Bio out(BIO_new(BIO_s_mem()));
  for (const std::string& der : certificates)
    if (const Certificate one = parse_der(der)) PEM_write_bio_X509(out.get(), one.get());
  return text_of(out.get());
}

std::vector<std::string> certificates_from_pem(const std::string& pem) {
  const Bio bio = reading(pem);
  std::vector<std::string> all;
  while (all.size() < kMaxAuthorities) {
    const Certificate one(PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr));
    if (!one) break;
    all.push_back(encoded<X509>(one.get(), i2d_X509));
  }
  ERR_clear_error();
  return all;
}

Result<IdentityFolder> IdentityFolder::open(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return system_error("create " + path);
  IdentityFolder folder(path);
  const std::string key_path = folder.files().key;
  auto pem = read_guarded_file(key_path, kMaxPemBytes, Guard::kSecret);
  if (!pem && pem.error().code == ErrorCode::kNotFound) {
    ASSAY_TRY(make_key(key_path));
    return folder;
  }
  if (!pem) return std::move(pem.error());
  if (!parse_key(*pem))
    return refused(ErrorCode::kInvalidArgument,
                   key_path +
                       " holds no key: remove it, and let an admin forget this node's old "
                       "key (assay node forget)");
  return folder;
}

TlsFiles IdentityFolder::files() const {
  return {path_ + "/ca.pem", path_ + "/cert.pem", path_ + "/key.pem"};
}

Result<std::string> IdentityFolder::request() const {
  ASSAY_ASSIGN(const std::string pem, read_file(files().key, kMaxPemBytes));
  const PrivateKey key = parse_key(pem);
  const Request request(X509_REQ_new());
  if (!key || !request || X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) != 1 ||
      X509_REQ_set_pubkey(request.get(), key.get()) != 1 ||
      X509_REQ_sign(request.get(), key.get(), EVP_sha256()) <= 0)
    return refused(ErrorCode::kInternal, "cannot make a certificate request");
  return encoded<X509_REQ>(request.get(), i2d_X509_REQ);
}

std::optional<HeldCertificate> IdentityFolder::held(const std::string& cluster,
                                                    const std::string& node) const {
  const auto pem = read_file(files().certificate, kMaxPemBytes);
  const auto key_pem = read_file(files().key, kMaxPemBytes);
  if (!pem || !key_pem) return std::nullopt;
  const auto certificates = certificates_from_pem(*pem);
  const PrivateKey key = parse_key(*key_pem);
  if (certificates.empty() || !key) return std::nullopt;
  const Certificate leaf = parse_der(certificates.front());
  const bool fits = X509_check_private_key(leaf.get(), key.get()) == 1;
  ERR_clear_error();
  const auto issuer = issuer_of(leaf.get(), authorities());
  if (!fits || !issuer || !is_of_node(leaf.get(), "assay:node:" + cluster + "/" + node))
    return std::nullopt;
  return HeldCertificate{time_of(X509_get0_notBefore(leaf.get())),
                         time_of(X509_get0_notAfter(leaf.get())), *issuer};
}

std::vector<std::string> IdentityFolder::authorities() const {
  const auto pem = read_file(files().ca, kMaxPemBytes);
  return pem ? certificates_from_pem(*pem) : std::vector<std::string>();
}

Result<void> IdentityFolder::keep_authorities(const std::vector<std::string>& certificates) {
  if (certificates.empty() || certificates.size() > kMaxAuthorities)
    return Error{ErrorCode::kUntrusted,
                 "a trust bundle has 1 to " + std::to_string(kMaxAuthorities) + " authorities"};
  for (const std::string& der : certificates) {
    const Certificate one = parse_der(der);
    if (!one || X509_check_ca(one.get()) != 1)
      return refused(ErrorCode::kUntrusted, "a trust bundle holds something that is no authority");
  }
  return write_file_atomically(files().ca, certificates_to_pem(certificates), 0644);
}

Result<void> IdentityFolder::keep_certificate(const std::string& certificate) {
  ASSAY_ASSIGN(const std::string pem, read_file(files().key, kMaxPemBytes));
  const PrivateKey key = parse_key(pem);
  const Certificate leaf = parse_der(certificate);
  if (!key || !leaf || X509_check_private_key(leaf.get(), key.get()) != 1)
    return refused(ErrorCode::kUntrusted, "the collector's answer is no certificate for our key");
  if (!issuer_of(leaf.get(), authorities()))
    return refused(ErrorCode::kUntrusted, "the certificate is of no authority that is trusted");
  return write_file_atomically(files().certificate, certificates_to_pem({certificate}), 0644);
}

}  // namespace assay::agent
