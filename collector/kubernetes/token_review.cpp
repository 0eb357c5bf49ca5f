// SPDX-License-Identifier: Apache-2.0
#include "collector/kubernetes/token_review.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "collector/core/principal.h"
#include "common/base/encoding.h"

namespace assay::collector {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 32;
constexpr std::size_t kMaxTextBytes = 1024;
constexpr std::size_t kMaxSaidBytes = 300;
constexpr std::string_view kAccountPrefix = "system:serviceaccount:";
constexpr const char* kExtraPrefix = "authentication.kubernetes.io/";

Error denied(const std::string& message) {
  return {ErrorCode::kPermissionDenied, "the service account's token " + message};
}

/// An answer that nests deeper would cost stack when it is read.
bool is_deep(std::string_view text) {
  int depth = 0;
  bool is_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_string) {
      if (text[i] == '\\')
        ++i;
      else if (text[i] == '"')
        is_string = false;
    } else if (text[i] == '"') {
      is_string = true;
    } else if (text[i] == '{' || text[i] == '[') {
      if (++depth > kMaxDepth) return true;
    } else if (text[i] == '}' || text[i] == ']') {
      --depth;
    }
  }
  return false;
}

Result<Json> parse(std::string_view answer) {
  if (answer.size() > kMaxApiAnswerBytes)
    return Error{ErrorCode::kLimitExceeded, "the API server's answer is too large"};
  if (is_deep(answer))
    return Error{ErrorCode::kLimitExceeded, "the API server's answer is too deep"};
  Json json = Json::parse(answer, nullptr, false);
  if (!json.is_object())
    return Error{ErrorCode::kCorrupt, "the API server's answer is no JSON object"};
  return json;
}

/// null where there is no such member, or `json` is no object.
const Json& member(const Json& json, const char* name) {
  static const Json none;
  const auto found = json.is_object() ? json.find(name) : json.end();
  return json.is_object() && found != json.end() ? *found : none;
}

/// "" for anything but a text of bearable length.
std::string text(const Json& json) {
  const auto* value = json.is_string() ? json.get_ptr<const std::string*>() : nullptr;
  return value != nullptr && value->size() <= kMaxTextBytes ? *value : std::string();
}

/// The one value of an extra field.
std::string extra(const Json& user, const std::string& name) {
  const Json& values = member(member(user, "extra"), (kExtraPrefix + name).c_str());
  return values.is_array() && values.size() == 1 ? text(values.front()) : std::string();
}

bool holds(const Json& array, const std::string& wanted) {
  return array.is_array() && std::ranges::any_of(array, [&](const Json& one) {
           return one.is_string() && *one.get_ptr<const std::string*>() == wanted;
         });
}

}  // namespace

std::string review_request(const std::string& token, const std::string& audience) {
  return Json{{"apiVersion", "authentication.k8s.io/v1"},
              {"kind", "TokenReview"},
              {"spec", {{"token", token}, {"audiences", {audience}}}}}
      .dump(-1, ' ', true, Json::error_handler_t::replace);
}

Result<Review> read_review(std::string_view answer, const AccountPolicy& policy) {
  ASSAY_ASSIGN(const Json json, parse(answer));
  const Json& status = member(json, "status");
  if (text(member(json, "kind")) != "TokenReview" || !status.is_object())
    return Error{ErrorCode::kCorrupt, "the API server's answer is no TokenReview"};
  const Json& authenticated = member(status, "authenticated");
  if (!authenticated.is_boolean() || !authenticated.get<bool>())
    return denied("is refused by Kubernetes: " +
                  escape_untrusted(text(member(status, "error")), kMaxSaidBytes));
  if (!holds(member(status, "audiences"), policy.audience))
    return denied("is not made for the audience " + policy.audience +
                  ": set it in the agent's projected volume");
  const Json& user = member(status, "user");
  const std::string name = text(member(user, "username"));
  const auto colon = name.find(':', kAccountPrefix.size());
  if (!name.starts_with(kAccountPrefix) || colon == std::string::npos)
    return denied("is not of a service account");
  Review review;
  review.name_space = name.substr(kAccountPrefix.size(), colon - kAccountPrefix.size());
  review.account.account = review.name_space + "/" + name.substr(colon + 1);
  if (std::ranges::find(policy.accounts, review.account.account) == policy.accounts.end())
    return denied("is of " + escape_untrusted(review.account.account, kMaxSaidBytes) +
                  ", which is not in kubernetes.accounts");
  review.account.node_name = extra(user, "node-name");
  review.account.node_uid = extra(user, "node-uid");
  review.pod = extra(user, "pod-name");
  review.pod_uid = extra(user, "pod-uid");
  if (review.account.node_name.empty() && (!is_valid_name(review.pod) || review.pod_uid.empty()))
    return denied("names neither a node nor a pod: it must be a projected one, of a pod");
  if (!is_valid_name(review.name_space))
    return Error{ErrorCode::kCorrupt, "the API server names an impossible namespace"};
  return review;
}

Result<std::string> read_pod_node(std::string_view answer, const Review& review) {
  ASSAY_ASSIGN(const Json json, parse(answer));
  if (text(member(member(json, "metadata"), "uid")) != review.pod_uid)
    return denied("is of a pod " + review.pod + " that is gone");
  std::string node = text(member(member(json, "spec"), "nodeName"));
  if (node.empty()) return denied("is of a pod that runs on no node");
  return node;
}

}  // namespace assay::collector
