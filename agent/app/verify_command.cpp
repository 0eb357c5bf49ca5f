// SPDX-License-Identifier: Apache-2.0
#include "agent/app/verify_command.h"

#include <sys/utsname.h>

#include <cstdio>

#include "agent/app/failure.h"
#include "agent/local/local_server.h"
#include "common/base/encoding.h"
#include "common/config/key.h"
#include "common/output/json.h"
#include "common/output/table.h"
#include "common/output/yaml.h"
#include "common/verification/report.h"

namespace assay::agent {
namespace {

std::string node_name(const AgentConfig& config) {
  utsname name{};
  if (!config.node.empty() || ::uname(&name) != 0) return config.node;
  return name.nodename;
}

std::string print(const output::Document& document, const VerifyCommandOptions& options) {
  if (options.format == "json") return output::to_json(document);
  if (options.format == "yaml") return output::to_yaml(document);
  return output::to_table(document, {.is_wide = options.format == "wide",
                                     .has_headers = options.has_headers,
                                     .has_colour = false,
                                     .now = std::chrono::system_clock::now()});
}

Result<VerifyOrder> order_of(const VerifyCommandOptions& options) {
  VerifyOrder order;
  order.target = options.target;
  if (options.timeout.empty()) return order;
  ASSAY_ASSIGN(const std::int64_t timeout_ns, config::parse_duration(options.timeout));
  order.timeout =
      std::chrono::ceil<std::chrono::milliseconds>(std::chrono::nanoseconds(timeout_ns));
  if (order.timeout < catalog::kLeastVerifyTimeout || order.timeout > catalog::kMostVerifyTimeout)
    return Error{ErrorCode::kInvalidArgument,
                 "--timeout " + options.timeout + ": it must be from 100ms to 24h"};
  return order;
}

}  // namespace

ExitCode verify_node(const AgentConfig& config, const VerifyCommandOptions& options) {
  const auto order = order_of(options);
  if (!order) return fail(order.error());
  if (config.local_socket.empty())
    return fail({ErrorCode::kInvalidArgument,
                 "local.socket is empty: the agent of this node takes no local commands"});
  verification::VerifiedNode node{config.cluster, node_name(config), 0, {}, std::nullopt};
  const auto asked = verify_locally(
      config.local_socket, *order,
      [&](const catalog::VerifyEvent& event) { (void)verification::take(event, node); });
  if (!asked) node.error = asked.error();
  if (node.error && node.layers.empty()) return fail(*node.error);
  const std::vector<verification::VerifiedNode> nodes{std::move(node)};
  const std::string text = print(verification::document_of(nodes, false), options);
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    return fail(system_error("write to stdout"));
  std::fprintf(stderr, "%s\n", verification::note_of(nodes).c_str());
  return verification::exit_code_of(nodes);
}

}  // namespace assay::agent
