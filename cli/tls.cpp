// SPDX-License-Identifier: Apache-2.0
#include "cli/tls.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <memory>

#include "common/base/encoding.h"
#include "common/base/unique_fd.h"

namespace assay::cli {
namespace {

using Deadline = std::chrono::steady_clock::time_point;
template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using BioPtr = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using X509Ptr = std::unique_ptr<X509, Freer<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using ContextPtr = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, Freer<SSL_free>>;

BioPtr bio_of(const std::string& pem) {
  return BioPtr(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}
X509Ptr read_certificate(BIO* bio) {
  return X509Ptr(PEM_read_bio_X509(bio, nullptr, nullptr, nullptr));
}
/// Never asks for a passphrase: an encrypted key reads as no key.
KeyPtr read_key(const std::string& pem) {
  const auto refuse = [](char*, int, int, void*) { return -1; };
  const BioPtr bio = bio_of(pem);
  return KeyPtr(PEM_read_bio_PrivateKey(bio.get(), nullptr, refuse, nullptr));
}

Error invalid(const char* message) {
  return {ErrorCode::kInvalidArgument, message};
}

Result<ContextPtr> context_of(const TlsMaterial& material) {
  ContextPtr context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  const BioPtr roots = bio_of(material.ca);
  int count = 0;
  for (X509Ptr root = read_certificate(roots.get()); root; root = read_certificate(roots.get()))
    count += X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), root.get());
  if (count == 0) return invalid("the CA file holds no PEM certificate");
  if (material.cert.empty() && material.key.empty()) return context;
  const BioPtr chain = bio_of(material.cert);
  const X509Ptr leaf = read_certificate(chain.get());
  if (!leaf) return invalid("the client certificate file holds no PEM certificate");
  const KeyPtr key = read_key(material.key);
  if (!key)
    return invalid(
        "the client key file holds no PEM private key (an encrypted one cannot be used)");
  if (X509_check_private_key(leaf.get(), key.get()) != 1)
    return invalid("client key and client certificate do not belong together");
  SSL_CTX_use_certificate(context.get(), leaf.get());
  SSL_CTX_use_PrivateKey(context.get(), key.get());
  for (X509Ptr more = read_certificate(chain.get()); more; more = read_certificate(chain.get()))
    SSL_CTX_add1_chain_cert(context.get(), more.get());
  ERR_clear_error();
  return context;
}

bool wait_for(int fd, short events, Deadline deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - std::chrono::steady_clock::now());
  pollfd waiter{fd, events, 0};
  return left.count() > 0 && poll(&waiter, 1, static_cast<int>(left.count())) == 1;
}

Result<UniqueFd> connect_to(const HostPort& address, Deadline deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failed = getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &found);
  if (failed != 0)
    return Error{ErrorCode::kUnavailable, std::string("no such host: ") + gai_strerror(failed)};
  const std::unique_ptr<addrinfo, Freer<freeaddrinfo>> list(found);
  int last_errno = ETIMEDOUT;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    UniqueFd fd(socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) continue;
    if (connect(fd.get(), one->ai_addr, one->ai_addrlen) == 0) return fd;
    last_errno = errno;
    if (last_errno != EINPROGRESS) continue;
    last_errno = ETIMEDOUT;
    if (!wait_for(fd.get(), POLLOUT, deadline)) continue;
    socklen_t size = sizeof(last_errno);
    getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &last_errno, &size);
    if (last_errno == 0) return fd;
  }
  return Error{ErrorCode::kUnavailable, "cannot connect", last_errno};
}

/// Repeats an OpenSSL call on a non-blocking socket until it ends or time is up.
template <typename Call>
int drive(SSL* ssl, int fd, Deadline deadline, Call call) {
  for (;;) {
    ERR_clear_error();
    const int result = call();
    const int error = SSL_get_error(ssl, result);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) return error;
    if (!wait_for(fd, error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline)) return error;
  }
}

Error refusal_of(SSL* ssl, int error) {
  if (const long verdict = SSL_get_verify_result(ssl); verdict != X509_V_OK)
    return {ErrorCode::kUntrusted, std::string("the collector's certificate is refused: ") +
                                       X509_verify_cert_error_string(verdict)};
  const unsigned long reason = ERR_peek_last_error();
  // Alerts are reasons above SSL_AD_REASON_OFFSET: the other side said no.
  if (error == SSL_ERROR_SSL && ERR_GET_REASON(reason) > SSL_AD_REASON_OFFSET)
    return {ErrorCode::kUntrusted, std::string("the collector refuses our certificate: ") +
                                       ERR_reason_error_string(reason)};
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
    return {ErrorCode::kUnavailable, "it accepts the connection but does not answer"};
  return {ErrorCode::kUnavailable, "it does not speak TLS, or closes the connection at once"};
}

Error certificate_refusal(SSL_CTX* context) {
  const X509* own = SSL_CTX_get0_certificate(context);
  if (own == nullptr)
    return {ErrorCode::kUnavailable, "it does not speak HTTP/2, or closes the connection at once"};
  std::string why = "it is of another CA than the collector's, or not meant for clients";
  if (X509_cmp_current_time(X509_get0_notAfter(own)) < 0) why = "it has expired";
  return {ErrorCode::kUntrusted, "the collector refuses our certificate: " + why};
}

/// Ties the handshake to the name or address that was asked for, and to HTTP/2.
void expect_peer(SSL* ssl, const std::string& host) {
  static constexpr unsigned char kHttp2[] = {2, 'h', '2'};
  SSL_set_alpn_protos(ssl, kHttp2, sizeof(kHttp2));
  in6_addr parsed{};
  const bool is_address = inet_pton(AF_INET, host.c_str(), &parsed) == 1 ||
                          inet_pton(AF_INET6, host.c_str(), &parsed) == 1;
  if (is_address) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str());
  } else {
    SSL_set1_host(ssl, host.c_str());
    SSL_set_tlsext_host_name(ssl, host.c_str());
  }
}

}  // namespace

Result<void> check_material(const TlsMaterial& material) {
  ASSAY_TRY(context_of(material));
  return ok();
}

Result<HostPort> parse_address(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  HostPort parsed{address.substr(0, colon),
                  colon == std::string::npos ? "" : address.substr(colon + 1)};
  if (parsed.host.size() > 2 && parsed.host.front() == '[' && parsed.host.back() == ']')
    parsed.host = parsed.host.substr(1, parsed.host.size() - 2);
  else if (parsed.host.find(':') != std::string::npos)
    parsed.port.clear();  // a bare IPv6 address: where it ends cannot be told
  const bool is_number = !parsed.port.empty() && parsed.port.size() <= 5 &&
                         parsed.port.find_first_not_of("0123456789") == std::string::npos;
  if (parsed.host.empty() || parsed.host.find('/') != std::string::npos || !is_number ||
      std::stoi(parsed.port) < 1 || std::stoi(parsed.port) > 65535)
    return Error{ErrorCode::kInvalidArgument, "the collector's address must be HOST:PORT, not \"" +
                                                  escape_untrusted(address, 128) + "\""};
  return parsed;
}

Result<void> diagnose_tls(const std::string& address, const TlsMaterial& material,
                          std::chrono::milliseconds timeout) {
  const Deadline deadline = std::chrono::steady_clock::now() + timeout;
  ASSAY_ASSIGN(const HostPort peer, parse_address(address));
  ASSAY_ASSIGN(const ContextPtr context, context_of(material));
  ASSAY_ASSIGN(const UniqueFd fd, connect_to(peer, deadline));
  const SslPtr ssl(SSL_new(context.get()));
  expect_peer(ssl.get(), peer.host);
  SSL_set_fd(ssl.get(), fd.get());
  const int shaken = drive(ssl.get(), fd.get(), deadline, [&] { return SSL_connect(ssl.get()); });
  if (shaken != SSL_ERROR_NONE) return refusal_of(ssl.get(), shaken);
  // In TLS 1.3 the server's answer to our certificate comes after the handshake; HTTP/2 speaks
  // first.
  char byte = 0;
  const int heard =
      drive(ssl.get(), fd.get(), deadline, [&] { return SSL_read(ssl.get(), &byte, 1); });
  if (heard == SSL_ERROR_NONE) return ok();
  Error refusal = refusal_of(ssl.get(), heard);
  // gRPC's server hangs up after a certificate it does not take, and keeps its alert to itself.
  const bool is_closed = heard != SSL_ERROR_WANT_READ && refusal.code == ErrorCode::kUnavailable;
  if (is_closed) return certificate_refusal(context.get());
  return refusal;
}

}  // namespace assay::cli
