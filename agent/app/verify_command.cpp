// SPDX-License-Identifier: Apache-2.0
#include "agent/app/verify_command.h"

#include <sys/utsname.h>

#include <cstdio>

#include "agent/app/failure.h"
#include "agent/local/local_server.h"
#include "common/base/encoding.h"
#include "common/config/key.h"
#include "common/verification/report.h"

namespace assay::agent {
namespace {

std::string node_name(const AgentConfig& config) {
  utsname name{};
  if (!config.node.empty() || ::uname(&name) != 0) return config.node;
  return name.nodename;
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
  if (auto printed = print_document(verification::document_of(nodes, false), options.print);
      !printed)
    return fail(printed.error());
  std::fprintf(stderr, "%s\n", verification::note_of(nodes).c_str());
  return verification::exit_code_of(nodes);
}

}  // namespace assay::agent
