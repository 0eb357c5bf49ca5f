// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/file_set_rows.h"

#include "collector/store/sqlite/codec.h"

namespace assay::collector {

using sqlite::Database;
using sqlite::Statement;

Result<std::string> load_base_file_set(Database& database, const FileSetDigest& digest) {
  ASSAY_ASSIGN(Statement * query,
               database.prepare("SELECT files FROM base_file_sets WHERE digest=?"));
  ASSAY_ASSIGN(const bool is_there, query->bind(Statement::Blob{digest.raw()}).step());
  std::string bytes = is_there ? query->text(0) : std::string();
  query->reset();
  return bytes;
}

Result<std::string> load_stack_files(Database& database, StackId stack) {
  ASSAY_ASSIGN(Statement * query,
               database.prepare("SELECT files FROM stack_file_sets WHERE stack_id=? AND gap=''"));
  ASSAY_ASSIGN(const bool is_there, query->bind(static_cast<std::int64_t>(stack)).step());
  std::string bytes = is_there ? query->text(0) : std::string();
  query->reset();
  return bytes;
}

Result<std::optional<ContainmentView>> load_containment(Database& database, StackId stack) {
  ASSAY_ASSIGN(Statement * query,
               database.prepare("SELECT s.file_set_state, s.file_set_from, f.gap, c.found"
                                " FROM stacks s LEFT JOIN stack_file_sets f USING(stack_id)"
                                " LEFT JOIN stack_containments c USING(stack_id) WHERE "
                                "s.stack_id=? AND s.file_set_state <> 0"));
  ASSAY_ASSIGN(const bool is_there, query->bind(static_cast<std::int64_t>(stack)).step());
  if (!is_there) return std::optional<ContainmentView>();
  ContainmentView view;
  const auto state = static_cast<FileSetState>(query->integer(0));
  view.first_layer = static_cast<std::size_t>(query->integer(1));
  view.is_awaited = state == FileSetState::kWanted;
  if (state == FileSetState::kGone) view.gap = query->text(2);
  const std::string found = state == FileSetState::kThere ? query->text(3) : std::string();
  query->reset();
  if (!found.empty()) {
    ASSAY_ASSIGN(view.found, decode_containment(found));
  }
  return std::optional(std::move(view));
}

}  // namespace assay::collector
