// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/token_rows.h"

#include "collector/store/sqlite/codec.h"
#include "collector/store/sqlite/queries.h"

namespace assay::collector {

std::vector<std::string> texts_of(const std::vector<Scope>& scopes) {
  std::vector<std::string> texts;
  for (const Scope scope : scopes)
    texts.emplace_back(to_string(scope));
  return texts;
}

Result<std::vector<TokenRow>> query_tokens(sqlite::Database& database) {
  ASSAY_ASSIGN(sqlite::Statement * query,
               database.prepare("SELECT token_id, name, role, scopes, hash, created_ns, created_by,"
                                " expires_ns, last_used_ns, revoked_ns, revoked_by FROM tokens"));
  std::vector<TokenRow> tokens;
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query->step());
    if (!is_row) break;
    TokenRow row;
    TokenView& token = row.view;
    token.id = query->text(0);
    token.name = query->text(1);
    ASSAY_ASSIGN(token.role, role_named(query->text(2)));
    ASSAY_ASSIGN(const std::vector<std::string> scopes, decode_texts(query->text(3)));
    for (const std::string& text : scopes) {
      ASSAY_ASSIGN(const Scope scope, parse_scope(text));
      token.scopes.push_back(scope);
    }
    ASSAY_ASSIGN(row.hash, Sha256::from_raw(query->text(4)));
    token.created_ns = query->integer(5);
    token.created_by = query->text(6);
    token.expires_ns = query->integer(7);
    token.last_used_ns = query->integer(8);
    token.revoked_ns = query->integer(9);
    token.revoked_by = query->text(10);
    tokens.push_back(std::move(row));
  }
  query->reset();
  return tokens;
}

}  // namespace assay::collector
