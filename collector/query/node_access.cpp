// SPDX-License-Identifier: Apache-2.0
#include "collector/query/node_access.h"

#include "assay/v1/enrolment.grpc.pb.h"
#include "collector/core/join_token.h"
#include "collector/query/desk.h"

namespace assay::collector {
namespace {

using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;

constexpr std::int64_t kDefaultLifetimeS = 24 * 3600;
constexpr std::size_t kMaxAskedBytes = 1000;

void to_wire(const JoinToken& token, WallTime now, v1::JoinToken& out) {
  out.set_id(token.id);
  out.set_cluster(token.cluster);
  out.set_pattern(token.pattern);
  out.set_uses(token.uses);
  out.set_used(token.used);
  out.set_created_ns(token.created_ns);
  out.set_created_by(token.created_by);
  out.set_expires_ns(token.expires_ns);
  out.set_may_replace(token.may_replace);
  out.set_last_used_ns(token.last_used_ns);
  out.set_last_node(token.last_node);
  out.set_revoked_ns(token.revoked_ns);
  out.set_state(std::string(state_of(token, now)));
}

Result<void> check_length(const std::string& text) {
  if (text.size() <= kMaxAskedBytes) return ok();
  return Error{ErrorCode::kInvalidArgument, "too long"};
}

// gRPC keeps request and response until Finish.
class Service final : public NodeAccessService, public v1::NodeAccess::CallbackService {
 public:
  Service(EnrolmentBook& book, const NodeCertifier& certifier, NodeCommands& nodes,
          Doorkeeper& door, const Clock& clock, std::string cluster)
      : book_(book),
        certifier_(certifier),
        nodes_(nodes),
        clock_(clock),
        cluster_(std::move(cluster)),
        desk_(door, 1, 64) {}

  grpc::Service& service() override { return *this; }

  Reactor* CreateJoinToken(Context* context, const v1::CreateJoinTokenRequest* request,
                           v1::CreatedJoinToken* response) override {
    return desk_.serve(
        context, "NodeAccess.CreateJoinToken", Role::kAdmin,
        [=, this](const Actor& actor) { return create(*request, actor, *response); });
  }

  Reactor* ListJoinTokens(Context* context, const v1::ListJoinTokensRequest*,
                          v1::ListJoinTokensResponse* response) override {
    return desk_.serve(context, "NodeAccess.ListJoinTokens", Role::kAdmin,
                       [=, this](const Actor&) -> Result<void> {
                         for (const JoinToken& token : book_.tokens())
                           to_wire(token, clock_.wall_now(), *response->add_tokens());
                         return ok();
                       });
  }

  Reactor* RevokeJoinToken(Context* context, const v1::RevokeJoinTokenRequest* request,
                           v1::JoinToken* response) override {
    return desk_.serve(context, "NodeAccess.RevokeJoinToken", Role::kAdmin,
                       [=, this](const Actor& actor) -> Result<void> {
                         ASSAY_ASSIGN(const JoinToken token,
                                      book_.revoke_token(request->id(), actor.name, actor.peer));
                         to_wire(token, clock_.wall_now(), *response);
                         return ok();
                       });
  }

  Reactor* RevokeNode(Context* context, const v1::RevokeNodeRequest* request,
                      v1::NodeAccessChange* response) override {
    return desk_.serve(
        context, "NodeAccess.RevokeNode", Role::kAdmin,
        [=, this](const Actor& actor) -> Result<void> {
          ASSAY_TRY(check_length(request->node()));
          ASSAY_ASSIGN(const NodeKey node, node_to_revoke(request->node()));
          response->set_cluster(node.cluster);
          response->set_node(node.node);
          ASSAY_TRY(book_.revoke(node, request->reason(), actor.name, actor.peer));
          response->set_had_stream(nodes_.disconnect(node, "node " + node.text() + " was revoked"));
          return ok();
        });
  }

  Reactor* RestoreNode(Context* context, const v1::NodeName* request,
                       v1::NodeAccessChange* response) override {
    return change(context, "NodeAccess.RestoreNode", request->node(), *response,
                  [this](const NodeKey& node, const Actor& actor) {
                    return book_.restore(node, actor.name, actor.peer);
                  });
  }

  Reactor* ForgetNode(Context* context, const v1::NodeName* request,
                      v1::NodeAccessChange* response) override {
    return change(context, "NodeAccess.ForgetNode", request->node(), *response,
                  [=, this](const NodeKey& node, const Actor& actor) -> Result<void> {
                    ASSAY_TRY(book_.forget(node, actor.name, actor.peer));
                    response->set_had_stream(
                        nodes_.disconnect(node, "node " + node.text() + " was forgotten"));
                    return ok();
                  });
  }

 private:
  /// Also one that never came: its certificate may have been issued by hand, and stolen.
  Result<NodeKey> node_to_revoke(const std::string& name) const {
    auto known = book_.find_node(name);
    if (known || known.error().code != ErrorCode::kNotFound) return known;
    const auto slash = name.find('/');
    const NodeKey node{slash == std::string::npos ? cluster_ : name.substr(0, slash),
                       slash == std::string::npos ? name : name.substr(slash + 1)};
    if (is_valid_name(node.cluster) && is_valid_name(node.node)) return node;
    return known;
  }

  Reactor* change(Context* context, const char* method, const std::string& name,
                  v1::NodeAccessChange& response,
                  std::function<Result<void>(const NodeKey&, const Actor&)> work) {
    return desk_.serve(
        context, method, Role::kAdmin,
        [this, name, &response, work = std::move(work)](const Actor& actor) -> Result<void> {
          ASSAY_TRY(check_length(name));
          ASSAY_ASSIGN(const NodeKey node, book_.find_node(name));
          response.set_cluster(node.cluster);
          response.set_node(node.node);
          return work(node, actor);
        });
  }

  Result<void> create(const v1::CreateJoinTokenRequest& request, const Actor& actor,
                      v1::CreatedJoinToken& response) {
    ASSAY_TRY(check_length(request.pattern()));
    const TrustedAuthorities trusted = certifier_.trusted();
    if (!trusted.issuer)
      return Error{ErrorCode::kUnsupported,
                   "this collector issues no certificates: it has no authority's key "
                   "(enrol.ca_key), so that nobody can join with a token"};
    const std::string pattern = request.pattern().empty() ? "*" : request.pattern();
    const auto slash = pattern.find('/');
    const std::int64_t lifetime_s =
        request.lifetime_s() == 0 ? kDefaultLifetimeS : request.lifetime_s();
    ASSAY_ASSIGN(const NewJoinToken made, make_join_token(trusted));
    JoinToken token;
    token.id = made.id;
    token.secret = made.secret;
    token.cluster = slash == std::string::npos ? cluster_ : pattern.substr(0, slash);
    token.pattern = slash == std::string::npos ? pattern : pattern.substr(slash + 1);
    token.uses = request.uses() == 0 ? 1 : request.uses();
    token.may_replace = request.may_replace();
    if (lifetime_s > 0 && lifetime_s <= std::chrono::seconds(kMaxTokenLifetime).count())
      token.expires_ns = to_unix_ns(clock_.wall_now() + std::chrono::seconds(lifetime_s));
    ASSAY_ASSIGN(const JoinToken kept, book_.add_token(token, actor.name, actor.peer));
    to_wire(kept, clock_.wall_now(), *response.mutable_token());
    response.set_text(made.text);
    return ok();
  }

  EnrolmentBook& book_;
  const NodeCertifier& certifier_;
  NodeCommands& nodes_;
  const Clock& clock_;
  const std::string cluster_;
  Desk desk_;  // its pool uses the others
};

}  // namespace

std::unique_ptr<NodeAccessService> NodeAccessService::create(EnrolmentBook& book,
                                                             const NodeCertifier& certifier,
                                                             NodeCommands& nodes, Doorkeeper& door,
                                                             const Clock& clock,
                                                             std::string cluster) {
  return std::make_unique<Service>(book, certifier, nodes, door, clock, std::move(cluster));
}

}  // namespace assay::collector
