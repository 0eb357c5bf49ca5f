// SPDX-License-Identifier: Apache-2.0
#include "cli/keys.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "common/base/file.h"
#include "common/base/guarded_file.h"

namespace assay::cli {
namespace {

constexpr std::size_t kMaxKeyBytes = 64 << 10;
constexpr std::size_t kMaxPassphraseFile = 4096;
constexpr std::size_t kLeastPassphrase = 8, kMostPassphrase = 1000;  // OpenSSL takes up to 1023

bool holds(const std::string& pem, const char* label) {
  return pem.find(std::string("-----BEGIN ") + label + "-----") != std::string::npos;
}

Error wrong_key(const std::string& path, const std::string& why) {
  return {ErrorCode::kInvalidArgument, path + ": " + why};
}

/// The first line of `path`.
Result<std::string> read_passphrase(const std::string& path) {
  auto text = read_guarded_file(path, kMaxPassphraseFile, Guard::kSecret);
  if (!text) return std::move(text.error()).with_context("passphrase file");
  text->erase(std::min(text->find_first_of("\r\n"), text->size()));
  if (text->empty()) return wrong_key(path, "its first line is empty; it must be the passphrase");
  return text;
}

Result<void> write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_error("write");
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  if (fsync(fd) != 0) return system_error("fsync");
  return ok();
}

}  // namespace

Result<std::string> new_passphrase(const std::string& passphrase_file, Terminal& terminal) {
  std::string passphrase;
  if (!passphrase_file.empty()) {
    ASSAY_ASSIGN(passphrase, read_passphrase(passphrase_file));
  } else {
    ASSAY_ASSIGN(passphrase, terminal.ask_secret("Passphrase of the new key: "));
    ASSAY_ASSIGN(const std::string again, terminal.ask_secret("The same again: "));
    if (again != passphrase)
      return Error{ErrorCode::kInvalidArgument, "the two passphrases differ; nothing was written"};
  }
  if (passphrase.size() < kLeastPassphrase || passphrase.size() > kMostPassphrase)
    return Error{ErrorCode::kInvalidArgument, "a passphrase has 8 to 1000 bytes"};
  return passphrase;
}

Result<catalog::SigningKey> load_signing_key(const std::string& path,
                                             const std::string& passphrase_file,
                                             Terminal& terminal) {
  if (path.empty())
    return Error{ErrorCode::kInvalidArgument,
                 "no signing key given (set --key FILE, the variable ASSAY_SIGNING_KEY, or "
                 "signing_key in the configuration; assay key new makes one)"};
  ASSAY_ASSIGN(std::string pem, read_file(path, kMaxKeyBytes));
  if (holds(pem, "PUBLIC KEY") && !holds(pem, "PRIVATE KEY"))
    return wrong_key(path, "this is a public key; signing needs the private one (the .key file)");
  if (pem.find("Proc-Type: 4,ENCRYPTED") != std::string::npos)
    return wrong_key(path,
                     "this key is encrypted in an old way, which is not supported; write it anew "
                     "with openssl pkcs8 -in FILE -topk8 -scrypt");
  if (holds(pem, "CERTIFICATE")) return wrong_key(path, "this is a certificate, not a signing key");
  ASSAY_ASSIGN(pem, read_guarded_file(path, kMaxKeyBytes, Guard::kSecret));
  std::string passphrase;
  if (holds(pem, "ENCRYPTED PRIVATE KEY")) {
    auto given = passphrase_file.empty() ? terminal.ask_secret("Passphrase of " + path + ": ")
                                         : read_passphrase(passphrase_file);
    if (!given) return std::move(given.error());
    passphrase = std::move(*given);
  }
  auto key = catalog::SigningKey::from_pem(pem, passphrase);
  if (!key) return std::move(key.error()).with_context(path);
  return key;
}

Result<catalog::PublicKey> load_public_key(const std::string& path) {
  ASSAY_ASSIGN(const std::string pem, read_file(path, kMaxKeyBytes));
  if (holds(pem, "ENCRYPTED PRIVATE KEY"))
    return wrong_key(path, "this key is encrypted; use the public one (the .pub file)");
  if (holds(pem, "PRIVATE KEY")) {
    auto key = catalog::SigningKey::from_pem(pem);
    if (!key) return std::move(key.error()).with_context(path);
    return key->public_key();
  }
  auto key = catalog::PublicKey::from_pem(pem);
  if (!key) return std::move(key.error()).with_context(path);
  return key;
}

Result<NewFile> NewFile::create(const std::string& path, unsigned mode) {
  UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!fd) return system_error("create " + path);
  return NewFile(path, std::move(fd));
}

NewFile::~NewFile() {
  if (!path_.empty()) unlink(path_.c_str());
}

Result<void> NewFile::write(std::string_view bytes) {
  auto written = write_all(fd_.get(), bytes);
  if (!written) return std::move(written.error()).with_context(path_);
  path_.clear();
  return ok();
}

Result<void> write_new_file(const std::string& path, std::string_view bytes, unsigned mode) {
  ASSAY_ASSIGN(NewFile file, NewFile::create(path, mode));
  return file.write(bytes);
}

}  // namespace assay::cli
