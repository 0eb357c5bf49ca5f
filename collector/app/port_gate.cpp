// SPDX-License-Identifier: Apache-2.0
#include "collector/app/port_gate.h"

#include <fcntl.h>
#include <linux/tcp.h>  // glibc's tcp_info is older
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cerrno>
#include <span>
#include <thread>
#include <unordered_map>

#include "collector/app/stream_census.h"
#include "common/base/mutex.h"
#include "common/service/http_endpoint.h"

namespace assay::collector {
namespace {

using Time = ConnectionTable::Time;

constexpr int kBacklog = 4096;
constexpr int kMaxAcceptedAtOnce = 64;          // then ends and overdue ones have their turn
constexpr int kReceiveBufferBytes = 128 << 10;  // in the kernel, before gRPC asks for it
constexpr int kUserTimeoutMs = 20'000;          // sent and not acknowledged by the peer's kernel
constexpr std::uint64_t kDescriptorsOfOthers = 256;      // store, HTTP, gRPC's own
constexpr std::chrono::milliseconds kLook{100};          // at memory, and those without an identity
constexpr std::chrono::microseconds kLookAtAllEach{50};  // of each connection: 2 % of a core
constexpr std::chrono::milliseconds kPauseWhenStarved{100};

// What an epoll event is about: listeners count from kListeners, connections from kConnections.
constexpr std::uint64_t kWake = 0;
constexpr std::uint64_t kListeners = 1;
constexpr std::uint64_t kConnections = 1024;

Error listen_error(const std::string& address, const std::string& why) {
  return Error{ErrorCode::kUnavailable, "cannot listen on " + address + ": " + why};
}

/// Each connection has two descriptors: gRPC's and ours, by which its end is seen.
std::uint32_t room_for_connections(std::uint32_t wanted) {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return wanted;
  if (files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &files) != 0) ::getrlimit(RLIMIT_NOFILE, &files);
  }
  if (files.rlim_cur <= 2 * kDescriptorsOfOthers) return std::min<std::uint32_t>(wanted, 128);
  const std::uint64_t room = (files.rlim_cur - kDescriptorsOfOthers) / 2;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(wanted, room));
}

std::uint64_t received_by(int fd) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
  return info.tcpi_bytes_received;
}

void set_port(sockaddr* address, std::uint16_t port) {
  if (address->sa_family == AF_INET)
    reinterpret_cast<sockaddr_in*>(address)->sin_port = htons(port);
  if (address->sa_family == AF_INET6)
    reinterpret_cast<sockaddr_in6*>(address)->sin6_port = htons(port);
}

/// Errors: the errno of what failed.
Result<UniqueFd> listen_on(const addrinfo& where) {
  UniqueFd fd(::socket(where.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return system_error("socket");
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));  // accepted ones inherit it
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &kReceiveBufferBytes, sizeof(kReceiveBufferBytes));
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, &kUserTimeoutMs, sizeof(kUserTimeoutMs));
  if (::bind(fd.get(), where.ai_addr, where.ai_addrlen) != 0 || ::listen(fd.get(), kBacklog) != 0)
    return system_error("bind");
  return fd;
}

std::uint16_t port_of(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  const auto peer = PeerAddress::from(reinterpret_cast<const sockaddr*>(&address));
  return peer ? peer->port : std::uint16_t{0};
}

Result<std::vector<UniqueFd>> listen_on_all(const std::string& address) {
  ASSAY_ASSIGN(const service::HostPort where, service::parse_host_port(address));
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (const int code = ::getaddrinfo(where.host.c_str(), nullptr, &hints, &found); code != 0)
    return listen_error(address, ::gai_strerror(code));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, ::freeaddrinfo);
  return listen_on_each(found, address, where.port);
}

class Gate final : public PortGate {
 public:
  Gate(std::vector<UniqueFd> listeners, UniqueFd poll, UniqueFd wake, ConnectionLimits limits,
       std::function<bool()> is_memory_short)
      : is_memory_short_(std::move(is_memory_short)),
        listeners_(std::move(listeners)),
        poll_(std::move(poll)),
        wake_(std::move(wake)),
        port_(port_of(listeners_.front().get())),
        table_(limits) {}
  ~Gate() override { stop(); }

  std::uint16_t port() const override { return port_; }

  void start(OnConnection on_connection,
             std::function<void(std::string_view, const std::string&)> on_refused) override {
    on_connection_ = std::move(on_connection);
    on_refused_ = std::move(on_refused);
    watch(wake_.get(), kWake, EPOLLIN);
    set_accepting(true);
    thread_ = std::jthread([this](const std::stop_token& stop) {
      pthread_setname_np(pthread_self(), "port");
      run(stop);
    });
  }

  void stop() override {
    if (!thread_.joinable()) return;
    thread_.request_stop();
    ::eventfd_write(wake_.get(), 1);
    thread_.join();
    listeners_.clear();
    ends_.clear();
  }

  void prove(const PeerAddress& peer) override {
    const MutexLock lock(mutex_);
    table_.prove(peer);
  }

  void count_call(const PeerAddress& peer) override {
    const MutexLock lock(mutex_);
    table_.count_call(peer);
  }

  void count_message(const PeerAddress& peer, std::uint64_t bytes) override {
    const MutexLock lock(mutex_);
    table_.count_message(peer, bytes);
  }

  void set_limits(const ConnectionLimits& limits) override {
    ConnectionLimits possible = limits;
    possible.connections = room_for_connections(limits.connections);
    const MutexLock lock(mutex_);
    table_.set_limits(possible);
  }

  PortCounts counts() const override {
    const MutexLock lock(mutex_);
    PortCounts counts = counts_;
    counts.connections = table_.size();
    counts.unproven = table_.unproven();
    return counts;
  }

 private:
  void watch(int fd, std::uint64_t what, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = what;
    ::epoll_ctl(poll_.get(), EPOLL_CTL_ADD, fd, &event);
  }

  void set_accepting(bool is_accepting) {
    if (is_accepting == is_accepting_) return;
    is_accepting_ = is_accepting;
    for (std::size_t i = 0; i < listeners_.size(); ++i)
      if (is_accepting)
        watch(listeners_[i].get(), kListeners + i, EPOLLIN);
      else
        ::epoll_ctl(poll_.get(), EPOLL_CTL_DEL, listeners_[i].get(), nullptr);
  }

  void run(const std::stop_token& stop) {
    std::array<epoll_event, 128> events{};
    while (!stop.stop_requested()) {
      const auto wait = is_accepting_ ? kLook : kPauseWhenStarved;
      const int count = ::epoll_wait(poll_.get(), events.data(), static_cast<int>(events.size()),
                                     static_cast<int>(wait.count()));
      if (stop.stop_requested()) return;
      const auto seen = std::span(events).first(count > 0 ? static_cast<std::size_t>(count) : 0);
      // Ends first: they make room.
      for (const epoll_event& event : seen)
        if (event.data.u64 >= kConnections) end(event.data.u64);
      set_accepting(true);
      for (const epoll_event& event : seen)
        if (const std::uint64_t what = event.data.u64; what != kWake && what < kConnections)
          accept_some(listeners_[what - kListeners].get());
      cut_overdue();
    }
  }

  void accept_some(int listener) {
    for (int i = 0; i < kMaxAcceptedAtOnce && is_accepting_; ++i)
      if (!accept_one(listener)) return;
  }

  bool accept_one(int listener) {
    sockaddr_storage address{};
    socklen_t size = sizeof(address);
    auto* const raw = reinterpret_cast<sockaddr*>(&address);
    UniqueFd fd(::accept4(listener, raw, &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) {
      const bool is_starved =
          errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
      if (is_starved) starved();
      return errno != EAGAIN && !is_starved;  // the others are of that connection only
    }
    const auto peer = PeerAddress::from(raw);
    if (!peer) return true;
    let_in(listener, std::move(fd), *peer);
    return true;
  }

  /// Trying again at once would spin: what waits stays in the kernel's queue.
  void starved() {
    set_accepting(false);
    const MutexLock lock(mutex_);
    ++counts_.starved;
  }

  void let_in(int listener, UniqueFd fd, const PeerAddress& peer) {
    // Ours stays open until gRPC has shut the connection down, which is how we learn of it.
    UniqueFd own(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
    if (!own) return starved();
    const std::uint64_t id = next_++;
    std::optional<Refusal> refusal;
    {
      const MutexLock lock(mutex_);
      refusal = table_.admit(id, peer, std::chrono::steady_clock::now());
      if (refusal)
        ++counts_.refused[static_cast<std::size_t>(*refusal)];
      else
        ++counts_.accepted;
    }
    if (refusal) {
      if (on_refused_) on_refused_(to_string(*refusal), peer.host());
      return;
    }
    watch(own.get(), id, 0);  // EPOLLHUP and EPOLLERR come without being asked for
    ends_.emplace(id, std::move(own));
    on_connection_(listener, std::move(fd));
  }

  void end(std::uint64_t id) {
    const auto found = ends_.find(id);
    if (found == ends_.end()) return;
    // gRPC may still have its descriptor of the same connection open: epoll would go on telling.
    ::epoll_ctl(poll_.get(), EPOLL_CTL_DEL, found->second.get(), nullptr);
    ends_.erase(found);
    const MutexLock lock(mutex_);
    if (const auto peer = table_.ended(id)) streams_.forget(*peer);
  }

  void cut_overdue() {
    const Time now = std::chrono::steady_clock::now();
    if (now - looked_ < kLook) return;
    looked_ = now;
    for (const auto& [id, why] : find_overdue(now)) {
      const int fd = ends_.at(id).get();
      ::shutdown(fd, SHUT_RDWR);
      // What waits in the kernel would still be read. MSG_TRUNC: thrown away, tcp(7).
      ::recv(fd, nullptr, std::size_t{16} << 20, MSG_TRUNC | MSG_DONTWAIT);
      end(id);
    }
  }

  std::vector<ConnectionTable::Overdue> find_overdue(Time now) {
    auto look = ConnectionTable::Look::kUnproven;
    if (is_memory_short_ && is_memory_short_())
      look = ConnectionTable::Look::kAllWhileMemoryIsShort;
    const MutexLock lock(mutex_);
    if (look == ConnectionTable::Look::kUnproven &&
        now - looked_at_all_ >= kLookAtAllEach * table_.size())
      look = ConnectionTable::Look::kAll;
    if (look != ConnectionTable::Look::kUnproven) looked_at_all_ = now;
    auto overdue = table_.overdue(
        now, look,
        {[this](std::uint64_t id) {
           const auto found = ends_.find(id);
           return found == ends_.end() ? std::uint64_t{0} : received_by(found->second.get());
         },
         [this](const PeerAddress& peer) { return streams_.held(peer); }});
    for (const auto& one : overdue)
      ++counts_.cut[static_cast<std::size_t>(one.why)];
    return overdue;
  }

  const std::function<bool()> is_memory_short_;
  std::vector<UniqueFd> listeners_;
  const UniqueFd poll_;
  const UniqueFd wake_;
  const std::uint16_t port_;
  OnConnection on_connection_;
  std::function<void(std::string_view, const std::string&)> on_refused_;

  // The gate's thread only.
  std::unordered_map<std::uint64_t, UniqueFd> ends_;
  std::uint64_t next_ = kConnections;
  bool is_accepting_ = false;
  Time looked_{};
  Time looked_at_all_{};
  StreamCensus streams_;

  mutable Mutex mutex_;
  ConnectionTable table_ ASSAY_GUARDED_BY(mutex_);
  PortCounts counts_ ASSAY_GUARDED_BY(mutex_);
  std::jthread thread_;
};

}  // namespace

Result<std::vector<UniqueFd>> listen_on_each(const addrinfo* addresses, const std::string& name,
                                             std::uint16_t port) {
  std::vector<UniqueFd> listeners;
  std::string problem = "it has no address";
  for (const addrinfo* one = addresses; one != nullptr; one = one->ai_next) {
    set_port(one->ai_addr, port);
    auto listener = listen_on(*one);
    if (!listener) {
      const int code = listener.error().sys_errno;
      problem = code == EADDRINUSE
                    ? "the port is in use: stop what uses it or configure another address"
                    : listener.error().text();
      if (code == EADDRNOTAVAIL || code == EAFNOSUPPORT) continue;
      return listen_error(name, problem);
    }
    port = port_of(listener->get());
    listeners.push_back(std::move(*listener));
  }
  if (listeners.empty()) return listen_error(name, problem);
  return listeners;
}

Result<std::unique_ptr<PortGate>> PortGate::listen(const Options& options) {
  ASSAY_ASSIGN(auto listeners, listen_on_all(options.address));
  UniqueFd poll(::epoll_create1(EPOLL_CLOEXEC));
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!poll || !wake) return listen_error(options.address, system_error("epoll").text());
  ConnectionLimits limits = options.limits;
  limits.connections = room_for_connections(limits.connections);
  return std::unique_ptr<PortGate>(new Gate(std::move(listeners), std::move(poll), std::move(wake),
                                            limits, options.is_memory_short));
}

}  // namespace assay::collector
