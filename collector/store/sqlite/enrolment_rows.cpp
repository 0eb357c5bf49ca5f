// SPDX-License-Identifier: Apache-2.0
// Rows of join tokens and of nodes' certificates.
#include "collector/store/sqlite/digest_column.h"
#include "collector/store/sqlite/queries.h"
#include "collector/store/sqlite/writer.h"

namespace assay::collector {
namespace {

using sqlite::Database;
using sqlite::Statement;

Result<JoinToken> read_token(const Statement& row) {
  JoinToken token;
  token.id = row.text(0);
  ASSAY_ASSIGN(token.secret, Sha256::from_raw(row.text(1)));
  token.cluster = row.text(2);
  token.pattern = row.text(3);
  token.uses = static_cast<std::uint32_t>(row.integer(4));
  token.used = static_cast<std::uint32_t>(row.integer(5));
  token.may_replace = row.integer(6) != 0;
  token.created_ns = row.integer(7);
  token.created_by = row.text(8);
  token.expires_ns = row.integer(9);
  token.last_used_ns = row.integer(10);
  token.last_node = row.text(11);
  token.revoked_ns = row.integer(12);
  return token;
}

Result<NodeIdentity> read_identity(const Statement& row) {
  NodeIdentity identity;
  identity.node = {row.text(0), row.text(1)};
  ASSAY_ASSIGN(identity.key, read_digest<Sha256>(row, 2));
  identity.serial = row.text(3);
  identity.not_before_ns = row.integer(4);
  identity.expires_ns = row.integer(5);
  identity.method = row.text(6);
  identity.node_uid = row.text(7);
  identity.is_forgotten = row.integer(8) != 0;
  identity.revoked_ns = row.integer(9);
  identity.revoked_by = row.text(10);
  identity.revoked_reason = row.text(11);
  return identity;
}

template <typename Row>
Result<std::vector<Row>> read_all(Database& database, std::string_view sql,
                                  Result<Row> (*read)(const Statement&)) {
  ASSAY_ASSIGN(Statement * query, database.prepare(sql));
  std::vector<Row> rows;
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query->step());
    if (!is_row) break;
    ASSAY_ASSIGN(Row row, read(*query));
    rows.push_back(std::move(row));
  }
  query->reset();
  return rows;
}

}  // namespace

Result<Enrolments> query_enrolments(Database& database) {
  Enrolments all;
  ASSAY_ASSIGN(all.tokens,
               read_all(database,
                        "SELECT token_id, secret, cluster, pattern, uses, used, may_replace,"
                        " created_ns, created_by, expires_ns, last_used_ns, last_node, revoked_ns"
                        " FROM join_tokens",
                        read_token));
  ASSAY_ASSIGN(all.identities,
               read_all(database,
                        "SELECT cluster, node, public_key, serial, not_before_ns, expires_ns,"
                        " method, node_uid, is_forgotten, revoked_ns, revoked_by, revoked_reason"
                        " FROM node_identities",
                        read_identity));
  return all;
}

Result<void> SqliteWriter::save_join_token(const JoinToken& token) {
  return change(
      "INSERT OR REPLACE INTO join_tokens(token_id, secret, cluster, pattern, uses, used,"
      " may_replace, created_ns, created_by, expires_ns, last_used_ns, last_node, revoked_ns)"
      " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)",
      token.id, Statement::Blob{token.secret.raw()}, token.cluster, token.pattern, token.uses,
      token.used, token.may_replace, token.created_ns, token.created_by, token.expires_ns,
      token.last_used_ns, token.last_node, token.revoked_ns);
}

Result<void> SqliteWriter::remove_join_token(const std::string& id) {
  return change("DELETE FROM join_tokens WHERE token_id=?", id);
}

Result<void> SqliteWriter::save_identity(const NodeIdentity& identity) {
  return change(
      "INSERT OR REPLACE INTO node_identities(cluster, node, public_key, serial, not_before_ns,"
      " expires_ns, method, node_uid, is_forgotten, revoked_ns, revoked_by, revoked_reason)"
      " VALUES(?,?,?,?,?,?,?,?,?,?,?,?)",
      identity.node.cluster, identity.node.node, blob(identity.key), identity.serial,
      identity.not_before_ns, identity.expires_ns, identity.method, identity.node_uid,
      identity.is_forgotten, identity.revoked_ns, identity.revoked_by, identity.revoked_reason);
}

}  // namespace assay::collector
