// SPDX-License-Identifier: Apache-2.0
#include "collector/app/commands.h"

#include <cstdio>

#include "collector/app/collector.h"
#include "common/base/encoding.h"
#include "common/service/heap.h"
#include "common/service/signals.h"

namespace assay::collector {
namespace {

using Loaded = config::Loaded<CollectorConfig>;

Result<void> reload(Collector& collector, const LoadConfig& load, Loaded& current,
                    service::Log& log) {
  auto next = load();
  if (!next) return std::move(next.error());
  auto merged = config_table().merge(current, std::move(*next));
  ASSAY_TRY(collector.reload(merged.loaded.config));
  current = std::move(merged.loaded);
  for (const std::string& key : merged.restart)
    log.warn("a changed key is not in effect: restart to apply", {{"key", key}});
  log.info("configuration and certificates reloaded", {{"changed", config::join(merged.taken)}});
  return ok();
}

void on_hangup(Collector& collector, const LoadConfig& load, Loaded& current, service::Log& log) {
  const auto reloaded = reload(collector, load, current, log);
  collector.count_reload(reloaded.has_value());
  if (!reloaded)
    log.error("the new configuration is refused; the old one stays in effect",
              {{"reason", config::in_one_line(reloaded.error())}});
}

}  // namespace

ExitCode fail(const Error& error) {
  std::fprintf(stderr, "assay-collector: %s\n", escape_untrusted(error.text(), 2048).c_str());
  return exit_code_for(error);
}

ExitCode run_collector(const Loaded& loaded, const LoadConfig& load) {
  service::keep_heap_small(4);
  Loaded current = loaded;
  const CollectorConfig& config = current.config;
  auto log = service::Log::create({config.log_level, config.log_format});
  if (!log) return fail(log.error());
  auto signals = service::Signals::create();  // before any thread: they inherit the mask
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
  const int signal = signals->wait_for_stop([&] { on_hangup(**collector, load, current, **log); });
  (*log)->info("stopping", {{"signal", std::to_string(signal)}});
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
      "%s/admin/token: a token with the role admin, for 90 days from now (assay login --with-token "
      "< "
      "it)\n"
      "next: assay-collector issue --node NAME --out DIR, then assay-collector run\n",
      request.dir.c_str(), request.cluster.c_str(), request.dir.c_str(), request.dir.c_str());
  return ExitCode::kOk;
}

ExitCode run_issue(const IssueRequest& request) {
  const auto issued = issue_client(request, SystemClock().wall_now());
  if (!issued) return fail(issued.error());
  std::printf("%s: ca.pem, cert.pem and key.pem\n", request.out.c_str());
  return ExitCode::kOk;
}

}  // namespace assay::collector
