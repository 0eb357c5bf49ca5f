// SPDX-License-Identifier: Apache-2.0
#include "cli/base_search.h"

#include "cli/base_stack.h"
#include "cli/records.h"
#include "common/catalog/contained_verdict.h"

namespace assay::cli {
namespace {

void look_at_files(const LayeredImage& layered, const KnownBases& known, std::size_t first,
                   BaseSearch& search) {
  search.first_layer = first;
  const auto files = layered.file_set(first);
  if (!files) {
    search.gap = files.error().message;
    return;
  }
  search.by_files =
      catalog::find_contained(catalog::with_base_below(*files, search.verdict, known.index),
                              known.index, known.catalog.policy());
}

ContainedBase shown(const catalog::ContainedBase& base) {
  return {base.base.text(), base.platform,    base.files,          base.present,
          base.changed,     base.missing,     base.share_permille, base.rival,
          base.own_files,   base.own_present, base.is_contained,   base.why};
}

/// As `assay trace` shows what the collector found.
Value containment_value(const BaseSearch& search) {
  if (!search.by_files && search.gap.empty()) return {};
  Containment told;
  told.first_layer = static_cast<std::uint32_t>(search.first_layer);
  told.gap = search.gap;
  if (search.by_files) {
    told.files = search.by_files->files;
    told.why = search.by_files->why;
    for (const catalog::ContainedBase& base : search.by_files->contained)
      told.bases.push_back(shown(base));
    if (search.by_files->runner_up) told.bases.push_back(shown(*search.by_files->runner_up));
  }
  return to_value(told);
}

Value to_value(const catalog::BaseMatch& match) {
  return Object{{"base", match.base.text()},
                {"status", catalog::to_string(match.status)},
                {"rung", catalog::to_string(match.rung)},
                {"layers", std::uint64_t{match.layers}},
                {"first_layer", std::uint64_t{match.first_layer}}};
}

}  // namespace

BaseSearch search_bases(const LayeredImage& layered, const KnownBases& known, WallTime now) {
  BaseSearch search;
  const catalog::Stack stack = run_stack_of(layered.image);
  const catalog::ScanSummaries* scans = known.scans ? &*known.scans : nullptr;
  search.verdict = catalog::judge(stack, known.catalog, now, scans);
  if (const auto first = catalog::wanted_file_set(search.verdict, stack)) {
    look_at_files(layered, known, *first, search);
    if (search.by_files)
      catalog::add_containment(search.verdict, *search.by_files, known.catalog, now, scans);
  }
  search.findings = catalog::causes_of(search.verdict, stack, /*is_overdue=*/true);
  return search;
}

void add_search(Object& object, const BaseSearch& search) {
  Array matches;
  for (const catalog::BaseMatch& match : search.verdict.matches)
    matches.push_back(to_value(match));
  object.emplace_back("base", search.verdict.base_name());
  object.emplace_back("evidence", catalog::to_string(search.verdict.rung));
  object.emplace_back("application_layers", std::uint64_t{search.verdict.application_layers});
  object.emplace_back("matches", std::move(matches));
  object.emplace_back("containment", containment_value(search));
}

void add_search_sections(std::vector<Section>& sections, const BaseSearch& search) {
  if (!search.verdict.matches.empty())
    sections.push_back({.title = "Bases, the one that names it first",
                        .path = "matches",
                        .columns = {{"BASE", "base"},
                                    {"STATUS", "status", Style::kVerdict},
                                    {"EVIDENCE", "rung"},
                                    {"LAYERS", "layers"},
                                    {"ABOVE", "first_layer"}}});
  if (!search.by_files && search.gap.empty()) return;
  if (!search.by_files || (search.by_files->contained.empty() && !search.by_files->runner_up)) {
    sections.push_back({.columns = {{"Files", "containment.state"}}, .is_record = true});
    return;
  }
  sections.push_back({.title = "Bases in its files, the runner-up last",
                      .path = "containment.bases",
                      .columns = {{"BASE", "base"},
                                  {"CONTAINED", "is_contained"},
                                  {"SHARE %", "share_percent"},
                                  {"FILES", "files"},
                                  {"PRESENT", "present"},
                                  {"CHANGED", "changed"},
                                  {"MISSING", "missing"},
                                  {"RIVAL", "rival", Style::kPlain, true},
                                  {"OWN FILES", "own_files", Style::kPlain, true},
                                  {"OWN PRESENT", "own_present", Style::kPlain, true},
                                  {"WHY", "why"}}});
}

}  // namespace assay::cli
