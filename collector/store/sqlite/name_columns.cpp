// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/name_columns.h"

#include "collector/store/sqlite/digest_column.h"

namespace assay::collector {

Result<ContainerNames> read_names(const sqlite::Statement& row, int first) {
  ContainerNames names;
  names.container_id = row.text(first);
  names.name = row.text(first + 1);
  names.runtime = row.text(first + 2);
  names.image = row.text(first + 3);
  names.image_id = row.text(first + 4);
  ASSAY_ASSIGN(names.config_digest, read_digest<ConfigDigest>(row, first + 5));
  ASSAY_ASSIGN(names.manifest_digest, read_digest<ManifestDigest>(row, first + 6));
  ASSAY_ASSIGN(names.repo_digest, read_digest<RepoDigest>(row, first + 7));
  names.pod_name = row.text(first + 8);
  names.pod_namespace = row.text(first + 9);
  names.pod_uid = row.text(first + 10);
  names.is_bound_to_kernel = row.integer(first + 11) != 0;
  names.is_users_to_write = row.integer(first + 12) != 0;
  return names;
}

}  // namespace assay::collector
