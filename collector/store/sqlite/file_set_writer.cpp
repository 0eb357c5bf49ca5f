// SPDX-License-Identifier: Apache-2.0
// SqliteWriter's rows of file sets.
#include "collector/store/sqlite/codec.h"
#include "collector/store/sqlite/file_set_rows.h"
#include "collector/store/sqlite/writer.h"

namespace assay::collector {
namespace {

using sqlite::Statement;

std::int64_t number(StackId id) {
  return static_cast<std::int64_t>(id);
}

}  // namespace

Result<void> SqliteWriter::set_file_set_state(StackId id, FileSetState state,
                                              std::size_t first_layer) {
  return change("UPDATE stacks SET file_set_state=?, file_set_from=? WHERE stack_id=?",
                static_cast<int>(state), std::uint64_t{first_layer}, number(id));
}

Result<void> SqliteWriter::save_file_set(StackId id, const FileSetAnswer& answer) {
  ASSAY_TRY(change("DELETE FROM stack_containments WHERE stack_id=?", number(id)));
  ASSAY_TRY(change(
      "INSERT OR REPLACE INTO stack_file_sets(stack_id, first_layer, files, gap) VALUES(?,?,?,?)",
      number(id), std::uint64_t{answer.first_layer}, Statement::Blob{answer.files}, answer.gap));
  return set_file_set_state(id, answer.gap.empty() ? FileSetState::kThere : FileSetState::kGone,
                            answer.first_layer);
}

Result<std::optional<FileSetAnswer>> SqliteWriter::find_file_set(StackId id) {
  ASSAY_ASSIGN(Statement * query,
               database_.prepare("SELECT first_layer, files, gap, digest FROM stack_file_sets"
                                 " JOIN stacks USING(stack_id) WHERE stack_id=?"));
  ASSAY_ASSIGN(const bool is_there, query->bind(number(id)).step());
  if (!is_there) return std::optional<FileSetAnswer>();
  FileSetAnswer answer;
  answer.first_layer = static_cast<std::size_t>(query->integer(0));
  answer.files = query->text(1);
  answer.gap = query->text(2);
  auto digest = StackDigest::from_raw(query->text(3));
  query->reset();
  if (!digest) return std::move(digest.error());
  answer.stack = *digest;
  return std::optional(std::move(answer));
}

Result<std::vector<FileSetWish>> SqliteWriter::wanted_file_sets(NodeId node, int limit) {
  ASSAY_ASSIGN(Statement * query,
               database_.prepare("SELECT digest, file_set_from FROM stacks WHERE node_id=?"
                                 " AND file_set_state=1 ORDER BY stack_id DESC LIMIT ?"));
  query->bind(static_cast<std::int64_t>(node), limit);
  std::vector<FileSetWish> wishes;
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query->step());
    if (!is_row) break;
    ASSAY_ASSIGN(const StackDigest stack, StackDigest::from_raw(query->text(0)));
    wishes.push_back({stack, static_cast<std::size_t>(query->integer(1))});
  }
  query->reset();
  return wishes;
}

Result<std::optional<catalog::Containment>> SqliteWriter::find_containment(StackId id,
                                                                           const Sha256& key) {
  ASSAY_ASSIGN(Statement * query,
               database_.prepare("SELECT found FROM stack_containments WHERE stack_id=?"
                                 " AND key=?"));
  ASSAY_ASSIGN(const bool is_there, query->bind(number(id), Statement::Blob{key.raw()}).step());
  const std::string text = is_there ? query->text(0) : std::string();
  query->reset();
  if (!is_there) return std::optional<catalog::Containment>();
  ASSAY_ASSIGN(auto found, decode_containment(text));
  return std::optional(std::move(found));
}

Result<void> SqliteWriter::save_containment(StackId id, const Sha256& key,
                                            const catalog::Containment& found) {
  return change("INSERT OR REPLACE INTO stack_containments(stack_id, key, found) VALUES(?,?,?)",
                number(id), Statement::Blob{key.raw()}, encode(found));
}

Result<std::string> SqliteWriter::base_file_set(const FileSetDigest& digest) {
  return load_base_file_set(database_, digest);
}

}  // namespace assay::collector
