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
