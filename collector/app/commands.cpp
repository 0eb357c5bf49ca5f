// SPDX-License-Identifier: Apache-2.0
#include "collector/app/commands.h"

#include <cstdio>

#include "collector/app/collector.h"
#include "common/base/encoding.h"
#include "common/service/heap.h"
#include "common/service/signals.h"

namespace assay::collector {
namespace {

constexpr std::chrono::milliseconds kForEver{-1};

}  // namespace

ExitCode fail(const Error& error) {
  std::fprintf(stderr, "assay-collector: %s\n", escape_untrusted(error.text(), 2048).c_str());
  return exit_code_for(error);
}

ExitCode run_collector(const CollectorConfig& config) {
  service::keep_heap_small(4);
  auto log = service::Log::create({config.log_level, config.log_format});
  if (!log) return fail(log.error());
  auto signals = service::StopSignals::create();  // before any thread: they inherit the mask
  if (!signals) return fail(signals.error());
  if (config.log_level == "debug")
    redirect_grpc_log([raw = log->get()](const std::string& text) {
      raw->debug("grpc", {{"text", text}});
    });
  else
    redirect_grpc_log({});
  SystemClock clock;
  auto collector = Collector::start(config, clock, **log);
  if (!collector) return fail(collector.error());
  const auto signal = signals->wait(kForEver);
  (*log)->info("stopping", {{"signal", std::to_string(signal.value_or(0))}});
  (*collector)->stop();
  redirect_grpc_log({});
  return ExitCode::kOk;
}

ExitCode run_init(const InitRequest& request) {
  const auto made = init_authority(request, SystemClock().wall_now());
  if (!made) return fail(made.error());
  std::printf(
      "%s: authority and server certificate of cluster %s\n"
      "%s/admin: ca.pem, cert.pem and key.pem of the user admin\n"
      "next: assay-collector issue --node NAME --out DIR, then assay-collector run\n",
      request.dir.c_str(), request.cluster.c_str(), request.dir.c_str());
  return ExitCode::kOk;
}

ExitCode run_issue(const IssueRequest& request) {
  const auto issued = issue_client(request, SystemClock().wall_now());
  if (!issued) return fail(issued.error());
  std::printf("%s: ca.pem, cert.pem and key.pem\n", request.out.c_str());
  return ExitCode::kOk;
}

}  // namespace assay::collector
