// SPDX-License-Identifier: Apache-2.0
#include "collector/identity/certificates.h"

#include <arpa/inet.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <memory>

#include "common/base/guarded_file.h"

namespace assay::collector {
namespace {

constexpr std::size_t kMaxPemBytes = 1 << 20;
constexpr std::size_t kMaxCommonName = 64;  // RFC 5280 ub-common-name
constexpr std::chrono::hours kClockSkew{1};

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Bio = std::unique_ptr<BIO, Deleter<BIO_free_all>>;

Error crypto_error(const std::string& what) {
  char text[256] = "no detail";
  if (const unsigned long code = ERR_get_error(); code != 0)
    ERR_error_string_n(code, text, sizeof(text));
  ERR_clear_error();
  return Error{ErrorCode::kInternal, what + ": " + text};
}

std::string text_of(BIO* bio) {
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio, &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

Bio read_only(const std::string& pem) {
  return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

/// No prompt on the terminal for an encrypted key: it counts as unreadable.
int no_passphrase(char*, int, int, void*) {
  return -1;
}

Key read_key(const std::string& pem) {
  Key key(PEM_read_bio_PrivateKey(read_only(pem).get(), nullptr, no_passphrase, nullptr));
  ERR_clear_error();
  return key;
}

Certificate read_certificate(const std::string& pem) {
  Certificate certificate(PEM_read_bio_X509(read_only(pem).get(), nullptr, no_passphrase, nullptr));
  ERR_clear_error();
  return certificate;
}

bool set_random_serial(X509* certificate) {
  unsigned char bytes[16];
  if (RAND_bytes(bytes, sizeof(bytes)) != 1) return false;
  bytes[0] &= 0x7fU;  // RFC 5280 section 4.1.2.2: positive
  bytes[0] |= 0x40U;
  std::unique_ptr<BIGNUM, Deleter<BN_free>> number(BN_bin2bn(bytes, sizeof(bytes), nullptr));
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool set_names_and_times(X509* certificate, const std::string& common_name, WallTime now,
                         std::chrono::days lifetime) {
  const auto seconds = [](WallTime time) {
    return static_cast<time_t>(
        std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count());
  };
  const std::string name = common_name.substr(0, kMaxCommonName);
  return X509_set_version(certificate, X509_VERSION_3) == 1 && set_random_serial(certificate) &&
         ASN1_TIME_set(X509_getm_notBefore(certificate), seconds(now - kClockSkew)) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(certificate), seconds(now + lifetime)) != nullptr &&
         X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate), NID_commonName,
                                    MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(name.data()),
                                    static_cast<int>(name.size()), -1, 0) == 1;
}

Result<CertificatePair> to_pem(X509* certificate, EVP_PKEY* key) {
  const Bio certificate_out(BIO_new(BIO_s_mem()));
  const Bio key_out(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(certificate_out.get(), certificate) != 1 ||
      PEM_write_bio_PKCS8PrivateKey(key_out.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return crypto_error("write PEM");
  return CertificatePair{text_of(certificate_out.get()), text_of(key_out.get())};
}

bool is_address(const std::string& host) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, host.c_str(), bytes) == 1 ||
         inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

std::string alternative_names(const LeafRequest& request) {
  std::string text;
  const auto add = [&](const char* kind, const std::string& value) {
    if (!text.empty()) text += ",";
    text += kind + value;
  };
  for (const auto& uri : request.uris)
    add("URI:", uri);
  for (const auto& host : request.hosts)
    add(is_address(host) ? "IP:" : "DNS:", host);
  return text;
}

/// OpenSSL reads the list as comma-separated: a name with one would become two.
bool is_safe_name(const std::string& text) {
  return !text.empty() && text.find_first_of(",\n\r") == std::string::npos &&
         text.find('\0') == std::string::npos;
}

bool is_valid_at(const X509* certificate, WallTime now) {
  time_t seconds = static_cast<time_t>(
      std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count());
  return X509_cmp_time(X509_get0_notBefore(certificate), &seconds) < 0 &&
         X509_cmp_time(X509_get0_notAfter(certificate), &seconds) > 0;
}

Error bad_file(const std::string& path, const std::string& what) {
  return Error{ErrorCode::kInvalidArgument, path + ": " + what};
}

Result<std::string> read_pem(const std::string& path, const char* key, Guard guard) {
  auto text = read_guarded_file(path, kMaxPemBytes, guard);
  if (text) return text;
  if (text.error().code == ErrorCode::kUntrusted) return std::move(text.error()).with_context(key);
  return Error{ErrorCode::kInvalidArgument,
               text.error().text() + " (" + key + "; \"assay-collector init\" makes one)"};
}

}  // namespace

Result<CertificatePair> make_authority(const std::string& common_name, WallTime now) {
  const Key key(EVP_EC_gen("P-256"));
  const Certificate certificate(X509_new());
  if (!key || !certificate) return crypto_error("make a key");
  X509* raw = certificate.get();
  const bool is_made =
      set_names_and_times(raw, common_name, now, kAuthorityLifetime) &&
      X509_set_issuer_name(raw, X509_get_subject_name(raw)) == 1 &&
      X509_set_pubkey(raw, key.get()) == 1 &&
      add_extension(raw, raw, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
      add_extension(raw, raw, NID_key_usage, "critical,keyCertSign,cRLSign") &&
      add_extension(raw, raw, NID_subject_key_identifier, "hash") &&
      X509_sign(raw, key.get(), EVP_sha256()) > 0;
  if (!is_made) return crypto_error("make the authority's certificate");
  return to_pem(raw, key.get());
}

Result<CertificatePair> issue(const CertificatePair& authority, const LeafRequest& request,
                              WallTime now) {
  const Key authority_key = read_key(authority.key);
  const Certificate issuer = read_certificate(authority.certificate);
  if (!authority_key || !issuer)
    return Error{ErrorCode::kInvalidArgument, "the authority's key or certificate is not PEM"};
  if (X509_check_private_key(issuer.get(), authority_key.get()) != 1) {
    ERR_clear_error();
    return Error{ErrorCode::kInvalidArgument,
                 "the authority's key does not belong to its certificate"};
  }
  for (const auto* names : {&request.uris, &request.hosts})
    for (const auto& name : *names)
      if (!is_safe_name(name)) return Error{ErrorCode::kInvalidArgument, "not a name: " + name};
  const Key key(EVP_EC_gen("P-256"));
  const Certificate certificate(X509_new());
  if (!key || !certificate) return crypto_error("make a key");
  X509* raw = certificate.get();
  const bool is_made =
      set_names_and_times(raw, request.common_name, now, kLeafLifetime) &&
      X509_set_issuer_name(raw, X509_get_subject_name(issuer.get())) == 1 &&
      X509_set_pubkey(raw, key.get()) == 1 &&
      add_extension(raw, issuer.get(), NID_basic_constraints, "critical,CA:FALSE") &&
      add_extension(raw, issuer.get(), NID_key_usage, "critical,digitalSignature") &&
      add_extension(raw, issuer.get(), NID_ext_key_usage,
                    request.is_server ? "serverAuth" : "clientAuth") &&
      add_extension(raw, issuer.get(), NID_subject_key_identifier, "hash") &&
      add_extension(raw, issuer.get(), NID_authority_key_identifier, "keyid") &&
      add_extension(raw, issuer.get(), NID_subject_alt_name, alternative_names(request)) &&
      X509_sign(raw, authority_key.get(), EVP_sha256()) > 0;
  if (!is_made) return crypto_error("issue a certificate");
  return to_pem(raw, key.get());
}

Result<ServerMaterial> load_server_files(const ServerFiles& files, WallTime now) {
  ServerMaterial material;
  ASSAY_ASSIGN(material.pair.certificate, read_pem(files.cert_path, "tls.cert", Guard::kTrusted));
  ASSAY_ASSIGN(material.pair.key, read_pem(files.key_path, "tls.key", Guard::kSecret));
  ASSAY_ASSIGN(material.authority, read_pem(files.ca_path, "tls.ca", Guard::kTrusted));
  const Certificate certificate = read_certificate(material.pair.certificate);
  const Certificate authority = read_certificate(material.authority);
  const Key key = read_key(material.pair.key);
  if (!certificate) return bad_file(files.cert_path, "is not a PEM certificate (tls.cert)");
  if (!authority) return bad_file(files.ca_path, "is not a PEM certificate (tls.ca)");
  if (!key) return bad_file(files.key_path, "is not an unencrypted PEM private key (tls.key)");
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    ERR_clear_error();
    return bad_file(files.key_path, "does not belong to the certificate " + files.cert_path +
                                        ": check tls.key and tls.cert");
  }
  if (!is_valid_at(certificate.get(), now))
    return bad_file(files.cert_path, "is not valid now: issue a new one, or set this clock");
  return material;
}

}  // namespace assay::collector
