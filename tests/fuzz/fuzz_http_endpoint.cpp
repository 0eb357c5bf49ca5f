// SPDX-License-Identifier: Apache-2.0
// What anybody may send to the health and metrics port, through a real socket: it answers or
// closes, and answers the next one.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "common/base/unique_fd.h"
#include "common/service/http_endpoint.h"

namespace {

using assay::UniqueFd;
using assay::service::HttpEndpoint;

HttpEndpoint& endpoint() {
  static const std::unique_ptr<HttpEndpoint> started = [] {
    assay::service::HttpEndpointOptions options;
    options.address = "127.0.0.1:0";
    options.metrics = [] { return std::string("assay_up 1\n"); };
    auto made = HttpEndpoint::start(options);
    if (!made) std::abort();
    return std::move(*made);
  }();
  return *started;
}

std::string ask(const char* request, std::size_t size) {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit{20, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  const linger reset{1, 0};  // or every port is taken after a minute
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(endpoint().port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0)
    std::abort();
  (void)::send(fd.get(), request, size, MSG_NOSIGNAL);
  ::shutdown(fd.get(), SHUT_WR);
  std::string answer;
  char buffer[4096];
  ssize_t got = 0;
  while ((got = ::recv(fd.get(), buffer, sizeof(buffer), 0)) > 0)
    answer.append(buffer, static_cast<std::size_t>(got));
  if (got < 0 && errno == EAGAIN) std::abort();  // neither answered nor closed
  return answer;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string answer = ask(reinterpret_cast<const char*>(data), size);
  if (!answer.empty() && !answer.starts_with("HTTP/1.")) std::abort();
  static unsigned count = 0;
  const std::string good = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  if (++count % 64 == 0 && !ask(good.data(), good.size()).starts_with("HTTP/1.1 200")) std::abort();
  return 0;
}
