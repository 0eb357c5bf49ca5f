// SPDX-License-Identifier: Apache-2.0
#include "agent/uplink/enroller.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <optional>
#include <random>
#include <thread>

#include "agent/uplink/backoff.h"
#include "agent/uplink/identity_folder.h"
#include "assay/v1/enrolment.grpc.pb.h"
#include "common/base/authorities.h"
#include "common/base/encoding.h"
#include "common/base/file.h"
#include "common/base/guarded_file.h"
#include "common/base/mutex.h"
#include "common/base/sha256.h"
#include "common/retry/retry_delay.h"

namespace assay::agent {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxTokenBytes = 8192;
constexpr std::size_t kMaxPemBytes = 1U << 20;
constexpr std::size_t kMaxReasonBytes = 1000;
constexpr std::size_t kMaxReported = 2;
constexpr int kMaxMessageBytes = 256 << 10;
constexpr std::chrono::seconds kCallDeadline{20};
constexpr std::chrono::seconds kLongestWait{60};  // the clock may be set meanwhile
constexpr std::chrono::minutes kLongestSpread{5};
constexpr std::string_view kTokenPrefix = "assay-join-v1.";

struct Failure {
  Error error;
  milliseconds retry_after{};
  bool is_denied = false;  // the collector knows who asks, and says no
};

std::string trimmed(std::string text) {
  while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ')
    text.pop_back();
  return text;
}

/// Digests of the authorities that a join token names, after its id and its secret.
std::vector<std::string> pins_of(const std::string& token) {
  std::vector<std::string> pins;
  if (!token.starts_with(kTokenPrefix)) return pins;
  std::size_t fields = 0;
  for (std::size_t dot = token.find('.'); dot != std::string::npos; dot = token.find('.', dot + 1))
    if (++fields > 2)
      if (auto pin = from_hex(token.substr(dot + 1, token.find('.', dot + 1) - dot - 1)); pin)
        pins.push_back(std::move(*pin));
  return pins;
}

Result<std::string> read_join_token(const std::string& path) {
  auto token = read_guarded_file(path, kMaxTokenBytes, Guard::kSecret);
  if (!token) return std::move(token.error()).with_context("enrol.token_file");
  return trimmed(std::move(*token));
}

std::shared_ptr<grpc::Channel> connect(const std::string& address,
                                       const std::shared_ptr<grpc::ChannelCredentials>& who) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  // Of a compressed message that limit is no limit (docs/threat-model.md, "The port").
  arguments.SetInt(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  arguments.SetInt(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1);  // identity
  return grpc::CreateCustomChannel(address, who, arguments);
}

std::shared_ptr<grpc::ChannelCredentials> credentials(const TlsMaterial& material) {
  return grpc::SslCredentials({material.ca, material.key, material.certificate});
}

/// Believes anybody: what is heard on such a channel must prove itself.
std::shared_ptr<grpc::ChannelCredentials> blind_credentials() {
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_verify_server_certs(false);
  options.set_check_call_host(false);
  options.set_certificate_verifier(std::make_shared<grpc::experimental::NoOpCertificateVerifier>());
  return grpc::experimental::TlsCredentials(options);
}

Failure failure_of(const grpc::Status& status, const std::string& address) {
  const ErrorCode code = status.error_code() == grpc::StatusCode::PERMISSION_DENIED ||
                                 status.error_code() == grpc::StatusCode::UNAUTHENTICATED
                             ? ErrorCode::kPermissionDenied
                             : ErrorCode::kUnavailable;
  return {{code, "collector " + address + ": " +
                     escape_untrusted(status.error_message(), kMaxReasonBytes)},
          retry_delay_of(status.error_details()),
          status.error_code() == grpc::StatusCode::PERMISSION_DENIED};
}

class Loop final : public Enroller {
 public:
  Loop(EnrolOptions options, const Clock& clock, EnrolCallbacks callbacks, IdentityFolder folder)
      : options_(std::move(options)),
        clock_(clock),
        callbacks_(std::move(callbacks)),
        random_(std::random_device{}()),
        folder_(std::move(folder)) {}
  ~Loop() override { stop(); }

  void start() override {
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
    ::pthread_setname_np(thread_.native_handle(), "assay-enrol");
  }

  void stop() override {
    if (!thread_.joinable()) return;
    thread_.request_stop();
    {
      const MutexLock lock(call_mutex_);
      if (call_ != nullptr) call_->TryCancel();
    }
    thread_.join();
  }

  TlsFiles files() const override { return folder_.files(); }

  HeldTrust trust() const override {
    const MutexLock lock(mutex_);
    const auto authorities = folder_.authorities();
    if (authorities.empty()) return {};
    HeldTrust trust;
    trust.digest = digest_of_authorities(authorities).raw();
    if (const auto held = folder_.held(options_.cluster, options_.node))
      trust.issuer = held->issuer.raw();
    return trust;
  }

  Result<void> take_trust(const std::vector<std::string>& authorities,
                          const std::string& issuer) override {
    {
      const MutexLock lock(mutex_);
      const auto held = folder_.held(options_.cluster, options_.node);
      ASSAY_TRY(folder_.keep_authorities(authorities));
      if (!held || issuer.empty() || issuer == held->issuer.raw()) return ok();
      // Not all agents at once.
      const auto life = std::chrono::duration_cast<milliseconds>(held->expires - held->begins);
      const milliseconds most = std::min<milliseconds>(life / 10, kLongestSpread);
      kept_at_.reset();
      renew_at_ = clock_.wall_now() + milliseconds(std::uniform_int_distribution<std::int64_t>(
                                          0, most.count())(random_));
    }
    wake_.notify_all();
    return ok();
  }

  void set_address(const std::string& address) override {
    {
      const MutexLock lock(mutex_);
      if (options_.address == address) return;
      options_.address = address;
      is_woken_ = true;
    }
    wake_.notify_all();
  }

 private:
  void run(const std::stop_token& stop);
  std::optional<Failure> try_once(bool has_certificate, const std::string& address);
  std::optional<Failure> enrol(const std::string& address);
  std::optional<Failure> renew(const std::string& address);
  Result<std::string> roots(const std::string& address, const std::string& token);
  std::optional<Failure> keep(const v1::IssuedCertificate& issued);
  WallTime due(const HeldCertificate& held) ASSAY_REQUIRES(mutex_);
  struct Step {
    std::string address;
    bool has_certificate = false;
    milliseconds wait{};  // 0: try now
  };
  Step next_step();
  milliseconds least_left(const std::optional<HeldCertificate>& held) const ASSAY_REQUIRES(mutex_);
  std::string early_problem();
  void report(const std::string& problem, const std::function<void(const std::string&)>& callback);

  template <typename Request, typename Response>
  grpc::Status call(const std::shared_ptr<grpc::Channel>& channel,
                    grpc::Status (v1::Enrolment::Stub::*method)(grpc::ClientContext*,
                                                                const Request&, Response*),
                    const Request& request, Response& response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kCallDeadline);
    {
      const MutexLock lock(call_mutex_);
      call_ = &context;
    }
    if (stop_.stop_requested()) context.TryCancel();
    const auto stub = v1::Enrolment::NewStub(channel);
    const grpc::Status status = ((*stub).*method)(&context, request, &response);
    const MutexLock lock(call_mutex_);
    call_ = nullptr;
    return status;
  }

  EnrolOptions options_;  // its address is guarded by mutex_
  const Clock& clock_;
  const EnrolCallbacks callbacks_;
  std::vector<std::string> reported_;  // of the thread; since the last success
  std::stop_token stop_;               // likewise
  bool is_renewal_failing_ = false;    // likewise: the next try is an enrolment

  mutable Mutex mutex_;
  std::condition_variable_any wake_;
  std::mt19937_64 random_ ASSAY_GUARDED_BY(mutex_);
  IdentityFolder folder_;  // its files are written under mutex_
  std::optional<WallTime> renew_at_ ASSAY_GUARDED_BY(mutex_);
  std::optional<BootTime> kept_at_ ASSAY_GUARDED_BY(mutex_);  // none: it may be renewed at once
  bool is_woken_ ASSAY_GUARDED_BY(mutex_) = false;

  Mutex call_mutex_;
  grpc::ClientContext* call_ ASSAY_GUARDED_BY(call_mutex_) = nullptr;
  std::jthread thread_;
};

/// Two thirds of its life, a twentieth earlier or later, drawn once for each certificate.
WallTime Loop::due(const HeldCertificate& held) {
  const auto life = std::chrono::duration_cast<milliseconds>(held.expires - held.begins);
  std::uniform_int_distribution<std::int64_t> spread(-life.count() / 20, life.count() / 20);
  return held.begins + life / 3 * 2 + milliseconds(spread(random_));
}

/// A renewal and an enrolment that take turns fail for two reasons: neither is told at each turn.
void Loop::report(const std::string& problem,
                  const std::function<void(const std::string&)>& callback) {
  if (std::ranges::find(reported_, problem) != reported_.end()) return;
  if (reported_.size() >= kMaxReported) reported_.erase(reported_.begin());
  reported_.push_back(problem);
  callback(problem);
}

/// What is left of the least wait after a success. By the clock since boot: by a wall clock that is
/// far ahead each new certificate is due as it comes.
milliseconds Loop::least_left(const std::optional<HeldCertificate>& held) const {
  if (!kept_at_) return {};
  milliseconds least = options_.backoff_least;
  if (held)
    least = std::max(least,
                     std::chrono::duration_cast<milliseconds>(held->expires - held->begins) / 20);
  return std::max(milliseconds(0),
                  least - std::chrono::duration_cast<milliseconds>(clock_.boot_now() - *kept_at_));
}

Loop::Step Loop::next_step() {
  const MutexLock lock(mutex_);
  is_woken_ = false;
  const auto held = folder_.held(options_.cluster, options_.node);
  const WallTime now = clock_.wall_now();
  Step step{options_.address, held && now < held->expires, least_left(held)};
  if (step.has_certificate) {
    if (!renew_at_) renew_at_ = due(*held);
    step.wait = std::max(step.wait, std::chrono::ceil<milliseconds>(*renew_at_ - now));
  }
  if (step.address.empty()) step.wait = kLongestWait;
  return step;
}

/// "": the certificate that was just kept is not due yet.
std::string Loop::early_problem() {
  const MutexLock lock(mutex_);
  const auto held = folder_.held(options_.cluster, options_.node);
  if (!held) return "";
  if (!renew_at_) renew_at_ = due(*held);
  if (clock_.wall_now() < *renew_at_) return "";
  return "this clock is ahead of the certificate: it was just issued and is due again already; set "
         "the clock (until then a new one is asked for each twentieth of its life)";
}

void Loop::run(const std::stop_token& stop) {
  stop_ = stop;
  Backoff backoff(options_.backoff_least, options_.backoff_most, std::random_device{}());
  while (!stop.stop_requested()) {
    Step step = next_step();
    if (step.wait.count() == 0) {
      const auto failure = try_once(step.has_certificate, step.address);
      if (stop.stop_requested()) return;
      if (!failure) {
        backoff.reset();
        callbacks_.on_certificate();
        if (const std::string problem = early_problem(); !problem.empty())
          report(problem, callbacks_.on_warning);
        else
          reported_.clear();
        continue;
      }
      report(failure->error.text(), callbacks_.on_problem);
      step.wait = backoff.next(failure->retry_after);
    }
    const auto before = std::min<milliseconds>(step.wait, kLongestWait);
    std::unique_lock lock(mutex_);
    const auto renew_at = renew_at_;
    wake_.wait_for(lock, stop, before, [&] { return is_woken_ || renew_at_ != renew_at; });
  }
}

/// A collector that trusts the certificate's authority no longer ends the connection within TLS,
/// which looks like one that is away: every second try is made without the certificate, by the key
/// that the collector knows.
std::optional<Failure> Loop::try_once(bool has_certificate, const std::string& address) {
  if (!has_certificate || std::exchange(is_renewal_failing_, false)) return enrol(address);
  auto failure = renew(address);
  is_renewal_failing_ = failure && !failure->is_denied;
  return failure;
}

/// Whom to believe before anything was kept: a file, what the token names, or what was kept.
Result<std::string> Loop::roots(const std::string& address, const std::string& token) {
  if (const auto kept = folder_.authorities(); !kept.empty()) return certificates_to_pem(kept);
  if (!options_.ca_file.empty()) {
    auto pem = read_guarded_file(options_.ca_file, kMaxPemBytes, Guard::kTrusted);
    if (!pem) return std::move(pem.error()).with_context("enrol.ca");
    return pem;
  }
  const auto pins = pins_of(token);
  if (pins.empty())
    return Error{ErrorCode::kInvalidArgument,
                 "nothing says which collector to believe: give enrol.ca, or a join token that "
                 "names its authority (\"assay node token create\")"};
  v1::TrustBundle bundle;
  const auto status =
      call(connect(address, blind_credentials()), &v1::Enrolment::Stub::GetAuthorities,
           v1::GetAuthoritiesRequest(), bundle);
  if (!status.ok()) return failure_of(status, address).error;
  std::vector<std::string> believed;
  for (const std::string& certificate : bundle.authorities())
    if (std::ranges::find(pins, sha256(certificate).raw()) != pins.end())
      believed.push_back(certificate);
  if (believed.empty())
    return Error{ErrorCode::kUntrusted,
                 "collector " + address +
                     ": it has none of the authorities that the join token names: this is not the "
                     "collector that made it, or its authority was replaced since (make a new "
                     "token)"};
  return certificates_to_pem(believed);
}

std::optional<Failure> Loop::enrol(const std::string& address) {
  v1::EnrolRequest request;
  request.set_cluster(options_.cluster);
  request.set_node(options_.node);
  auto csr = folder_.request();
  if (!csr) return Failure{std::move(csr.error())};
  request.set_request(std::move(*csr));
  std::string join_token;
  if (!options_.token_file.empty()) {
    // Not there any more after it was used: the key may be known by now.
    auto token = read_join_token(options_.token_file);
    if (!token && token.error().code != ErrorCode::kNotFound)
      return Failure{std::move(token.error())};
    if (token) request.set_join_token(join_token = std::move(*token));
  } else {
    auto token = read_file(options_.service_account_file, kMaxTokenBytes);
    if (!token) return Failure{std::move(token.error()).with_context("enrol.service_account_file")};
    request.set_service_account_token(trimmed(std::move(*token)));
  }
  auto believed = roots(address, join_token);
  if (!believed) return Failure{std::move(believed.error())};
  v1::IssuedCertificate issued;
  const auto status = call(connect(address, credentials({*believed, "", ""})),
                           &v1::Enrolment::Stub::Enrol, request, issued);
  if (!status.ok()) return failure_of(status, address);
  return keep(issued);
}

std::optional<Failure> Loop::renew(const std::string& address) {
  auto material = load_tls_files(folder_.files());
  if (!material) return Failure{std::move(material.error())};
  auto csr = folder_.request();
  if (!csr) return Failure{std::move(csr.error())};
  v1::RenewRequest request;
  request.set_request(std::move(*csr));
  v1::IssuedCertificate issued;
  const auto status =
      call(connect(address, credentials(*material)), &v1::Enrolment::Stub::Renew, request, issued);
  if (!status.ok()) return failure_of(status, address);
  return keep(issued);
}

std::optional<Failure> Loop::keep(const v1::IssuedCertificate& issued) {
  const MutexLock lock(mutex_);
  const auto& bundle = issued.trust().authorities();
  auto kept = folder_.keep_authorities({bundle.begin(), bundle.end()});
  if (kept) kept = folder_.keep_certificate(issued.certificate());
  if (!kept) return Failure{std::move(kept.error())};
  renew_at_.reset();
  kept_at_ = clock_.boot_now();
  return std::nullopt;
}

}  // namespace

Result<std::unique_ptr<Enroller>> Enroller::create(EnrolOptions options, const Clock& clock,
                                                   EnrolCallbacks callbacks) {
  ASSAY_ASSIGN(IdentityFolder folder, IdentityFolder::open(options.folder));
  return std::unique_ptr<Enroller>(
      std::make_unique<Loop>(std::move(options), clock, std::move(callbacks), std::move(folder)));
}

}  // namespace assay::agent
