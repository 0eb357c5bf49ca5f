// SPDX-License-Identifier: Apache-2.0
// Keys, on OpenSSL's EVP interface. Envelopes are in envelope.cpp.
#include "common/catalog/signing.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>

#include "common/base/sha256.h"

namespace assay::catalog {
namespace {

// An ECDSA P-256 or Ed25519 key has under 300 bytes; comments around it are let pass.
constexpr std::size_t kMaxPemBytes = 16 << 10;
constexpr int kSaltBytes = 16;
constexpr std::uint64_t kScryptN = 16384, kScryptR = 8, kScryptP = 1;

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using KeyHandle = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using BioHandle = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using DigestHandle = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

/// Without it OpenSSL would ask for a passphrase on the terminal.
int refuse_passphrase(char*, int, int, void*) {
  return -1;
}

/// `passphrase`: a std::string; an empty one is none.
int give_passphrase(char* buffer, int size, int, void* passphrase) {
  const auto& text = *static_cast<const std::string*>(passphrase);
  if (text.empty() || text.size() > static_cast<std::size_t>(size)) return -1;
  text.copy(buffer, text.size());
  return static_cast<int>(text.size());
}

BioHandle reader_of(std::string_view pem) {
  BioHandle bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  ASSAY_ASSERT(bio);
  return bio;
}

std::string text_of(const BioHandle& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

/// Refuses what is neither P-256 nor Ed25519, and settles on one encoding of the point: the key's
/// id must not depend on how it was written, or one key could sign as two.
Result<void> normalise(EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "ED25519") == 1) return ok();
  char group[64] = "";
  const bool is_p256 = EVP_PKEY_is_a(key, "EC") == 1 &&
                       EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group,
                                                      sizeof(group), nullptr) == 1 &&
                       std::string_view(group) == SN_X9_62_prime256v1;
  ERR_clear_error();
  if (!is_p256) return Error{ErrorCode::kUnsupported, "the key is neither ECDSA P-256 nor Ed25519"};
  EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                 OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_UNCOMPRESSED);
  ERR_clear_error();
  return ok();
}

/// ECDSA signs a SHA-256; Ed25519 hashes by itself.
const EVP_MD* hash_for(EVP_PKEY* key) {
  return EVP_PKEY_is_a(key, "EC") == 1 ? EVP_sha256() : nullptr;
}

Result<KeyHandle> read_public(std::string_view pem) {
  if (pem.size() > kMaxPemBytes)
    return Error{ErrorCode::kInvalidArgument, "the public key is longer than 16 KiB"};
  const BioHandle bio = reader_of(pem);
  KeyHandle key(PEM_read_bio_PUBKEY(bio.get(), nullptr, refuse_passphrase, nullptr));
  ERR_clear_error();
  if (!key) return Error{ErrorCode::kInvalidArgument, "no readable PEM block \"PUBLIC KEY\" in it"};
  ASSAY_TRY(normalise(key.get()));
  return key;
}

std::string public_pem(EVP_PKEY* key) {
  const BioHandle bio(BIO_new(BIO_s_mem()));
  ASSAY_ASSERT(bio && PEM_write_bio_PUBKEY(bio.get(), key) == 1);
  return text_of(bio);
}

/// As "openssl pkcs8 -topk8 -scrypt" does: no key of ours is so small that PBKDF2's few default
/// rounds would do.
void write_encrypted(BIO* bio, EVP_PKEY* key, const std::string& passphrase) {
  const std::unique_ptr<PKCS8_PRIV_KEY_INFO, Deleter<PKCS8_PRIV_KEY_INFO_free>> plain(
      EVP_PKEY2PKCS8(key));
  X509_ALGOR* scheme = PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), nullptr, kSaltBytes, nullptr,
                                             kScryptN, kScryptR, kScryptP);
  ASSAY_ASSERT(plain && scheme != nullptr);
  const std::unique_ptr<X509_SIG, Deleter<X509_SIG_free>> encrypted(
      PKCS8_set0_pbe(passphrase.data(), static_cast<int>(passphrase.size()), plain.get(), scheme));
  ASSAY_ASSERT(encrypted && PEM_write_bio_PKCS8(bio, encrypted.get()) == 1);
}

std::string key_id_of(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  ASSAY_ASSERT(size > 0);
  const std::string_view view(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  std::string id = sha256(view).hex();
  OPENSSL_free(der);
  return id;
}

}  // namespace

struct PublicKey::Key {
  KeyHandle handle;
  std::string id;
  std::string pem;
};

struct SigningKey::Key {
  KeyHandle handle;
  PublicKey public_key;
};

Result<PublicKey> PublicKey::from_pem(std::string_view pem) {
  ASSAY_ASSIGN(KeyHandle handle, read_public(pem));
  auto key = std::make_shared<Key>();
  key->id = key_id_of(handle.get());
  key->pem = public_pem(handle.get());
  key->handle = std::move(handle);
  PublicKey made;
  made.key_ = std::move(key);
  return made;
}

const std::string& PublicKey::key_id() const {
  return key_->id;
}

const std::string& PublicKey::pem() const {
  return key_->pem;
}

bool PublicKey::verify(std::string_view message, std::string_view signature) const {
  const DigestHandle context(EVP_MD_CTX_new());
  EVP_PKEY* key = key_->handle.get();
  ASSAY_ASSERT(context);
  const bool is_good =
      EVP_DigestVerifyInit(context.get(), nullptr, hash_for(key), nullptr, key) == 1 &&
      EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), bytes_of(message),
                       message.size()) == 1;
  ERR_clear_error();
  return is_good;
}

Result<SigningKey> SigningKey::generate(KeyType type) {
  const KeyHandle handle(type == KeyType::kEd25519 ? EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")
                                                   : EVP_EC_gen("P-256"));
  ERR_clear_error();
  if (!handle) return Error{ErrorCode::kInternal, "cannot generate a key"};
  const BioHandle bio(BIO_new(BIO_s_mem()));
  ASSAY_ASSERT(bio && PEM_write_bio_PKCS8PrivateKey(bio.get(), handle.get(), nullptr, nullptr, 0,
                                                    nullptr, nullptr) == 1);
  return from_pem(text_of(bio));
}

Result<SigningKey> SigningKey::from_pem(std::string_view pem, const std::string& passphrase) {
  if (pem.size() > kMaxPemBytes)
    return Error{ErrorCode::kInvalidArgument, "the private key is longer than 16 KiB"};
  const BioHandle bio = reader_of(pem);
  std::string secret = passphrase;  // OpenSSL's callbacks take no const
  KeyHandle handle(PEM_read_bio_PrivateKey(bio.get(), nullptr, give_passphrase, &secret));
  OPENSSL_cleanse(secret.data(), secret.size());
  ERR_clear_error();
  if (!handle)
    return Error{ErrorCode::kInvalidArgument,
                 passphrase.empty()
                     ? "no readable PEM block \"PRIVATE KEY\" (PKCS #8, not encrypted) in it"
                     : "the passphrase is wrong, or the PEM block is damaged"};
  ASSAY_TRY(normalise(handle.get()));
  ASSAY_ASSIGN(PublicKey public_key, PublicKey::from_pem(public_pem(handle.get())));
  SigningKey made;
  made.key_ = std::make_shared<Key>(Key{std::move(handle), std::move(public_key)});
  return made;
}

std::string SigningKey::private_pem(const std::string& passphrase) const {
  const BioHandle bio(BIO_new(BIO_s_mem()));
  ASSAY_ASSERT(bio);
  if (passphrase.empty())
    ASSAY_ASSERT(PEM_write_bio_PKCS8PrivateKey(bio.get(), key_->handle.get(), nullptr, nullptr, 0,
                                               nullptr, nullptr) == 1);
  else
    write_encrypted(bio.get(), key_->handle.get(), passphrase);
  return text_of(bio);
}

const PublicKey& SigningKey::public_key() const {
  return key_->public_key;
}

Result<std::string> SigningKey::sign(std::string_view message) const {
  const DigestHandle context(EVP_MD_CTX_new());
  EVP_PKEY* key = key_->handle.get();
  ASSAY_ASSERT(context);
  std::size_t size = 0;
  std::string signature;
  bool is_signed =
      EVP_DigestSignInit(context.get(), nullptr, hash_for(key), nullptr, key) == 1 &&
      EVP_DigestSign(context.get(), nullptr, &size, bytes_of(message), message.size()) == 1;
  if (is_signed) {
    signature.resize(size);
    is_signed = EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()),
                               &size, bytes_of(message), message.size()) == 1;
  }
  ERR_clear_error();
  if (!is_signed) return Error{ErrorCode::kInternal, "cannot sign with this key"};
  signature.resize(size);
  return signature;
}

}  // namespace assay::catalog
