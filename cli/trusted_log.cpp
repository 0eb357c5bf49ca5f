// SPDX-License-Identifier: Apache-2.0
#include "cli/trusted_log.h"

#include <algorithm>

#include "cli/head_store.h"
#include "common/base/guarded_file.h"

namespace assay::cli {
namespace {

constexpr std::size_t kMaxTrustBytes = 1 << 20;

/// A machine without a home still works, but cannot notice a rollback, and says so.
void remember(Session& session, const catalog::TrustRoot& trust, const catalog::SignedLog& log,
              const catalog::Head& head) {
  const auto store = HeadStore::open_default();
  const auto settings = session.settings();
  const auto kept = store ? store->remember((*settings)->connection.address, trust, log, head)
                          : Result<void>(store.error());
  if (!kept)
    session.terminal().note(
        "warning: cannot remember the catalog's head, so a rolled-back collector "
        "would not be noticed: " +
        kept.error().text());
}

std::string versions_text(const std::vector<const catalog::Base*>& versions) {
  std::string text;
  for (const catalog::Base* base : versions)
    text += (text.empty() ? "" : ", ") + base->id.text();
  return text;
}

}  // namespace

Result<catalog::TrustRoot> load_trust(Session& session) {
  ASSAY_ASSIGN(const Settings* settings, session.settings());
  if (settings->trust_file.empty())
    return Error{ErrorCode::kInvalidArgument,
                 "no trust file given (set --trust-file FILE, the variable ASSAY_TRUST_FILE, or "
                 "trust_file in the "
                 "configuration): it holds the public keys that may sign the catalog"};
  auto text = read_guarded_file(settings->trust_file, kMaxTrustBytes, Guard::kTrusted);
  if (!text) return std::move(text.error()).with_context("trust file");
  auto trust = catalog::TrustRoot::parse(*text);
  if (!trust) return std::move(trust.error()).with_context("trust file " + settings->trust_file);
  return trust;
}

void warn_if_stale(const catalog::VerifiedLog& verified, Session& session) {
  if (verified.head.sequence != 0 && catalog::is_stale(verified.head, session.now()))
    session.terminal().note("warning: the catalog's head expired on " +
                            to_rfc3339(verified.head.expires_at, 0) +
                            "; any newly signed change renews it");
}

Result<TrustedLog> fetch_trusted_log(Session& session) {
  ASSAY_ASSIGN(const catalog::TrustRoot trust, load_trust(session));
  ASSAY_ASSIGN(Client * client, session.client());
  ASSAY_ASSIGN(catalog::SignedLog log, client->get_log());
  auto verified = catalog::verify_log(log, trust);
  if (!verified)
    return std::move(verified.error()).with_context("the collector's catalog is refused");
  ASSAY_ASSIGN(const Settings* settings, session.settings());
  if (const auto store = HeadStore::open_default())
    ASSAY_TRY(store->check(settings->connection.address, trust, log, verified->head));
  remember(session, trust, log, verified->head);
  warn_if_stale(*verified, session);
  return TrustedLog{std::move(log), std::move(*verified)};
}

Result<const catalog::Base*> find_base(const catalog::Catalog& catalog, const catalog::BaseId& id) {
  const auto versions = catalog.versions_of(id.name);
  if (versions.empty())
    return Error{ErrorCode::kNotFound, "no base is called " +
                                           (id.version.empty() ? id.name : id.text()) +
                                           "; assay base list shows those there are"};
  if (id.version.empty() && versions.size() > 1)
    return Error{ErrorCode::kInvalidArgument,
                 id.name + " has several versions, say which one: " + versions_text(versions)};
  if (id.version.empty()) return versions.front();
  const catalog::Base* base = catalog.find(id);
  if (base != nullptr) return base;
  return Error{ErrorCode::kNotFound,
               "there is no " + id.text() + "; there is " + versions_text(versions)};
}

Result<void> expect_trusted_key(const catalog::TrustRoot& trust, const catalog::SigningKey& key) {
  const std::string& id = key.public_key().key_id();
  const auto is_it = [&](const auto& known) { return known.key_id() == id; };
  if (std::any_of(trust.keys.begin(), trust.keys.end(), is_it)) return ok();
  return Error{ErrorCode::kUntrusted, "the signing key " + id.substr(0, 12) +
                                          " is not in the trust file; sign with a key that is, or "
                                          "have this one's public key added"};
}

Result<PreparedChange> check_change(const TrustedLog& trusted, catalog::SignedChange change) {
  PreparedChange prepared;
  prepared.next = trusted.log;
  if (!change.statement.empty()) prepared.next.statements.push_back(change.statement);
  if (!change.head.empty()) prepared.next.head = change.head;
  ASSAY_ASSIGN(const catalog::TrustRoot trust,
               catalog::extend_trust(trusted.verified.trust, change.roots));
  catalog::TrustRoot lenient = trust;
  lenient.threshold = 1;
  auto verified = catalog::verify_log(prepared.next, lenient);
  if (!verified) return std::move(verified.error());
  ASSAY_TRY(catalog::check_successor(trusted.verified.head, prepared.next, verified->head));
  prepared.next.roots = trust.roots;
  prepared.needed = trust.threshold;
  prepared.signatures = trust.keys.size();
  for (const std::string* one : {&change.statement, &change.head}) {
    if (one->empty()) continue;
    ASSAY_ASSIGN(const catalog::Envelope envelope, catalog::Envelope::from_json(*one));
    prepared.signatures =
        std::min(prepared.signatures, catalog::verified_by(envelope, trust.keys).size());
  }
  prepared.change = std::move(change);
  prepared.verified = std::move(*verified);
  return prepared;
}

Result<PreparedChange> prepare_change(const TrustedLog& trusted,
                                      const catalog::Statement& statement,
                                      const catalog::SigningKey& key) {
  ASSAY_TRY(expect_trusted_key(trusted.verified.trust, key));
  ASSAY_ASSIGN(catalog::SignedChange change, catalog::sign_change(statement, {key}));
  return check_change(trusted, std::move(change));
}

Result<Submitted> submit_change(const PreparedChange& prepared,
                                const std::vector<std::string>& file_sets, Session& session) {
  ASSAY_ASSIGN(Client * client, session.client());
  auto submitted = client->submit(prepared.change, file_sets);
  if (!submitted && submitted.error().code == ErrorCode::kUnavailable)
    return std::move(submitted.error())
        .with_context("whether the change has arrived is not known (assay base list tells)");
  if (!submitted) return std::move(submitted.error());
  if (const auto trust = load_trust(session))
    remember(session, *trust, prepared.next, prepared.verified.head);
  return submitted;
}

}  // namespace assay::cli
