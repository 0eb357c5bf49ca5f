// SPDX-License-Identifier: Apache-2.0
// gcc's ThreadSanitizer does not know fences, and one thread runs all handlers anyway.
#if defined(__SANITIZE_THREAD__)
#define BOOST_ASIO_DISABLE_FENCED_BLOCK
#endif

#include "common/service/http_endpoint.h"

#include <pthread.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <list>
#include <thread>

namespace assay::service {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;

constexpr std::size_t kMaxHeaderBytes = 8UL * 1024;
using Response = http::response<http::string_body>;

Response text_response(http::status status, std::string_view type, std::string body) {
  Response response(status, 11);
  response.set(http::field::content_type, beast::string_view(type.data(), type.size()));
  response.set(http::field::cache_control, "no-store");
  response.set("X-Content-Type-Options", "nosniff");
  response.body() = std::move(body);
  return response;
}

Response plain(http::status status, std::string body) {
  return text_response(status, "text/plain; charset=utf-8", std::move(body));
}

Response readiness(const HttpEndpointOptions& options) {
  const auto reasons = options.not_ready ? options.not_ready() : std::vector<std::string>{};
  if (reasons.empty()) return plain(http::status::ok, "ready\n");
  std::string body;
  for (const auto& reason : reasons)
    body += "not ready: " + reason + "\n";
  return plain(http::status::service_unavailable, std::move(body));
}

Response answer(http::verb method, std::string_view target, const HttpEndpointOptions& options) {
  if (method != http::verb::get && method != http::verb::head) {
    Response response = plain(http::status::method_not_allowed, "only GET and HEAD\n");
    response.set(http::field::allow, "GET, HEAD");
    return response;
  }
  const std::string_view path = target.substr(0, target.find('?'));
  if (path == "/healthz") return plain(http::status::ok, "ok\n");
  if (path == "/readyz") return readiness(options);
  if (path == "/metrics")
    return text_response(http::status::ok, "text/plain; version=0.0.4; charset=utf-8",
                         options.metrics ? options.metrics() : std::string());
  return plain(http::status::not_found, "here are /healthz, /readyz and /metrics\n");
}

class Session;
using Sessions = std::list<Session*>;  // the oldest first

/// One connection. Lives as long as an operation of its own is pending, hence shared_ptr.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, const HttpEndpointOptions& options, Sessions& sessions)
      : stream_(std::move(socket)),
        options_(options),
        sessions_(sessions),
        place_(sessions.insert(sessions.end(), this)) {}
  ~Session() { sessions_.erase(place_); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// Whether its peer still owes a request.
  bool is_waiting() const { return is_waiting_; }
  void close() {
    is_waiting_ = false;
    stream_.close();  // its operation ends with an error, and the session with it
  }

  void read() {
    is_waiting_ = true;
    parser_.emplace();
    parser_->header_limit(kMaxHeaderBytes);
    parser_->body_limit(std::uint64_t{0});
    stream_.expires_after(options_.idle_timeout);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](beast::error_code error, std::size_t) {
                       self->on_read(error);
                     });
  }

 private:
  void on_read(beast::error_code error) {
    is_waiting_ = false;
    if (error == http::error::header_limit)
      return write(plain(http::status::request_header_fields_too_large, "header too large\n"),
                   true);
    if (error == http::error::body_limit)
      return write(plain(http::status::payload_too_large, "no request bodies\n"), true);
    if (error.category() == make_error_code(http::error::bad_target).category() &&
        error != http::error::end_of_stream && error != http::error::partial_message)
      return write(plain(http::status::bad_request, "bad request\n"), true);
    if (error) return;  // closed, reset or idle for too long
    const auto& request = parser_->get();
    const auto target = request.target();
    Response response =
        answer(request.method(), std::string_view(target.data(), target.size()), options_);
    is_head_ = request.method() == http::verb::head;
    write(std::move(response), !request.keep_alive());
  }

  void write(Response response, bool close) {
    response.keep_alive(!close);
    response.prepare_payload();
    if (is_head_) response.body().clear();
    response_ = std::move(response);
    serializer_.emplace(*response_);
    stream_.expires_after(options_.idle_timeout);
    auto done = [self = shared_from_this(), close](beast::error_code error, std::size_t) {
      if (error) return;
      if (!close) return self->read();
      beast::error_code ignored;
      self->stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    };
    if (is_head_)
      http::async_write_header(stream_, *serializer_, std::move(done));
    else
      http::async_write(stream_, *serializer_, std::move(done));
  }

  beast::tcp_stream stream_;
  const HttpEndpointOptions& options_;
  Sessions& sessions_;
  const Sessions::iterator place_;
  beast::flat_buffer buffer_{2 * kMaxHeaderBytes};
  std::optional<http::request_parser<http::empty_body>> parser_;
  std::optional<Response> response_;
  std::optional<http::response_serializer<http::string_body>> serializer_;
  bool is_head_ = false;
  bool is_waiting_ = false;
};

Error bind_error(const std::string& address, const beast::error_code& error) {
  const bool in_use = error == asio::error::address_in_use;
  return Error{ErrorCode::kUnavailable,
               "cannot listen on " + address + ": " +
                   (in_use ? "the port is in use: stop what uses it or configure another address"
                           : error.message())};
}

}  // namespace

Result<HostPort> parse_host_port(const std::string& text) {
  const auto bad = [&] {
    return Error{ErrorCode::kInvalidArgument, "\"" + text + "\" is not HOST:PORT"};
  };
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return bad();
  HostPort result;
  result.host = text.substr(0, colon);
  if (result.host.front() == '[') {
    if (result.host.back() != ']' || result.host.size() < 3) return bad();
    result.host = result.host.substr(1, result.host.size() - 2);
  } else if (result.host.find(':') != std::string::npos) {
    return bad();
  }
  const char* begin = text.data() + colon + 1;
  const char* end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(begin, end, result.port);
  if (begin == end || stop != end || code != std::errc{}) return bad();
  return result;
}

struct HttpEndpoint::Server {
  HttpEndpointOptions options;
  Sessions sessions;  // outlives context, whose queued operations own them
  asio::io_context context{1};
  tcp::acceptor acceptor{context};
  asio::steady_timer pause{context};
  std::jthread thread;

  void accept() {
    acceptor.async_accept([this](beast::error_code error, tcp::socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (error) return accept_later();
      if (has_room()) std::make_shared<Session>(std::move(socket), options, sessions)->read();
      accept();
    });
  }

  /// The one that has owed a request for longest makes room, so that peers who say nothing keep no
  /// probe out.
  bool has_room() {
    if (sessions.size() < options.max_connections) return true;
    const auto idle = std::ranges::find_if(sessions, &Session::is_waiting);
    if (idle == sessions.end() || sessions.size() >= 2 * options.max_connections) return false;
    (*idle)->close();
    return true;
  }

  /// Out of descriptors or memory: trying again at once would spin.
  void accept_later() {
    pause.expires_after(std::chrono::milliseconds(100));
    pause.async_wait([this](beast::error_code error) {
      if (!error) accept();
    });
  }

  Result<void> listen() {
    ASSAY_ASSIGN(const HostPort where, parse_host_port(options.address));
    beast::error_code error;
    tcp::resolver resolver(context);
    const auto found =
        resolver.resolve(where.host, std::to_string(where.port), tcp::resolver::passive, error);
    if (error) return bind_error(options.address, error);
    const tcp::endpoint endpoint = found.begin()->endpoint();
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) return bind_error(options.address, error);
    return ok();
  }
};

HttpEndpoint::HttpEndpoint(std::unique_ptr<Server> server) : server_(std::move(server)) {}

Result<std::unique_ptr<HttpEndpoint>> HttpEndpoint::start(HttpEndpointOptions options) {
  auto server = std::make_unique<Server>();
  server->options = std::move(options);
  ASSAY_TRY(server->listen());
  server->accept();
  server->thread = std::jthread([raw = server.get()](const std::stop_token& stop) {
    pthread_setname_np(pthread_self(), "http");
    while (!stop.stop_requested()) {
      try {
        raw->context.run();
        break;  // stopped
      } catch (const std::exception&) {
        // A handler threw (out of memory): that connection is gone, the server goes on.
      }
    }
  });
  return std::unique_ptr<HttpEndpoint>(new HttpEndpoint(std::move(server)));
}

HttpEndpoint::~HttpEndpoint() {
  server_->thread.request_stop();
  server_->context.stop();
  server_->thread.join();
}

std::uint16_t HttpEndpoint::port() const {
  boost::system::error_code ignored;
  return server_->acceptor.local_endpoint(ignored).port();
}

}  // namespace assay::service
