// SPDX-License-Identifier: Apache-2.0
#include "collector/identity/certificates.h"

#include <arpa/inet.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <memory>

#include "collector/identity/openssl_handles.h"
#include "common/base/guarded_file.h"
#include "common/base/sha256.h"

namespace assay::collector {
namespace {

constexpr std::size_t kMaxPemBytes = 1 << 20;
constexpr std::size_t kMaxRequestBytes = 2048;  // of P-256 it has some 250
constexpr std::size_t kMaxAuthorities = 16;
constexpr std::size_t kMaxCommonName = 64;  // RFC 5280 ub-common-name
constexpr std::chrono::seconds kClockSkew{
    3600};  // of the peers; a short life is not made longer by it

using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Request = std::unique_ptr<X509_REQ, Deleter<X509_REQ_free>>;
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
                         std::chrono::seconds lifetime) {
  const auto seconds = [](WallTime time) {
    return static_cast<time_t>(
        std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count());
  };
  const std::string name = common_name.substr(0, kMaxCommonName);
  return X509_set_version(certificate, X509_VERSION_3) == 1 && set_random_serial(certificate) &&
         ASN1_TIME_set(X509_getm_notBefore(certificate),
                       seconds(now - std::min(kClockSkew, lifetime / 4))) != nullptr &&
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

template <typename T>
std::string encoded(T* object, int (*encode)(const T*, unsigned char**)) {
  unsigned char* bytes = nullptr;
  const int size = encode(object, &bytes);
  if (size <= 0) return {};
  std::string text(reinterpret_cast<char*>(bytes), static_cast<std::size_t>(size));
  OPENSSL_free(bytes);
  return text;
}

std::string der_of(const X509* certificate) {
  return encoded<const X509>(
      certificate, [](const X509* object, unsigned char** out) { return i2d_X509(object, out); });
}

std::string der_of(const EVP_PKEY* key) {
  return encoded<const EVP_PKEY>(
      key, [](const EVP_PKEY* object, unsigned char** out) { return i2d_PUBKEY(object, out); });
}

std::string serial_of(const X509* certificate) {
  const std::unique_ptr<BIGNUM, Deleter<BN_free>> number(
      ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
  char* hex = number ? BN_bn2hex(number.get()) : nullptr;
  std::string text = hex != nullptr ? hex : "";
  OPENSSL_free(hex);
  return text;
}

/// Errors: kCorrupt. Years that 64 bits of nanoseconds do not hold count as the last ones that they
/// do.
Result<std::int64_t> unix_ns(const ASN1_TIME* time) {
  constexpr std::int64_t kMaxSeconds = 9'000'000'000;
  tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) {
    ERR_clear_error();
    return Error{ErrorCode::kCorrupt, "not a time"};
  }
  const std::int64_t seconds = ::timegm(&parts);
  return std::clamp<std::int64_t>(seconds, 0, kMaxSeconds) * 1'000'000'000;
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

namespace {

struct Authority {
  Key key;
  Certificate certificate;
};

Result<Authority> read_authority(const CertificatePair& pair) {
  Authority authority{read_key(pair.key), read_certificate(pair.certificate)};
  if (!authority.key || !authority.certificate)
    return Error{ErrorCode::kInvalidArgument, "the authority's key or certificate is not PEM"};
  if (X509_check_private_key(authority.certificate.get(), authority.key.get()) == 1)
    return authority;
  ERR_clear_error();
  return Error{ErrorCode::kInvalidArgument,
               "the authority's key does not belong to its certificate"};
}

/// `names`: a subjectAltName to copy; null: that of `request`.
Result<Certificate> make_leaf(const Authority& authority, EVP_PKEY* key, const LeafRequest& request,
                              X509_EXTENSION* names, WallTime now) {
  for (const auto* all : {&request.uris, &request.hosts})
    for (const auto& name : *all)
      if (!is_safe_name(name)) return Error{ErrorCode::kInvalidArgument, "not a name: " + name};
  Certificate certificate(X509_new());
  if (!certificate) return crypto_error("make a certificate");
  X509* raw = certificate.get();
  X509* issuer = authority.certificate.get();
  const bool is_made = set_names_and_times(raw, request.common_name, now, request.lifetime) &&
                       X509_set_issuer_name(raw, X509_get_subject_name(issuer)) == 1 &&
                       X509_set_pubkey(raw, key) == 1 &&
                       add_extension(raw, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
                       add_extension(raw, issuer, NID_key_usage, "critical,digitalSignature") &&
                       add_extension(raw, issuer, NID_ext_key_usage,
                                     request.is_server ? "serverAuth" : "clientAuth") &&
                       add_extension(raw, issuer, NID_subject_key_identifier, "hash") &&
                       add_extension(raw, issuer, NID_authority_key_identifier, "keyid") &&
                       (names != nullptr ? X509_add_ext(raw, names, -1) == 1
                                         : add_extension(raw, issuer, NID_subject_alt_name,
                                                         alternative_names(request))) &&
                       X509_sign(raw, authority.key.get(), EVP_sha256()) > 0;
  if (!is_made) return crypto_error("issue a certificate");
  return certificate;
}

}  // namespace

Result<CertificatePair> issue(const CertificatePair& authority, const LeafRequest& request,
                              WallTime now) {
  ASSAY_ASSIGN(const Authority issuer, read_authority(authority));
  const Key key(EVP_EC_gen("P-256"));
  if (!key) return crypto_error("make a key");
  ASSAY_ASSIGN(const Certificate leaf, make_leaf(issuer, key.get(), request, nullptr, now));
  return to_pem(leaf.get(), key.get());
}

Result<IssuedLeaf> issue_for(const CertificatePair& authority, const std::string& public_key,
                             const LeafRequest& request, WallTime now) {
  ASSAY_ASSIGN(const Authority issuer, read_authority(authority));
  const auto* bytes = reinterpret_cast<const unsigned char*>(public_key.data());
  const Key key(d2i_PUBKEY(nullptr, &bytes, static_cast<long>(public_key.size())));
  if (!key) {
    ERR_clear_error();
    return Error{ErrorCode::kUntrusted, "not a public key"};
  }
  ASSAY_ASSIGN(const Certificate leaf, make_leaf(issuer, key.get(), request, nullptr, now));
  IssuedLeaf issued;
  issued.der = der_of(leaf.get());
  issued.serial = serial_of(leaf.get());
  ASSAY_ASSIGN(issued.not_before_ns, unix_ns(X509_get0_notBefore(leaf.get())));
  ASSAY_ASSIGN(issued.expires_ns, unix_ns(X509_get0_notAfter(leaf.get())));
  return issued;
}

Result<std::string> issue_again(const CertificatePair& authority, const CertificatePair& before,
                                std::chrono::seconds lifetime, WallTime now) {
  ASSAY_ASSIGN(const Authority issuer, read_authority(authority));
  const Certificate old = read_certificate(before.certificate);
  const Key key = read_key(before.key);
  if (!old || !key) return Error{ErrorCode::kInvalidArgument, "the leaf is not PEM"};
  const int place = X509_get_ext_by_NID(old.get(), NID_subject_alt_name, -1);
  if (place < 0) return Error{ErrorCode::kInvalidArgument, "the leaf has no names"};
  LeafRequest request;
  request.common_name = common_name_of(before.certificate);
  request.is_server = (X509_get_extended_key_usage(old.get()) & XKU_SSL_SERVER) != 0;
  request.lifetime = lifetime;
  ASSAY_ASSIGN(const Certificate leaf,
               make_leaf(issuer, key.get(), request, X509_get_ext(old.get(), place), now));
  ASSAY_ASSIGN(const CertificatePair pair, to_pem(leaf.get(), key.get()));
  return pair.certificate;
}

Result<RequestedKey> read_certificate_request(std::string_view der) {
  if (der.size() > kMaxRequestBytes)
    return Error{ErrorCode::kLimitExceeded, "the certificate request is larger than " +
                                                std::to_string(kMaxRequestBytes) + " bytes"};
  const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
  const auto* end = bytes + der.size();
  const Request request(d2i_X509_REQ(nullptr, &bytes, static_cast<long>(der.size())));
  ERR_clear_error();
  if (!request || bytes != end)
    return Error{ErrorCode::kCorrupt, "not a certificate request (PKCS #10, DER)"};
  EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
  char group[32] = {};
  const bool is_p256 = key != nullptr && EVP_PKEY_is_a(key, "EC") == 1 &&
                       EVP_PKEY_get_group_name(key, group, sizeof(group), nullptr) == 1 &&
                       std::string_view(group) == "prime256v1";
  const bool is_proven = is_p256 && X509_REQ_verify(request.get(), key) == 1;
  ERR_clear_error();
  if (!is_p256)
    return Error{ErrorCode::kUntrusted, "the certificate request is not for a key on P-256"};
  if (!is_proven)
    return Error{ErrorCode::kUntrusted, "the certificate request is not signed by its own key"};
  RequestedKey requested;
  requested.der = der_of(key);
  requested.digest = sha256(requested.der);
  return requested;
}

Result<ShownCertificate> read_shown_certificate(const std::string& pem) {
  const Certificate certificate = read_certificate(pem);
  if (!certificate || X509_get0_pubkey(certificate.get()) == nullptr) {
    ERR_clear_error();
    return Error{ErrorCode::kCorrupt, "not a certificate"};
  }
  ShownCertificate shown;
  shown.key = sha256(der_of(X509_get0_pubkey(certificate.get())));
  ASSAY_ASSIGN(shown.not_before_ns, unix_ns(X509_get0_notBefore(certificate.get())));
  ASSAY_ASSIGN(shown.expires_ns, unix_ns(X509_get0_notAfter(certificate.get())));
  return shown;
}

Result<std::vector<std::string>> certificates_of(const std::string& pem) {
  const Bio bio = read_only(pem);
  std::vector<std::string> all;
  for (;;) {
    const Certificate one(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
    ERR_clear_error();
    if (!one) break;
    all.push_back(der_of(one.get()));
    if (all.size() > kMaxAuthorities)
      return Error{ErrorCode::kInvalidArgument,
                   "more than " + std::to_string(kMaxAuthorities) + " certificates in one file"};
  }
  if (all.empty()) return Error{ErrorCode::kInvalidArgument, "no PEM certificate"};
  return all;
}

std::string to_pem(const std::vector<std::string>& certificates) {
  const Bio out(BIO_new(BIO_s_mem()));
  for (const std::string& der : certificates) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
    const Certificate one(d2i_X509(nullptr, &bytes, static_cast<long>(der.size())));
    if (one) PEM_write_bio_X509(out.get(), one.get());
  }
  return text_of(out.get());
}

std::optional<std::string> certificate_of_key(const std::string& bundle, const std::string& pem) {
  const Key key = read_key(pem);
  const Bio bio = read_only(bundle);
  std::optional<std::string> found;
  while (key && !found) {
    const Certificate one(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
    if (!one) break;
    if (X509_check_private_key(one.get(), key.get()) == 1) found = to_pem({der_of(one.get())});
  }
  ERR_clear_error();
  return found;
}

Result<bool> is_due(const std::string& certificate, WallTime now) {
  const Certificate read = read_certificate(certificate);
  if (!read) return Error{ErrorCode::kInvalidArgument, "not a PEM certificate"};
  ASSAY_ASSIGN(const std::int64_t begins, unix_ns(X509_get0_notBefore(read.get())));
  ASSAY_ASSIGN(const std::int64_t ends, unix_ns(X509_get0_notAfter(read.get())));
  return to_unix_ns(now) >= begins + (ends - begins) / 3 * 2;
}

std::string common_name_of(const std::string& certificate) {
  const Certificate read = read_certificate(certificate);
  char name[kMaxCommonName + 1] = {};
  if (read)
    (void)X509_NAME_get_text_by_NID(X509_get_subject_name(read.get()), NID_commonName, name,
                                    sizeof(name));
  return name;
}

bool is_issued_by(const std::string& certificate, const std::string& authority) {
  const Certificate leaf = read_certificate(certificate);
  const Certificate issuer = read_certificate(authority);
  if (!leaf || !issuer) return false;
  const bool is_signed = X509_verify(leaf.get(), X509_get0_pubkey(issuer.get())) == 1;
  ERR_clear_error();
  return is_signed;
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
