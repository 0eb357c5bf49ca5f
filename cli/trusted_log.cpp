// SPDX-License-Identifier: Apache-2.0
#include "cli/trusted_log.h"

#include <algorithm>

#include "cli/head_store.h"
#include "common/base/file.h"

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
  auto text = read_file(settings->trust_file, kMaxTrustBytes);
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

Result<PreparedChange> prepare_change(const TrustedLog& trusted,
                                      const catalog::Statement& statement,
                                      const catalog::SigningKey& key, Session& session) {
  ASSAY_ASSIGN(const catalog::TrustRoot trust, load_trust(session));
  const auto is_trusted = [&](const auto& known) {
    return known.key_id() == key.public_key().key_id();
  };
  if (std::none_of(trust.keys.begin(), trust.keys.end(), is_trusted))
    return Error{ErrorCode::kUntrusted,
                 "the signing key " + key.public_key().key_id().substr(0, 12) +
                     " is not in the trust file; sign with a key that is, or "
                     "have this one's public key added"};
  PreparedChange prepared;
  ASSAY_ASSIGN(prepared.change, catalog::sign_change(statement, {key}));
  prepared.next = trusted.log;
  prepared.next.statements.push_back(prepared.change.statement);
  prepared.next.head = prepared.change.head;
  auto verified = catalog::verify_log(prepared.next, trust);
  if (!verified) return std::move(verified.error());
  prepared.head = verified->head;
  return prepared;
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
    remember(session, *trust, prepared.next, prepared.head);
  return submitted;
}

}  // namespace assay::cli
