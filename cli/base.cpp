// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "cli/commands.h"

namespace assay::cli {

void add_base(CLI::App& app, Invocation& invocation) {
  CLI::App* base = app.add_subcommand("base", "Approve, revoke and list base images");
  base->group("Catalog of bases")->require_subcommand(1);
  base->fallthrough();
  add_base_list(*base, invocation);
  add_base_show(*base, invocation);
  add_base_approve(*base, invocation);
  add_base_deprecate(*base, invocation);
  add_base_revoke(*base, invocation);
  add_base_export(*base, invocation);
  add_base_impact(*base, invocation);
  add_base_discover(*base, invocation);
  add_base_history(*base, invocation);
  add_base_compare(*base, invocation);
}

}  // namespace assay::cli
