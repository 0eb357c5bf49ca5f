// SPDX-License-Identifier: Apache-2.0
// gRPC does not tell who connects to a unix socket, so connections are taken here, looked at, and
// handed over. It never runs a reaction inside StartWrite or Finish: those are called under the
// mutex.
#include "agent/local/local_server.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/server_posix.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <thread>

#include "assay/v1/verify.grpc.pb.h"
#include "common/base/mutex.h"
#include "common/verification/verify_codec.h"

namespace assay::agent {
namespace {

constexpr int kMaxRequestBytes = 4 << 10;
constexpr std::size_t kMaxQueued = 64;  // events; then the work waits
constexpr std::chrono::milliseconds kGrace{200};
constexpr int kAcceptPauseMs = 100;

using Reactor = grpc::ServerWriteReactor<v1::VerifyEvent>;

/// One call. Owns itself until gRPC is done with it; the order's listener shares it meanwhile.
class VerifyCall final : public Reactor, public std::enable_shared_from_this<VerifyCall> {
 public:
  explicit VerifyCall(VerifyOrders& orders) : orders_(orders) {}

  void begin(std::shared_ptr<VerifyCall> self, const VerifyOrder& order) {
    self_ = std::move(self);
    const auto taken =
        orders_.order(order, [call = shared_from_this()](const catalog::VerifyEvent& event) {
          return call->put(event);
        });
    if (!taken) {
      (void)put(catalog::failed(taken.error()));
      return;
    }
    bool is_over = false;
    {
      const MutexLock lock(mutex_);
      order_ = *taken;
      is_over = is_finished_;
    }
    if (is_over) orders_.cancel(*taken);
  }

  void OnWriteDone(bool is_ok) override {
    {
      const MutexLock lock(mutex_);
      is_writing_ = false;
      queue_.pop_front();
      if (is_ok) pump();
    }
    room_.notify_all();
  }
  void OnCancel() override {
    std::uint64_t order = 0;
    {
      const MutexLock lock(mutex_);
      order = order_;
      if (!is_finished_) Finish({grpc::StatusCode::CANCELLED, "cancelled"});
      is_finished_ = true;
    }
    room_.notify_all();
    if (order != 0) orders_.cancel(order);
  }
  void OnDone() override {
    const auto last = std::move(self_);  // may destroy this when it goes
  }

 private:
  bool put(const catalog::VerifyEvent& event) {
    v1::VerifyEvent message;
    if (!message.ParseFromString(verification::encode(event))) return true;
    std::unique_lock lock(mutex_);
    room_.wait(lock, [this] { return is_finished_ || queue_.size() < kMaxQueued; });
    if (is_finished_) return false;
    queue_.push_back(std::move(message));
    is_last_queued_ = std::holds_alternative<catalog::VerifyDone>(event);
    pump();
    return true;
  }

  void pump() ASSAY_REQUIRES(mutex_) {
    if (is_finished_ || is_writing_) return;
    if (!queue_.empty()) {
      is_writing_ = true;
      return StartWrite(&queue_.front());
    }
    if (!is_last_queued_) return;
    is_finished_ = true;
    Finish(grpc::Status::OK);
  }

  VerifyOrders& orders_;
  std::shared_ptr<VerifyCall> self_;
  Mutex mutex_;
  std::condition_variable_any room_;
  std::deque<v1::VerifyEvent> queue_ ASSAY_GUARDED_BY(mutex_);  // the first is being written
  std::uint64_t order_ ASSAY_GUARDED_BY(mutex_) = 0;
  bool is_writing_ ASSAY_GUARDED_BY(mutex_) = false;
  bool is_last_queued_ ASSAY_GUARDED_BY(mutex_) = false;
  bool is_finished_ ASSAY_GUARDED_BY(mutex_) = false;
};

class Server final : public LocalServer, private v1::LocalAgent::CallbackService {
 public:
  Server(std::string path, UniqueFd listener, UniqueFd wake, LocalServerPorts ports)
      : path_(std::move(path)),
        listener_(std::move(listener)),
        wake_(std::move(wake)),
        ports_(std::move(ports)) {}

  ~Server() override {
    if (thread_.joinable()) {
      thread_.request_stop();
      const std::uint64_t one = 1;
      (void)!::write(wake_.get(), &one, sizeof(one));
      thread_.join();
    }
    ::unlink(path_.c_str());
    if (!server_) return;
    server_->Shutdown(std::chrono::system_clock::now() + kGrace);
    server_->Wait();
  }

  Result<void> begin() {
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
    builder.SetMaxSendMessageSize(verification::kMaxEventBytes);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    if (!server_) return Error{ErrorCode::kInternal, "gRPC serves nothing at " + path_};
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
    ::pthread_setname_np(thread_.native_handle(), "assay-local");
    return ok();
  }

 private:
  Reactor* Verify(grpc::CallbackServerContext*, const v1::VerifyLocalRequest* request) override {
    ports_.on_order(request->target());
    const auto timeout = request->timeout_ms() == 0
                             ? catalog::kDefaultVerifyTimeout
                             : std::chrono::milliseconds(request->timeout_ms());
    const auto call = std::make_shared<VerifyCall>(ports_.orders);
    call->begin(call, {request->target(), timeout});
    return call.get();
  }

  void run(const std::stop_token& stop) {
    pollfd waits[] = {{listener_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    while (!stop.stop_requested()) {
      if (::poll(waits, std::size(waits), -1) <= 0 || (waits[0].revents & POLLIN) == 0) continue;
      // Without a descriptor for it the connection waits: not to be asked for at once again.
      if (!take_connection()) (void)::poll(&waits[1], 1, kAcceptPauseMs);
    }
  }

  bool take_connection() {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) return false;
    const auto peer = peer_of(fd.get());
    if (!peer || !is_trusted(*peer)) {
      ports_.on_refused(peer ? *peer : SocketPeer{});
      return true;
    }
    grpc::AddInsecureChannelFromFd(server_.get(), fd.release());
    return true;
  }

  const std::string path_;
  const UniqueFd listener_;
  const UniqueFd wake_;
  const LocalServerPorts ports_;
  std::unique_ptr<grpc::Server> server_;
  std::jthread thread_;
};

}  // namespace

Result<std::unique_ptr<LocalServer>> LocalServer::start(const std::string& path,
                                                        LocalServerPorts ports) {
  ASSAY_ASSIGN(UniqueFd listener, listen_locally(path));
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC));
  if (!wake) return system_error("eventfd");
  auto server =
      std::make_unique<Server>(path, std::move(listener), std::move(wake), std::move(ports));
  ASSAY_TRY(server->begin());
  return std::unique_ptr<LocalServer>(std::move(server));
}

}  // namespace assay::agent
