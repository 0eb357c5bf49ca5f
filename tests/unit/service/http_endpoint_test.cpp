// SPDX-License-Identifier: Apache-2.0
#include "common/service/http_endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <catch2/catch.hpp>

#include "common/base/unique_fd.h"

namespace assay::service {
namespace {

UniqueFd connect_to(std::uint16_t port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit{10, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  return fd;
}

std::string read_all(int fd) {
  std::string all;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::recv(fd, buffer, sizeof(buffer), 0)) > 0;)
    all.append(buffer, static_cast<std::size_t>(got));
  return all;
}

std::string ask(std::uint16_t port, const std::string& request) {
  const UniqueFd fd = connect_to(port);
  (void)::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL);
  return read_all(fd.get());
}

std::string get(std::uint16_t port, const std::string& path) {
  return ask(port, "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
}

TEST_CASE("health is answered while the process lives and readiness gives its reasons",
          "[service][unit]") {
  std::atomic<bool> is_ready = false;
  HttpEndpointOptions options;
  options.address = "127.0.0.1:0";
  options.not_ready = [&]() -> std::vector<std::string> {
    if (is_ready) return {};
    return {"the store is not open"};
  };
  options.metrics = [] { return std::string("assay_up 1\n"); };
  auto endpoint = HttpEndpoint::start(options);
  REQUIRE(endpoint);
  const std::uint16_t port = (*endpoint)->port();

  CHECK(get(port, "/healthz").rfind("HTTP/1.1 200", 0) == 0);
  const std::string waiting = get(port, "/readyz");
  CHECK(waiting.rfind("HTTP/1.1 503", 0) == 0);
  CHECK(waiting.find("not ready: the store is not open") != std::string::npos);
  is_ready = true;
  CHECK(get(port, "/readyz").rfind("HTTP/1.1 200", 0) == 0);
  CHECK(get(port, "/metrics").find("assay_up 1") != std::string::npos);
  CHECK(get(port, "/other").rfind("HTTP/1.1 404", 0) == 0);
}

TEST_CASE("requests beyond the limits are refused", "[service][unit]") {
  HttpEndpointOptions options;
  options.address = "127.0.0.1:0";
  auto endpoint = HttpEndpoint::start(options);
  REQUIRE(endpoint);
  const std::uint16_t port = (*endpoint)->port();
  CHECK(ask(port, "GET / HTTP/1.1\r\nX: " + std::string(9000, 'a') + "\r\n\r\n")
            .rfind("HTTP/1.1 431", 0) == 0);
  CHECK(ask(port, "POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")
            .rfind("HTTP/1.1 413", 0) == 0);
  CHECK(ask(port, "DELETE / HTTP/1.1\r\nConnection: close\r\n\r\n").rfind("HTTP/1.1 405", 0) == 0);
  CHECK(ask(port, "nonsense\r\n\r\n").rfind("HTTP/1.1 400", 0) == 0);
}

TEST_CASE("an idle connection is closed after the timeout", "[service][unit]") {
  HttpEndpointOptions options;
  options.address = "127.0.0.1:0";
  options.idle_timeout = std::chrono::milliseconds(20);
  auto endpoint = HttpEndpoint::start(options);
  REQUIRE(endpoint);
  const UniqueFd fd = connect_to((*endpoint)->port());
  char byte = 0;
  CHECK(::recv(fd.get(), &byte, 1, 0) <= 0);
}

std::unique_ptr<HttpEndpoint> endpoint_of(std::size_t connections, std::chrono::milliseconds idle) {
  HttpEndpointOptions options;
  options.address = "127.0.0.1:0";
  options.max_connections = connections;
  options.idle_timeout = idle;
  auto endpoint = HttpEndpoint::start(options);
  REQUIRE(endpoint);
  return std::move(*endpoint);
}

TEST_CASE("peers that say nothing, however many, keep no probe out", "[service][unit]") {
  const auto endpoint = endpoint_of(8, std::chrono::minutes(5));
  std::vector<UniqueFd> silent;
  for (int i = 0; i < 300; ++i) {
    silent.push_back(connect_to(endpoint->port()));
    (void)::send(silent.back().get(), "GET /healthz", 12, MSG_NOSIGNAL);
    if (i % 50 == 0) CHECK(get(endpoint->port(), "/healthz").rfind("HTTP/1.1 200", 0) == 0);
  }
  CHECK(get(endpoint->port(), "/healthz").rfind("HTTP/1.1 200", 0) == 0);
  CHECK(read_all(silent.front().get()).empty());  // closed
}

TEST_CASE("a request that trickles is closed after the timeout", "[service][unit]") {
  const auto endpoint = endpoint_of(8, std::chrono::milliseconds(100));
  const UniqueFd fd = connect_to(endpoint->port());
  const timeval pause{0, 5000};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &pause, sizeof(pause));
  const std::string line = "GET / HTTP/1.1\r\nX: ";
  (void)::send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  bool is_closed = false;
  while (!is_closed && std::chrono::steady_clock::now() < until) {
    char byte = 0;
    const bool is_sent = ::send(fd.get(), "x", 1, MSG_NOSIGNAL) == 1;
    is_closed = !is_sent || ::recv(fd.get(), &byte, 1, 0) == 0;
  }
  CHECK(is_closed);
}

TEST_CASE("what could be read in two ways, or in none, is refused", "[service][unit]") {
  const auto endpoint = endpoint_of(8, std::chrono::seconds(10));
  const std::string get_line = "GET /healthz HTTP/1.1\r\nHost: x\r\n";
  const std::pair<const char*, std::string> rows[] = {
      {"two lengths", get_line + "Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello"},
      {"a length and chunks",
       get_line + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"a negative length", get_line + "Content-Length: -1\r\n\r\n"},
      {"a length beyond 64 bits", get_line + "Content-Length: 99999999999999999999\r\n\r\n"},
      {"a folded header", get_line + "X: a\r\n b\r\n\r\n\x01"},
      {"a space before the colon", get_line + "Content-Length : 0\r\n\r\n"},
      {"a bare line feed", "GET /healthz HTTP/1.1\nHost: x\n\n"},
      {"a NUL in a name", get_line + std::string("X\0: a\r\n\r\n", 10)},
      {"a control character in the target", "GET /\x01 HTTP/1.1\r\n\r\n"},
      {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
      {"TLS", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 15)},
      {"bytes", std::string(20'000, '\xff')}};
  for (const auto& [name, request] : rows) {
    INFO(name);
    const UniqueFd fd = connect_to(endpoint->port());
    (void)::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL);
    (void)::shutdown(fd.get(), SHUT_WR);
    const std::string answer = read_all(fd.get());
    CAPTURE(answer);
    // One answer at most, and no body is ever taken for a request.
    CHECK(answer.find("HTTP/1.1 2", 1) == std::string::npos);
    if (std::string_view(name) != "a folded header") CHECK(answer.rfind("HTTP/1.1 2", 0) != 0);
  }
  CHECK(get(endpoint->port(), "/healthz").rfind("HTTP/1.1 200", 0) == 0);
}

TEST_CASE("a port in use is one clear line", "[service][unit]") {
  HttpEndpointOptions options;
  options.address = "127.0.0.1:0";
  auto first = HttpEndpoint::start(options);
  REQUIRE(first);
  options.address = "127.0.0.1:" + std::to_string((*first)->port());
  auto second = HttpEndpoint::start(options);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == ErrorCode::kUnavailable);
  CHECK(second.error().message.find("the port is in use") != std::string::npos);
  CHECK(second.error().message.find(options.address) != std::string::npos);
}

TEST_CASE("an address that is not HOST:PORT is refused", "[service][unit]") {
  for (const char* text : {"", "host", ":80", "host:", "host:65536", "host:x", "::1:80", "[::1:80"})
    CHECK_FALSE(parse_host_port(text));
  const auto v6 = parse_host_port("[::1]:7480");
  REQUIRE(v6);
  CHECK(v6->host == "::1");
  CHECK(v6->port == 7480);
}

}  // namespace
}  // namespace assay::service
