// SPDX-License-Identifier: Apache-2.0
#include "collector/core/enrolled_nodes.h"

#include <algorithm>

namespace assay::collector {
namespace {

std::string trust_state(const NodeView& node, const TrustedAuthorities& trusted) {
  if (node.trust.empty()) return "";
  if (node.trust != trusted.digest.raw()) return "behind";
  return trusted.issuer && node.issuer == trusted.issuer->raw() ? "current" : "trust";
}

}  // namespace

std::vector<NodeView> EnrolledNodes::nodes() const {
  std::vector<NodeView> all = nodes_.nodes();
  // One that was revoked before it ever connected is shown, too.
  for (NodeIdentity& identity : admission_.revoked()) {
    const auto place = std::ranges::lower_bound(all, identity.node, {}, &NodeView::key);
    if (place != all.end() && place->key == identity.node) continue;
    NodeView view;
    view.key = std::move(identity.node);
    all.insert(place, std::move(view));
  }
  const TrustedAuthorities trusted = certifier_.trusted();
  for (NodeView& node : all) {
    node.trust_state = trust_state(node, trusted);
    const auto identity = admission_.identity(node.key);
    if (!identity) continue;
    node.revoked_ns = identity->revoked_ns;
    node.revoked_by = identity->revoked_by;
    node.revoked_reason = identity->revoked_reason;
    node.certificate_expires_ns = identity->expires_ns;
  }
  return all;
}

}  // namespace assay::collector
