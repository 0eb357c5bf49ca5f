// SPDX-License-Identifier: Apache-2.0
#include "cli/client.h"

#include <grpcpp/grpcpp.h>

#include <cstdlib>

#include "assay/v1/access.grpc.pb.h"
#include "assay/v1/enrolment.grpc.pb.h"
#include "assay/v1/planning.grpc.pb.h"
#include "assay/v1/query.grpc.pb.h"
#include "assay/v1/scan.grpc.pb.h"
#include "assay/v1/triage.grpc.pb.h"
#include "assay/v1/verify.grpc.pb.h"
#include "cli/from_wire.h"
#include "cli/tls.h"
#include "common/base/encoding.h"
#include "common/base/guarded_file.h"
#include "common/base/sha256.h"
#include "common/catalog/policy_text.h"
#include "common/retry/retry_delay.h"
#include "common/verification/verify_codec.h"

namespace assay::cli {
namespace {

constexpr std::size_t kMaxPemBytes = 1 << 20;
constexpr std::size_t kFileSetsAtOnce = 16;
constexpr int kMaxMessageBytes = 256 << 20;              // a whole catalog log
constexpr std::size_t kMaxScanBytes = (4 << 20) - 4096;  // what a collector takes in one message
constexpr std::int32_t kPageSize = 1000;
constexpr std::chrono::milliseconds kDiagnosisTimeout{2000};
constexpr std::chrono::seconds kVerifyGrace{20};  // the collector ends it before, and says why

Result<std::string> read_setting(const std::string& path, const char* what, const char* flag,
                                 Guard guard) {
  const std::string advice =
      std::string(" (set ") + flag + ", or the same key in the configuration)";
  if (path.empty())
    return Error{ErrorCode::kInvalidArgument, std::string("no ") + what + " given" + advice};
  auto bytes = read_guarded_file(path, kMaxPemBytes, guard);
  if (bytes) return bytes;
  if (bytes.error().code == ErrorCode::kUntrusted)
    return std::move(bytes.error()).with_context(what);
  Error error = std::move(bytes.error());
  return Error{ErrorCode::kInvalidArgument,
               std::string("cannot read the ") + what + ": " + error.text() + advice};
}

/// A certificate in the lines of RFC 7468.
std::string pem_of(std::string_view der) {
  constexpr std::size_t kLine = 64;
  const std::string text = to_base64(der);
  std::string pem = "-----BEGIN CERTIFICATE-----\n";
  for (std::size_t begin = 0; begin < text.size(); begin += kLine)
    pem += text.substr(begin, kLine) + "\n";
  return pem + "-----END CERTIFICATE-----\n";
}

ErrorCode code_of(grpc::StatusCode status) {
  switch (status) {
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::OUT_OF_RANGE:
      return ErrorCode::kInvalidArgument;
    case grpc::StatusCode::NOT_FOUND:
      return ErrorCode::kNotFound;
    case grpc::StatusCode::ALREADY_EXISTS:
      return ErrorCode::kAlreadyExists;
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
    case grpc::StatusCode::FAILED_PRECONDITION:
    case grpc::StatusCode::ABORTED:
      return ErrorCode::kUntrusted;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return ErrorCode::kLimitExceeded;
    case grpc::StatusCode::DATA_LOSS:
      return ErrorCode::kCorrupt;
    case grpc::StatusCode::UNIMPLEMENTED:
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return ErrorCode::kUnavailable;
    default:
      return ErrorCode::kInternal;
  }
}

}  // namespace

struct Client::State {
  Connection connection;
  TlsMaterial material;
  std::unique_ptr<v1::Query::Stub> query;
  std::unique_ptr<v1::CatalogService::Stub> catalog;
  std::unique_ptr<v1::Planning::Stub> planning;
  std::unique_ptr<v1::ScanService::Stub> scans;
  std::unique_ptr<v1::NodeCommands::Stub> commands;
  std::unique_ptr<v1::Triage::Stub> triage;
  std::unique_ptr<v1::Access::Stub> access;
  std::unique_ptr<v1::NodeAccess::Stub> node_access;
  std::unique_ptr<v1::Enrolment::Stub> enrolment;

  /// One unary call with its deadline; gRPC's status becomes an Error.
  template <typename Stub, typename Request, typename Response>
  Result<Response> call(Stub& stub,
                        grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                     Response*),
                        const Request& request, std::chrono::seconds least = {}) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::max(connection.timeout, least));
    show_token(context);
    Response response;
    const grpc::Status status = (stub.*method)(&context, request, &response);
    if (status.ok()) return response;
    return error_of(status);
  }

  void show_token(grpc::ClientContext& context) const {
    if (!connection.token.empty())
      context.AddMetadata("authorization", "Bearer " + connection.token);
  }

  Error error_of(const grpc::Status& status) const {
    const std::string where = "collector " + connection.address + ": ";
    std::string said = escape_untrusted(status.error_message(), 1024);
    if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED)
      said = "it does not know this question; it may be of an older version";
    if (const auto delay = retry_delay_of(status.error_details()); delay.count() > 0)
      said += " (try again in " + std::to_string((delay.count() + 999) / 1000) + " s)";
    const bool is_late = status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
    const ErrorCode code = code_of(status.error_code());
    if (code == ErrorCode::kNotFound || code == ErrorCode::kInvalidArgument ||
        code == ErrorCode::kAlreadyExists)
      return {code, said};  // about the question, not about the collector
    if (!is_late && status.error_code() != grpc::StatusCode::UNAVAILABLE)
      return {code, where + said};
    // gRPC does not tell a refused certificate from an absent collector: look for ourselves.
    const auto diagnosis = diagnose_tls(connection.address, material, kDiagnosisTimeout);
    if (!diagnosis && diagnosis.error().code == ErrorCode::kUntrusted)
      return {ErrorCode::kUntrusted,
              where + diagnosis.error().text() + " (check tls.ca, tls.cert and tls.key)"};
    std::string why = is_late || said.empty() ? "no answer in time (see --timeout)" : said;
    if (!diagnosis) why = diagnosis.error().text();
    return {ErrorCode::kUnavailable,
            where + why + " (is it running there? check collector.address)"};
  }

  /// All pages of a list, at most `limit` entries (0: all).
  template <typename Stub, typename Request, typename Response, typename Item, typename Convert>
  auto pages(Stub& stub, Request request, std::size_t limit,
             grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
             const google::protobuf::RepeatedPtrField<Item>& (Response::*items)() const,
             Convert convert) -> Result<std::vector<decltype(convert(std::declval<Item>()))>> {
    std::vector<decltype(convert(std::declval<Item>()))> all;
    do {
      const std::size_t left = limit == 0 ? kPageSize : limit - all.size();
      request.set_page_size(static_cast<std::int32_t>(std::min<std::size_t>(left, kPageSize)));
      auto response = call(stub, method, request);
      if (!response) return std::move(response.error());
      for (const Item& item : ((*response).*items)())
        all.push_back(convert(item));
      if (response->next_page_token() == request.page_token()) break;
      request.set_page_token(response->next_page_token());
    } while (!request.page_token().empty() && (limit == 0 || all.size() < limit));
    return all;
  }
};

Client::Client(std::unique_ptr<State> state) : state_(std::move(state)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Result<Client> Client::create(const Connection& connection) {
  if (connection.address.empty())
    return Error{ErrorCode::kInvalidArgument,
                 "no collector given (set --collector-address HOST:PORT, the variable "
                 "ASSAY_COLLECTOR_ADDRESS, or collector.address in the configuration)"};
  ASSAY_TRY(parse_address(connection.address));
  TlsMaterial material;
  material.ca = connection.ca_pem;
  if (material.ca.empty()) {
    ASSAY_ASSIGN(material.ca,
                 read_setting(connection.ca_file, "CA certificate", "--tls-ca", Guard::kTrusted));
  }
  if (connection.token.empty()) {
    ASSAY_ASSIGN(material.cert,
                 read_setting(connection.cert_file, "client certificate, and no token",
                              "--tls-cert", Guard::kTrusted));
    ASSAY_ASSIGN(material.key,
                 read_setting(connection.key_file, "client key", "--tls-key", Guard::kSecret));
  } else {
    unsetenv("GRPC_TRACE");  // it would print the token
  }
  ASSAY_TRY(check_material(material));
  const grpc::SslCredentialsOptions tls{material.ca, material.key, material.cert};
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  // Of a compressed message that limit is no limit (docs/threat-model.md, "The port").
  arguments.SetInt(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  arguments.SetInt(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1);  // identity
  arguments.SetUserAgentPrefix("assay/" ASSAY_VERSION);
  auto channel =
      grpc::CreateCustomChannel(connection.address, grpc::SslCredentials(tls), arguments);
  auto state = std::make_unique<State>();
  state->connection = connection;
  state->material = std::move(material);
  state->query = v1::Query::NewStub(channel);
  state->catalog = v1::CatalogService::NewStub(channel);
  state->planning = v1::Planning::NewStub(channel);
  state->scans = v1::ScanService::NewStub(channel);
  state->commands = v1::NodeCommands::NewStub(channel);
  state->triage = v1::Triage::NewStub(channel);
  state->access = v1::Access::NewStub(channel);
  state->node_access = v1::NodeAccess::NewStub(channel);
  state->enrolment = v1::Enrolment::NewStub(channel);
  return Client(std::move(state));
}

Result<std::vector<Run>> Client::list_runs(const RunFilter& filter) {
  v1::ListRunsRequest request;
  request.set_include_ended(filter.include_ended);
  request.set_node(filter.node);
  request.set_base(filter.base);
  request.set_verdict(filter.verdict);
  request.set_container(filter.container);
  request.mutable_posture()->Assign(filter.posture.begin(), filter.posture.end());
  return state_->pages(*state_->query, request, filter.limit, &v1::Query::Stub::ListRuns,
                       &v1::ListRunsResponse::runs,
                       [](const v1::Run& run) { return from_wire(run); });
}

Result<std::vector<Finding>> Client::list_findings(const FindingFilter& filter) {
  v1::ListFindingsRequest request;
  request.set_include_resolved(filter.include_resolved);
  request.set_node(filter.node);
  request.set_kind(filter.kind);
  request.set_base(filter.base);
  request.set_include_muted(filter.include_muted);
  request.set_triage(filter.triage);
  request.set_assignee(filter.assignee);
  return state_->pages(*state_->query, request, filter.limit, &v1::Query::Stub::ListFindings,
                       &v1::ListFindingsResponse::findings,
                       [](const v1::Finding& finding) { return from_wire(finding); });
}

Result<std::vector<Node>> Client::list_nodes() {
  return state_->pages(*state_->query, v1::ListNodesRequest(), 0, &v1::Query::Stub::ListNodes,
                       &v1::ListNodesResponse::nodes,
                       [](const v1::Node& node) { return from_wire(node); });
}

Result<void> Client::verify(const std::string& node, const std::string& target,
                            std::chrono::milliseconds timeout,
                            const std::function<void(const catalog::VerifyEvent&)>& on_event) {
  v1::VerifyNodeRequest request;
  request.set_node(node);
  request.set_target(target);
  request.set_timeout_ms(static_cast<std::uint32_t>(timeout.count()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + timeout + kVerifyGrace);
  state_->show_token(context);
  const auto reader = state_->commands->Verify(&context, request);
  v1::VerifyEvent message;
  bool is_done = false;
  while (reader->Read(&message)) {
    const auto event = verification::decode(message.SerializeAsString());
    if (!event) continue;  // of a newer agent
    is_done = is_done || std::holds_alternative<catalog::VerifyDone>(*event);
    on_event(*event);
  }
  const grpc::Status status = reader->Finish();
  if (is_done) return ok();
  if (!status.ok()) return state_->error_of(status);
  return Error{ErrorCode::kUnavailable, "collector " + state_->connection.address +
                                            ": it ended its answer before the node had answered"};
}

Result<Trace> Client::get_trace(std::string_view target, std::string_view node) {
  v1::GetTraceRequest request;
  request.set_target(std::string(target));
  request.set_node(std::string(node));
  ASSAY_ASSIGN(const v1::Trace trace,
               state_->call(*state_->query, &v1::Query::Stub::GetTrace, request));
  return from_wire(trace);
}

Result<catalog::SignedLog> Client::get_log() {
  ASSAY_ASSIGN(
      const v1::CatalogLog log,
      state_->call(*state_->catalog, &v1::CatalogService::Stub::GetLog, v1::GetLogRequest()));
  return catalog::SignedLog{{log.statements().begin(), log.statements().end()},
                            log.head(),
                            {log.roots().begin(), log.roots().end()},
                            log.mark()};
}

Result<std::map<FileSetDigest, catalog::FileSet>> Client::get_file_sets(
    const std::vector<FileSetDigest>& digests) {
  std::map<FileSetDigest, catalog::FileSet> sets;
  for (std::size_t begin = 0; begin < digests.size(); begin += kFileSetsAtOnce) {
    v1::GetFileSetsRequest request;
    for (std::size_t i = begin; i < std::min(begin + kFileSetsAtOnce, digests.size()); ++i)
      request.add_digests(std::string(digests[i].raw()));
    ASSAY_ASSIGN(const v1::FileSets answer,
                 state_->call(*state_->catalog, &v1::CatalogService::Stub::GetFileSets, request));
    for (const std::string& bytes : answer.file_sets()) {
      ASSAY_ASSIGN(catalog::FileSet set, catalog::FileSet::decode(bytes));
      sets.emplace(FileSetDigest{sha256(bytes).bytes}, std::move(set));
    }
  }
  return sets;
}

Result<Submitted> Client::submit(const catalog::SignedChange& change,
                                 const std::vector<std::string>& file_sets) {
  v1::SubmitRequest request;
  request.set_statement(change.statement);
  request.set_head(change.head);
  for (const std::string& root : change.roots)
    request.add_roots(root);
  for (const std::string& file_set : file_sets)
    request.add_file_sets(file_set);
  ASSAY_ASSIGN(const v1::SubmitResponse response,
               state_->call(*state_->catalog, &v1::CatalogService::Stub::Submit, request));
  return Submitted{response.sequence(), response.agents_connected()};
}

Result<Impact> Client::get_impact(const catalog::BaseId& base) {
  v1::GetImpactRequest request;
  request.set_base(base.version.empty() ? base.name : base.text());
  ASSAY_ASSIGN(const v1::Impact impact,
               state_->call(*state_->catalog, &v1::CatalogService::Stub::GetImpact, request));
  return from_wire(impact);
}

Result<PolicyTrial> Client::test_policy(const catalog::Policy& policy) {
  v1::TestPolicyRequest request;
  request.set_policy(catalog::to_json_text(policy));
  ASSAY_ASSIGN(
      const v1::PolicyTrial trial,
      state_->call(*state_->planning, &v1::Planning::Stub::TestPolicy, request, kWhatIfTimeout));
  return from_wire(trial);
}

Result<Discovery> Client::discover(std::uint32_t max_proposals) {
  v1::DiscoverRequest request;
  request.set_max_proposals(max_proposals);
  ASSAY_ASSIGN(
      const v1::Discovery found,
      state_->call(*state_->planning, &v1::Planning::Stub::Discover, request, kWhatIfTimeout));
  return from_wire(found);
}

Result<std::vector<ImportedScan>> Client::import_scan(const ScanImport& scan) {
  v1::ImportScanRequest request;
  *request.mutable_report() = to_wire(scan.report);
  request.set_digest(std::string(scan.digest.raw()));
  request.set_base(scan.base);
  if (scan.scanned_at) request.set_scanned_ns(to_unix_ns(*scan.scanned_at));
  request.set_accepts_empty(scan.accepts_empty);
  request.set_is_dry_run(scan.is_dry_run);
  if (request.ByteSizeLong() > kMaxScanBytes)
    return Error{ErrorCode::kLimitExceeded,
                 "the report has " + std::to_string(scan.report.findings.size()) +
                     " vulnerabilities, more than fit in one message of 4 MiB"};
  ASSAY_ASSIGN(const v1::ImportScanResponse response,
               state_->call(*state_->scans, &v1::ScanService::Stub::ImportScan, request));
  std::vector<ImportedScan> imported;
  for (const v1::ImportedScan& one : response.scans())
    imported.push_back(from_wire(one));
  return imported;
}

Result<std::vector<Scan>> Client::list_scans(const std::string& base, bool only_newest) {
  v1::ListScansRequest request;
  request.set_base(base);
  request.set_only_newest(only_newest);
  ASSAY_ASSIGN(const v1::ListScansResponse response,
               state_->call(*state_->scans, &v1::ScanService::Stub::ListScans, request));
  std::vector<Scan> scans;
  for (const v1::Scan& one : response.scans())
    scans.push_back(from_wire(one));
  return scans;
}

Result<Where> Client::where(const std::string& vulnerability) {
  v1::WhereVulnerabilityRequest request;
  request.set_vulnerability(vulnerability);
  ASSAY_ASSIGN(const v1::WhereVulnerabilityResponse response,
               state_->call(*state_->scans, &v1::ScanService::Stub::WhereVulnerability, request));
  return from_wire(response);
}

Result<FindingDetail> Client::get_finding(const std::string& finding) {
  v1::GetFindingRequest request;
  request.set_finding(finding);
  ASSAY_ASSIGN(const v1::FindingDetail detail,
               state_->call(*state_->triage, &v1::Triage::Stub::GetFinding, request));
  return from_wire(detail);
}

Result<ChangedFinding> Client::change_finding(const FindingChange& change) {
  v1::ChangeFindingRequest request;
  request.set_finding(change.finding);
  request.set_action(change.action);
  request.set_note(change.note);
  request.set_assignee(change.assignee);
  if (change.muted_until) request.set_muted_until_ns(to_unix_ns(*change.muted_until));
  request.set_revision(change.revision);
  ASSAY_ASSIGN(const v1::ChangedFinding changed,
               state_->call(*state_->triage, &v1::Triage::Stub::ChangeFinding, request));
  return ChangedFinding{from_wire(changed.finding()), changed.is_changed(), changed.said()};
}

Result<Identity> Client::who_am_i() {
  ASSAY_ASSIGN(const v1::Identity identity,
               state_->call(*state_->access, &v1::Access::Stub::WhoAmI, v1::WhoAmIRequest()));
  return from_wire(identity);
}

Result<CreatedToken> Client::create_token(const TokenWish& wish) {
  v1::CreateTokenRequest request;
  request.set_name(wish.name);
  request.set_role(wish.role);
  for (const std::string& scope : wish.scopes)
    request.add_scopes(scope);
  if (wish.expires_at) request.set_expires_ns(to_unix_ns(*wish.expires_at));
  ASSAY_ASSIGN(const v1::CreatedToken created,
               state_->call(*state_->access, &v1::Access::Stub::CreateToken, request));
  return CreatedToken{from_wire(created.token()), created.secret()};
}

Result<std::vector<Token>> Client::list_tokens(bool include_dead) {
  v1::ListTokensRequest request;
  request.set_include_dead(include_dead);
  return state_->pages(*state_->access, request, 0, &v1::Access::Stub::ListTokens,
                       &v1::ListTokensResponse::tokens,
                       [](const v1::Token& token) { return from_wire(token); });
}

Result<Token> Client::revoke_token(const std::string& token) {
  v1::RevokeTokenRequest request;
  request.set_token(token);
  ASSAY_ASSIGN(const v1::Token revoked,
               state_->call(*state_->access, &v1::Access::Stub::RevokeToken, request));
  return from_wire(revoked);
}

Result<std::vector<AuditEntry>> Client::list_audit(const AuditFilter& filter) {
  v1::ListAuditRequest request;
  request.set_actor(filter.actor);
  request.set_action(filter.action);
  request.set_outcome(filter.outcome);
  if (filter.since) request.set_since_ns(to_unix_ns(*filter.since));
  return state_->pages(*state_->access, request, filter.limit, &v1::Access::Stub::ListAudit,
                       &v1::ListAuditResponse::entries,
                       [](const v1::AuditEntry& entry) { return from_wire(entry); });
}

Result<CreatedJoinToken> Client::create_join_token(const JoinTokenWish& wish) {
  v1::CreateJoinTokenRequest request;
  request.set_pattern(wish.pattern);
  request.set_lifetime_s(wish.lifetime.count());
  request.set_uses(wish.uses);
  request.set_may_replace(wish.may_replace);
  ASSAY_ASSIGN(const v1::CreatedJoinToken created,
               state_->call(*state_->node_access, &v1::NodeAccess::Stub::CreateJoinToken, request));
  return CreatedJoinToken{from_wire(created.token()), created.text()};
}

Result<std::vector<JoinToken>> Client::list_join_tokens() {
  ASSAY_ASSIGN(const v1::ListJoinTokensResponse response,
               state_->call(*state_->node_access, &v1::NodeAccess::Stub::ListJoinTokens,
                            v1::ListJoinTokensRequest()));
  std::vector<JoinToken> tokens;
  for (const v1::JoinToken& token : response.tokens())
    tokens.push_back(from_wire(token));
  return tokens;
}

Result<JoinToken> Client::revoke_join_token(const std::string& id) {
  v1::RevokeJoinTokenRequest request;
  request.set_id(id);
  ASSAY_ASSIGN(const v1::JoinToken token,
               state_->call(*state_->node_access, &v1::NodeAccess::Stub::RevokeJoinToken, request));
  return from_wire(token);
}

Result<NodeAccessChange> Client::revoke_node(const std::string& node, const std::string& reason) {
  v1::RevokeNodeRequest request;
  request.set_node(node);
  request.set_reason(reason);
  ASSAY_ASSIGN(const v1::NodeAccessChange change,
               state_->call(*state_->node_access, &v1::NodeAccess::Stub::RevokeNode, request));
  return NodeAccessChange{change.cluster(), change.node(), change.had_stream()};
}

Result<NodeAccessChange> Client::restore_node(const std::string& node) {
  v1::NodeName request;
  request.set_node(node);
  ASSAY_ASSIGN(const v1::NodeAccessChange change,
               state_->call(*state_->node_access, &v1::NodeAccess::Stub::RestoreNode, request));
  return NodeAccessChange{change.cluster(), change.node(), change.had_stream()};
}

Result<NodeAccessChange> Client::forget_node(const std::string& node) {
  v1::NodeName request;
  request.set_node(node);
  ASSAY_ASSIGN(const v1::NodeAccessChange change,
               state_->call(*state_->node_access, &v1::NodeAccess::Stub::ForgetNode, request));
  return NodeAccessChange{change.cluster(), change.node(), change.had_stream()};
}

Result<std::vector<Authority>> Client::authorities() {
  ASSAY_ASSIGN(const v1::TrustBundle bundle,
               state_->call(*state_->enrolment, &v1::Enrolment::Stub::GetAuthorities,
                            v1::GetAuthoritiesRequest()));
  std::vector<Authority> all;
  for (const std::string& der : bundle.authorities()) {
    const Sha256 digest = sha256(der);
    all.push_back({digest, digest.raw() == bundle.issuer(), pem_of(der)});
  }
  return all;
}

}  // namespace assay::cli
