// SPDX-License-Identifier: Apache-2.0
// Keys and DSSE envelopes: how a person's word reaches every node unchanged.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace assay::catalog {

enum class KeyType { kEcdsaP256, kEd25519 };

/// A public key. Thread-safe.
class PublicKey {
 public:
  /// PEM "PUBLIC KEY" (PKIX), ECDSA P-256 or Ed25519. Errors: kInvalidArgument, kUnsupported.
  static Result<PublicKey> from_pem(std::string_view pem);
  /// Lower-case hex of SHA-256 over the DER SubjectPublicKeyInfo.
  const std::string& key_id() const;
  const std::string& pem() const;
  /// ECDSA: ASN.1 DER signature over SHA-256 (as Sigstore writes it); Ed25519: RFC 8032.
  bool verify(std::string_view message, std::string_view signature) const;

 private:
  struct Key;
  std::shared_ptr<const Key> key_;  // immutable, shared by copies
};

/// A private key; only ever on the client. Thread-safe.
class SigningKey {
 public:
  static Result<SigningKey> generate(KeyType type);
  /// PEM "PRIVATE KEY", or "ENCRYPTED PRIVATE KEY" with its passphrase (PKCS #8).
  /// Errors: kInvalidArgument (no such block, a wrong passphrase), kUnsupported.
  static Result<SigningKey> from_pem(std::string_view pem, const std::string& passphrase = "");
  /// PKCS #8; with a passphrase encrypted: PBES2 with scrypt (N 16384, r 8, p 1) and AES-256-CBC.
  std::string private_pem(const std::string& passphrase = "") const;
  const PublicKey& public_key() const;
  Result<std::string> sign(std::string_view message) const;

 private:
  struct Key;
  std::shared_ptr<const Key> key_;  // immutable, shared by copies
};

inline constexpr std::string_view kInTotoPayloadType = "application/vnd.in-toto+json";

/// A DSSE envelope (secure-systems-lab/dsse v1.0.2, envelope.md).
struct Envelope {
  std::string payload;  ///< decoded bytes
  std::string payload_type;
  struct Signature {
    std::string key_id;  ///< a hint, never a proof
    std::string signature;
  };
  std::vector<Signature> signatures;

  std::string to_json() const;
  /// Errors: kCorrupt (JSON, base64, missing members), kLimitExceeded (> 16 MiB).
  static Result<Envelope> from_json(std::string_view json);
};

/// Signs PAE(payload_type, payload) with every key.
Result<Envelope> sign_envelope(std::string payload, std::string_view payload_type,
                               const std::vector<SigningKey>& keys);
/// The envelope (JSON) with a signature by `key` more.
/// Errors: kAlreadyExists (it has one by this key), kCorrupt, kLimitExceeded.
Result<std::string> add_signature(std::string_view envelope, const SigningKey& key);
/// Ids of the distinct keys among `trusted` with a good signature on `envelope`; bad ones are
/// skipped.
std::vector<std::string> verified_by(const Envelope& envelope,
                                     const std::vector<PublicKey>& trusted);

}  // namespace assay::catalog
