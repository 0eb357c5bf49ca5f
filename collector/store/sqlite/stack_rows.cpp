// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/stack_rows.h"

#include <algorithm>
#include <string>

#include "collector/store/sqlite/codec.h"
#include "collector/store/sqlite/digest_column.h"
#include "common/base/encoding.h"
#include "common/base/sha256.h"

namespace assay::collector {
namespace {

using sqlite::Database;
using sqlite::Statement;

template <typename D>
std::string_view raw_or_empty(const std::optional<D>& digest) {
  return digest ? digest->raw() : std::string_view();
}

/// Names one state of evidence of one layer directory: the same fields that the stack's digest is
/// taken over.
Sha256 layer_key(const catalog::StackLayer& layer) {
  std::string fields;
  append_field(fields, layer.instance.file_system);
  append_field(fields, layer.instance.inode);
  append_field(fields, layer.instance.generation);
  append_field(fields, static_cast<std::uint64_t>(layer.instance.birth_ns));
  const auto& evidence = layer.evidence;
  append_field(fields, raw_or_empty(evidence.claimed));
  append_field(fields, raw_or_empty(evidence.claimed_chain));
  append_field(fields, raw_or_empty(evidence.shape));
  append_field(fields, raw_or_empty(evidence.content));
  append_field(fields, raw_or_empty(evidence.deletions));
  append_field(fields, raw_or_empty(evidence.exact));
  append_field(fields, (evidence.is_capped_at_shape ? 1U : 0U) | (evidence.is_mutable ? 2U : 0U) |
                           (layer.is_injected ? 4U : 0U) |
                           (evidence.is_claim_for_display ? 8U : 0U));
  append_field(fields, evidence.gap);
  if (!evidence.tampered.empty()) append_field(fields, evidence.tampered);
  return sha256(fields);
}

Result<std::int64_t> layer_id(Database& database, NodeId node, const catalog::StackLayer& layer) {
  const Sha256 key = layer_key(layer);
  const auto node_id = static_cast<std::int64_t>(node);
  ASSAY_ASSIGN(Statement * find,
               database.prepare("SELECT layer_id FROM layers WHERE node_id=? AND key=?"));
  ASSAY_ASSIGN(const bool is_known, find->bind(node_id, Statement::Blob{key.raw()}).step());
  if (is_known) {
    const std::int64_t id = find->integer(0);
    find->reset();
    return id;
  }
  ASSAY_ASSIGN(
      Statement * add,
      database.prepare("INSERT INTO layers(node_id, key, file_system, inode, generation, birth_ns,"
                       " claimed_diff_id, shape, content, deletions, exact_diff_id,"
                       " is_capped_at_shape, is_mutable, gap, name, is_injected, entries,"
                       " content_bytes, claimed_chain_id, is_claim_for_display, tampered)"
                       " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"));
  const auto& evidence = layer.evidence;
  ASSAY_TRY(add->bind(node_id, Statement::Blob{key.raw()}, layer.instance.file_system,
                      layer.instance.inode, layer.instance.generation, layer.instance.birth_ns,
                      blob(evidence.claimed), blob(evidence.shape), blob(evidence.content),
                      blob(evidence.deletions), blob(evidence.exact), evidence.is_capped_at_shape,
                      evidence.is_mutable, evidence.gap, layer.name, layer.is_injected,
                      layer.entries, layer.content_bytes, blob(evidence.claimed_chain),
                      evidence.is_claim_for_display, evidence.tampered)
                .run());
  return database.last_insert_id();
}

Result<catalog::StackLayer> read_layer(const Statement& row) {
  catalog::StackLayer layer;
  layer.instance = {row.text(0), static_cast<std::uint64_t>(row.integer(1)),
                    static_cast<std::uint32_t>(row.integer(2)), row.integer(3)};
  auto& evidence = layer.evidence;
  ASSAY_ASSIGN(evidence.claimed, read_digest<DiffId>(row, 4));
  ASSAY_ASSIGN(evidence.shape, read_digest<ShapeDigest>(row, 5));
  ASSAY_ASSIGN(evidence.content, read_digest<ContentDigest>(row, 6));
  ASSAY_ASSIGN(evidence.deletions, read_digest<DeletionsDigest>(row, 7));
  ASSAY_ASSIGN(evidence.exact, read_digest<DiffId>(row, 8));
  evidence.is_capped_at_shape = row.integer(9) != 0;
  evidence.is_mutable = row.integer(10) != 0;
  evidence.gap = row.text(11);
  layer.name = row.text(12);
  layer.is_injected = row.integer(13) != 0;
  layer.entries = static_cast<std::uint64_t>(row.integer(14));
  layer.content_bytes = static_cast<std::uint64_t>(row.integer(15));
  ASSAY_ASSIGN(evidence.claimed_chain, read_digest<ChainId>(row, 16));
  evidence.is_claim_for_display = row.integer(17) != 0;
  evidence.tampered = row.text(18);
  return layer;
}

Result<void> add_match(Database& database, std::int64_t stack, int position,
                       const catalog::BaseMatch& match) {
  ASSAY_ASSIGN(Statement * add,
               database.prepare(
                   "INSERT INTO stack_matches(stack_id, position, base_name,"
                   " base_version, status, rung, layers, first_layer) VALUES(?,?,?,?,?,?,?,?)"));
  return add
      ->bind(stack, position, match.base.name, match.base.version, catalog::to_string(match.status),
             catalog::to_string(match.rung), std::uint64_t{match.layers},
             std::uint64_t{match.first_layer})
      .run();
}

/// Of the same base: the index on bases need not be touched.
Result<void> change_match(Database& database, std::int64_t stack, int position,
                          const catalog::BaseMatch& match) {
  ASSAY_ASSIGN(Statement * update,
               database.prepare("UPDATE stack_matches SET status=?, rung=?, layers=?, first_layer=?"
                                " WHERE stack_id=? AND position=?"));
  return update
      ->bind(catalog::to_string(match.status), catalog::to_string(match.rung),
             std::uint64_t{match.layers}, std::uint64_t{match.first_layer}, stack, position)
      .run();
}

Result<void> remove_match(Database& database, std::int64_t stack, int position) {
  ASSAY_ASSIGN(Statement * remove,
               database.prepare("DELETE FROM stack_matches WHERE stack_id=? AND position=?"));
  return remove->bind(stack, position).run();
}

/// Only what changed is written: a revocation changes one match of a hundred thousand stacks.
Result<void> save_matches(Database& database, StackId stack,
                          const std::vector<catalog::BaseMatch>& before,
                          const std::vector<catalog::BaseMatch>& after) {
  const auto id = static_cast<std::int64_t>(stack);
  for (std::size_t i = 0; i < std::max(before.size(), after.size()); ++i) {
    const int position = static_cast<int>(i);
    const catalog::BaseMatch* was = i < before.size() ? &before[i] : nullptr;
    const catalog::BaseMatch* is = i < after.size() ? &after[i] : nullptr;
    if (was != nullptr && is != nullptr && was->base == is->base) {
      if (*was != *is) ASSAY_TRY(change_match(database, id, position, *is));
      continue;
    }
    if (was != nullptr) ASSAY_TRY(remove_match(database, id, position));
    if (is != nullptr) ASSAY_TRY(add_match(database, id, position, *is));
  }
  return ok();
}

}  // namespace

Result<catalog::Verdict> read_verdict(const Statement& row, int first) {
  catalog::Verdict verdict;
  ASSAY_ASSIGN(verdict.status, catalog::parse_verdict_status(row.text(first)));
  ASSAY_ASSIGN(verdict.rung, catalog::parse_rung(row.text(first + 1)));
  verdict.reason = row.text(first + 2);
  ASSAY_ASSIGN(verdict.contradictions, decode_texts(row.text(first + 3)));
  verdict.application_layers = static_cast<std::size_t>(row.integer(first + 4));
  verdict.catalog_sequence = static_cast<std::uint64_t>(row.integer(first + 5));
  return verdict;
}

Result<std::vector<catalog::BaseMatch>> load_matches(Database& database, StackId stack) {
  ASSAY_ASSIGN(Statement * query,
               database.prepare("SELECT base_name, base_version, status, rung, layers, first_layer"
                                " FROM stack_matches WHERE stack_id=? ORDER BY position"));
  query->bind(static_cast<std::int64_t>(stack));
  std::vector<catalog::BaseMatch> matches;
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query->step());
    if (!is_row) break;
    catalog::BaseMatch match;
    match.base = {query->text(0), query->text(1)};
    ASSAY_ASSIGN(match.status, catalog::parse_verdict_status(query->text(2)));
    ASSAY_ASSIGN(match.rung, catalog::parse_rung(query->text(3)));
    match.layers = static_cast<std::size_t>(query->integer(4));
    match.first_layer = static_cast<std::size_t>(query->integer(5));
    matches.push_back(std::move(match));
  }
  query->reset();
  return matches;
}

Result<void> save_verdict(Database& database, const StackRow& before,
                          const catalog::Verdict& verdict, std::uint64_t round) {
  ASSAY_ASSIGN(Statement * update,
               database.prepare("UPDATE stacks SET judged_round=?, verdict=?, rung=?, reason=?,"
                                " contradictions=?, application_layers=?, catalog_sequence=?"
                                " WHERE stack_id=?"));
  ASSAY_TRY(update
                ->bind(round, catalog::to_string(verdict.status), catalog::to_string(verdict.rung),
                       verdict.reason, encode(verdict.contradictions),
                       std::uint64_t{verdict.application_layers}, verdict.catalog_sequence,
                       static_cast<std::int64_t>(before.id))
                .run());
  return save_matches(database, before.id, before.verdict.matches, verdict.matches);
}

Result<void> save_description(Database& database, StackId id, NodeId node,
                              const catalog::Stack& stack) {
  ASSAY_ASSIGN(Statement * link, database.prepare("INSERT INTO stack_layers(stack_id, position,"
                                                  " layer_id) VALUES(?,?,?)"));
  int position = 0;
  std::int64_t own_layers = 0;
  for (const auto& layer : stack.layers) {
    ASSAY_ASSIGN(const std::int64_t layer_row, layer_id(database, node, layer));
    ASSAY_TRY(link->bind(static_cast<std::int64_t>(id), position++, layer_row).run());
    if (!layer.is_injected) ++own_layers;
  }
  ASSAY_ASSIGN(Statement * update,
               database.prepare("UPDATE stacks SET is_described=1, unsupported=?, layers=?,"
                                " about=?, evidence=?, seen_layers=?, is_masked=?"
                                " WHERE stack_id=?"));
  const EvidenceDigest evidence = catalog::evidence_digest_of(stack);
  return update
      ->bind(stack.unsupported, own_layers, catalog::encode_about(stack.about),
             Statement::Blob{evidence.raw()}, std::uint64_t{stack.seen_layers}, stack.is_masked,
             static_cast<std::int64_t>(id))
      .run();
}

Result<catalog::Stack> load_description(Database& database, StackId id) {
  const auto key = static_cast<std::int64_t>(id);
  ASSAY_ASSIGN(Statement * head,
               database.prepare(
                   "SELECT n.cluster, n.node, s.unsupported, s.about, s.seen_layers,"
                   " s.is_masked FROM stacks s JOIN nodes n USING(node_id) WHERE s.stack_id=?"));
  ASSAY_ASSIGN(const bool is_there, head->bind(key).step());
  if (!is_there) return Error{ErrorCode::kNotFound, "there is no such stack"};
  catalog::Stack stack{head->text(0), head->text(1), {}, head->text(2), {}};
  const std::string about = head->text(3);
  stack.seen_layers = static_cast<std::uint32_t>(head->integer(4));
  stack.is_masked = head->integer(5) != 0;
  head->reset();
  ASSAY_ASSIGN(stack.about, catalog::decode_merged_about(about));
  ASSAY_ASSIGN(
      Statement * query,
      database.prepare("SELECT l.file_system, l.inode, l.generation, l.birth_ns,"
                       " l.claimed_diff_id, l.shape, l.content, l.deletions, l.exact_diff_id,"
                       " l.is_capped_at_shape, l.is_mutable, l.gap, l.name, l.is_injected,"
                       " l.entries, l.content_bytes, l.claimed_chain_id,"
                       " l.is_claim_for_display, l.tampered FROM stack_layers k JOIN layers l"
                       " USING(layer_id) WHERE k.stack_id=? ORDER BY k.position"));
  query->bind(key);
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query->step());
    if (!is_row) break;
    ASSAY_ASSIGN(catalog::StackLayer layer, read_layer(*query));
    stack.layers.push_back(std::move(layer));
  }
  query->reset();
  return stack;
}

}  // namespace assay::collector
