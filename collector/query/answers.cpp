// SPDX-License-Identifier: Apache-2.0
#include "collector/query/answers.h"

#include <algorithm>

#include "collector/query/page_token.h"
#include "collector/query/to_wire.h"
#include "common/base/encoding.h"

namespace assay::collector {
namespace {

constexpr int kMaxFileSets = 16;  // 3.2 MB each, in one message

constexpr std::size_t kMaxFilterBytes = 512;

Result<void> check_text(const char* what, const std::string& text) {
  if (text.size() <= kMaxFilterBytes) return ok();
  return Error{ErrorCode::kInvalidArgument,
               std::string(what) + " is longer than " + std::to_string(kMaxFilterBytes) + " bytes"};
}

Result<void> check_triage(const std::string& word) {
  if (word.empty() || word == "new" || word == "acknowledged" || word == "muted") return ok();
  return Error{ErrorCode::kInvalidArgument, "triage \"" + escape_untrusted(word, 80) +
                                                "\": there are new, acknowledged and muted"};
}

Result<void> check_base(const std::string& text) {
  if (text.empty()) return ok();
  auto parsed = catalog::BaseId::parse(text);
  if (parsed) return ok();
  return std::move(parsed.error()).with_context("base");
}

}  // namespace

Result<void> Answers::list_runs(const v1::ListRunsRequest& request,
                                v1::ListRunsResponse& response) {
  RunFilter filter;
  filter.include_ended = request.include_ended();
  filter.node = request.node();
  filter.base = request.base();
  filter.container = request.container();
  ASSAY_TRY(check_text("node", filter.node));
  ASSAY_TRY(check_text("container", filter.container));
  ASSAY_TRY(check_base(filter.base));
  if (!request.verdict().empty()) {
    ASSAY_ASSIGN(filter.verdict, catalog::parse_verdict_status(request.verdict()));
  }
  catalog::Posture posture;
  for (const std::string& name : request.posture()) {
    ASSAY_ASSIGN(const catalog::PostureTrait trait, catalog::parse_posture_trait(name));
    posture.set(trait, true);
  }
  filter.posture = posture.traits;
  std::string arguments = "runs";
  for (const std::string& argument : {std::string(filter.include_ended ? "all" : ""), filter.node,
                                      filter.base, request.verdict(), filter.container})
    append_field(arguments, argument);
  append_field(arguments, std::uint64_t{filter.posture});
  ASSAY_ASSIGN(const int limit, page_size_of(request.page_size()));
  ASSAY_ASSIGN(const auto after, read_page_token(request.page_token(), arguments));
  ASSAY_ASSIGN(const auto page, store_.list_runs(filter, after, limit));
  for (const auto& run : page.rows)
    to_wire(run, *response.add_runs());
  if (page.next) response.set_next_page_token(make_page_token(*page.next, arguments));
  return ok();
}

Result<void> Answers::list_findings(const v1::ListFindingsRequest& request,
                                    v1::ListFindingsResponse& response) {
  FindingFilter filter;
  filter.include_resolved = request.include_resolved();
  filter.node = request.node();
  filter.base = request.base();
  ASSAY_TRY(check_text("node", filter.node));
  ASSAY_TRY(check_base(filter.base));
  if (!request.kind().empty()) {
    ASSAY_ASSIGN(filter.kind, catalog::parse_finding_kind(request.kind()));
  }
  filter.include_muted = request.include_muted();
  filter.triage = request.triage();
  filter.assignee = request.assignee();
  ASSAY_TRY(check_triage(filter.triage));
  ASSAY_TRY(check_text("assignee", filter.assignee));
  std::string arguments = "findings";
  for (const std::string& argument :
       {std::string(filter.include_resolved ? "all" : ""), filter.node, request.kind(), filter.base,
        std::string(filter.include_muted ? "muted" : ""), filter.triage, filter.assignee})
    append_field(arguments, argument);
  ASSAY_ASSIGN(const int limit, page_size_of(request.page_size()));
  ASSAY_ASSIGN(const auto after, read_page_token(request.page_token(), arguments));
  ASSAY_ASSIGN(const auto page, store_.list_findings(filter, after, limit));
  for (const auto& finding : page.rows)
    to_wire(finding, *response.add_findings());
  if (page.next) response.set_next_page_token(make_page_token(*page.next, arguments));
  return ok();
}

Result<void> Answers::list_nodes(const v1::ListNodesRequest& request,
                                 v1::ListNodesResponse& response) {
  ASSAY_ASSIGN(const int limit, page_size_of(request.page_size()));
  ASSAY_ASSIGN(const auto after, read_page_token(request.page_token(), "nodes"));
  const auto nodes = nodes_.nodes();
  // Nodes are never removed, so a position in their order is a good enough cursor.
  const auto first = static_cast<std::size_t>(std::max<std::int64_t>(after ? after->key : 0, 0));
  for (std::size_t i = first; i < nodes.size(); ++i) {
    if (static_cast<int>(i - first) == limit) {
      response.set_next_page_token(make_page_token({0, static_cast<std::int64_t>(i)}, "nodes"));
      break;
    }
    to_wire(nodes[i], *response.add_nodes());
  }
  return ok();
}

Result<void> Answers::get_trace(const v1::GetTraceRequest& request, v1::Trace& response) {
  if (request.target().empty())
    return Error{ErrorCode::kInvalidArgument, "target is empty: a run, container id or name"};
  ASSAY_TRY(check_text("target", request.target()));
  ASSAY_TRY(check_text("node", request.node()));
  ASSAY_ASSIGN(const TraceView trace, store_.trace(request.target(), request.node()));
  to_wire(trace, response);
  return ok();
}

Result<void> Answers::get_log(const v1::GetLogRequest& request, v1::CatalogLog& response) {
  const auto log = keeper_.log();
  for (std::size_t i = request.after_sequence(); i < log->statements.size(); ++i)
    response.add_statements(log->statements[i]);
  response.set_head(log->head);
  for (const std::string& root : log->roots)
    response.add_roots(root);
  response.set_mark(keeper_.mark());
  return ok();
}

Result<void> Answers::get_file_sets(const v1::GetFileSetsRequest& request, v1::FileSets& response) {
  if (request.digests_size() > kMaxFileSets)
    return Error{ErrorCode::kInvalidArgument,
                 "at most " + std::to_string(kMaxFileSets) + " file sets at once"};
  std::vector<FileSetDigest> digests;
  for (const std::string& raw : request.digests()) {
    ASSAY_ASSIGN(const FileSetDigest digest, FileSetDigest::from_raw(raw));
    digests.push_back(digest);
  }
  ASSAY_ASSIGN(std::vector<std::string> sets, store_.base_file_sets(digests));
  for (std::string& set : sets)
    response.add_file_sets(std::move(set));
  return ok();
}

Result<void> Answers::submit(const Actor& actor, const v1::SubmitRequest& request,
                             v1::SubmitResponse& response) {
  ASSAY_ASSIGN(
      const std::uint64_t sequence,
      keeper_.submit(
          actor,
          {request.statement(), request.head(), {request.roots().begin(), request.roots().end()}},
          {request.file_sets().begin(), request.file_sets().end()}));
  response.set_sequence(sequence);
  std::uint32_t connected = 0;
  for (const auto& node : nodes_.nodes())
    if (node.is_connected) ++connected;
  response.set_agents_connected(connected);
  return ok();
}

Result<void> Answers::get_impact(const v1::GetImpactRequest& request, v1::Impact& response) {
  ASSAY_ASSIGN(const catalog::BaseId base, catalog::BaseId::parse(request.base()));
  ASSAY_ASSIGN(const ImpactView impact, store_.impact(request.base()));
  to_wire(impact, response);
  response.set_base(request.base());
  const std::uint64_t sequence = keeper_.sequence();
  response.set_catalog_sequence(sequence);
  for (const auto& node : nodes_.nodes()) {
    if (!node.is_connected) continue;
    response.set_agents_connected(response.agents_connected() + 1);
    if (node.heartbeat.catalog_sequence == sequence)
      response.set_agents_on_sequence(response.agents_on_sequence() + 1);
  }
  return ok();
}

}  // namespace assay::collector
