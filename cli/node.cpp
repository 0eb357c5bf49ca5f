// SPDX-License-Identifier: Apache-2.0
// `assay node …`: what agents do on demand.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "cli/commands.h"
#include "cli/records.h"
#include "common/verification/report.h"

namespace assay::cli {
namespace {

using verification::VerifiedNode;

constexpr std::size_t kNodesAtOnce = 8;

struct Question {
  std::string node;
  std::string target;
};

/// What is heard of all nodes, by several threads.
class Hearing {
 public:
  Hearing(std::vector<VerifiedNode>& nodes, Terminal& terminal)
      : nodes_(nodes), terminal_(terminal) {}

  void take(std::size_t index, const catalog::VerifyEvent& event) {
    const std::lock_guard lock(mutex_);
    VerifiedNode& node = nodes_[index];
    if (verification::take(event, node)) ++done_;
    const auto* progress = std::get_if<catalog::VerifyProgress>(&event);
    std::string text = progress_text(node, progress ? *progress : catalog::VerifyProgress{});
    if (nodes_.size() > 1)
      text = std::to_string(done_) + " of " + std::to_string(nodes_.size()) + " nodes; " + text;
    terminal_.progress(text);
  }

  void fail(std::size_t index, const Error& error) {
    const std::lock_guard lock(mutex_);
    nodes_[index].error = error;
    ++done_;
  }

 private:
  std::mutex mutex_;
  std::vector<VerifiedNode>& nodes_;
  Terminal& terminal_;
  std::size_t done_ = 0;
};

std::string address_of(const VerifiedNode& node) {
  return node.cluster.empty() ? node.node : node.cluster + "/" + node.node;
}

void verify_all(std::vector<VerifiedNode>& nodes, const std::string& target,
                std::chrono::milliseconds timeout, Client& client, Terminal& terminal) {
  Hearing hearing(nodes, terminal);
  std::atomic<std::size_t> next{0};
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < std::min(kNodesAtOnce, nodes.size()); ++i)
    threads.emplace_back([&] {
      for (std::size_t index = next++; index < nodes.size(); index = next++) {
        const auto asked =
            client.verify(address_of(nodes[index]), target, timeout,
                          [&](const catalog::VerifyEvent& event) { hearing.take(index, event); });
        if (!asked) hearing.fail(index, asked.error());
      }
    });
}

/// The named node as the collector writes it; what it does not know it will say itself.
std::vector<VerifiedNode> find_node(const std::string& name, const std::vector<Node>& known) {
  std::vector<VerifiedNode> found;
  for (const Node& node : known)
    if (node.node == name || node.cluster + "/" + node.node == name)
      found.push_back({node.cluster, node.node, 0, {}, std::nullopt});
  if (found.size() != 1) return {{"", name, 0, {}, std::nullopt}};
  return found;
}

std::vector<VerifiedNode> connected(const std::vector<Node>& known) {
  std::vector<VerifiedNode> found;
  for (const Node& node : known)
    if (node.is_connected) found.push_back({node.cluster, node.node, 0, {}, std::nullopt});
  return found;
}

Result<std::chrono::milliseconds> timeout_of(Session& session) {
  if (!session.has_flag("timeout")) return catalog::kDefaultVerifyTimeout;
  ASSAY_ASSIGN(const Settings* settings, session.settings());
  return std::chrono::milliseconds(settings->connection.timeout);
}

/// What was not asked because it is away, for the note.
std::string away_text(std::size_t known, std::size_t asked) {
  if (known == asked) return "";
  return "\n" + std::to_string(known - asked) + (known - asked == 1 ? " node is" : " nodes are") +
         " not connected and was not asked (assay nodes).";
}

Result<Outcome> verify(const Question& question, Session& session) {
  ASSAY_ASSIGN(Client * client, session.client());
  ASSAY_ASSIGN(const std::chrono::milliseconds timeout, timeout_of(session));
  ASSAY_ASSIGN(const std::vector<Node> known, client->list_nodes());
  const bool is_named = !question.node.empty();
  std::vector<VerifiedNode> nodes = is_named ? find_node(question.node, known) : connected(known);
  if (nodes.empty())
    return Error{ErrorCode::kUnavailable,
                 "no node is connected: nothing was looked at (assay nodes)"};
  if (!is_named)
    session.terminal().note("Verifying " + std::to_string(nodes.size()) +
                            (nodes.size() == 1 ? " connected node …" : " connected nodes …"));
  verify_all(nodes, question.target, timeout, *client, session.terminal());
  session.terminal().end_progress();
  const bool is_refused = std::ranges::all_of(nodes, [](const VerifiedNode& node) {
    return node.error && (node.error->code == ErrorCode::kUntrusted);
  });
  if ((is_named && nodes.front().error && nodes.front().layers.empty()) || is_refused)
    return std::move(*nodes.front().error);
  Outcome outcome;
  outcome.document = verification::document_of(nodes, has_several_clusters(nodes));
  outcome.exit_code = verification::exit_code_of(nodes);
  outcome.note = verification::note_of(nodes);
  if (!is_named) outcome.note += away_text(known.size(), nodes.size());
  return outcome;
}

}  // namespace

void add_node(CLI::App& app, Invocation& invocation) {
  CLI::App& node =
      *app.add_subcommand("node", "Have agents do something, and say which nodes are let in");
  node.require_subcommand(1);
  node.fallthrough();
  node.group("Containers and nodes");
  // Shared by the parser, which fills it, and the command, which runs after.
  const auto question = std::make_shared<Question>();
  CLI::App& command = add_command(
      node, "verify", "Read layers again, every byte, and say what changed since the first reading",
      invocation, [question](Session& session) { return verify(*question, session); },
      Formats::kWithFile);
  command.add_option("NODE", question->node, "[CLUSTER/]NODE; every connected node when left out");
  command.add_option("TARGET", question->target,
                     "a container (its id or how that begins, its name, a run id) or a layer (diff "
                     "ID, shape or content digest, or how it begins); all layers when left out");
  add_node_access(node, invocation);
}

}  // namespace assay::cli
