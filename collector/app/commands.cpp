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
      "%s/admin/token: a token with the role admin, for 90 days at most (assay login --with-token "
      "< it)\n"
      "next: assay-collector run, then assay node token create for the nodes\n",
      request.dir.c_str(), request.cluster.c_str(), request.dir.c_str(), request.dir.c_str());
  return ExitCode::kOk;
}

ExitCode run_show_authorities(const std::string& dir) {
  const auto state = read_authority_state(dir);
  if (!state) return fail(state.error());
  std::printf("%s: %s\n", dir.c_str(), std::string(name_of(state->phase)).c_str());
  for (const auto& one : state->certificates)
    std::printf("%s  %s  until %s  %s\n", one.digest.c_str(), one.is_issuing ? "issues" : "trusted",
                to_rfc3339(from_unix_ns(one.expires_ns), 0).c_str(),
                escape_untrusted(one.name).c_str());
  return ExitCode::kOk;
}

ExitCode run_rotate(const std::string& dir, RotationStep step) {
  const auto rotated = rotate_authority(dir, step, SystemClock().wall_now());
  if (!rotated) return fail(rotated.error());
  switch (step) {
    case RotationStep::kPrepare:
      std::printf(
          "a second authority is trusted; a running collector tells its agents within seconds\n"
          "next: give people the new %s/ca.pem (assay ca show), wait until \"assay nodes -o "
          "wide\"\n"
          "shows no node with TRUST behind, then assay-collector ca rotate activate\n",
          dir.c_str());
      break;
    case RotationStep::kActivate:
      std::printf(
          "the second authority issues from now on, and issued the server's certificate\n"
          "next: issue people's certificates anew, wait until \"assay nodes -o wide\" shows TRUST\n"
          "current for every node, then assay-collector ca rotate retire\n");
      break;
    case RotationStep::kRetire:
      std::printf("the first authority is trusted no longer\n");
      break;
  }
  return ExitCode::kOk;
}

ExitCode run_renew_server(const std::string& dir) {
  const auto renewed = renew_server(dir, Renewal::kNow, SystemClock().wall_now());
  if (!renewed) return fail(renewed.error());
  std::printf("%s/server.pem: a new certificate for the same key and names\n", dir.c_str());
  return ExitCode::kOk;
}

ExitCode run_issue(const IssueRequest& request) {
  const auto issued = issue_client(request, SystemClock().wall_now());
  if (!issued) return fail(issued.error());
  std::printf("%s: ca.pem, cert.pem and key.pem\n", request.out.c_str());
  return ExitCode::kOk;
}

}  // namespace assay::collector
