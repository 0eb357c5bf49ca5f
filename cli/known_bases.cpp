// SPDX-License-Identifier: Apache-2.0
#include "cli/known_bases.h"

#include <CLI/CLI.hpp>
#include <map>
#include <memory>

#include "cli/base_stack.h"
#include "cli/catalog_file.h"
#include "cli/layered_image.h"
#include "cli/scan_view.h"
#include "common/base/encoding.h"
#include "common/catalog/log_export.h"

namespace assay::cli {
namespace {

constexpr std::size_t kMaxShownBytes = 120;

struct NamedSource {
  catalog::BaseId id;
  std::string source;
};

Result<NamedSource> parse_named(const std::string& text) {
  const std::size_t sign = text.find('=');
  const auto id = catalog::BaseId::parse(text.substr(0, sign));
  if (id && !id->version.empty() && sign != std::string::npos && sign + 1 < text.size())
    return NamedSource{*id, text.substr(sign + 1)};
  return Error{ErrorCode::kInvalidArgument,
               "--base \"" + escape_untrusted(text, kMaxShownBytes) +
                   "\": write NAME:VERSION=SOURCE, for example debian:12=debian-12.tar" +
                   (id ? "" : " (" + id.error().text() + ")")};
}

/// One base with one stack, and its file set.
Result<catalog::Base> read_base(const NamedSource& named, const std::string& platform,
                                std::vector<catalog::BaseFileSet>& sets, Session& session) {
  image::ImageOptions wanted;
  wanted.platform = platform;
  wanted.wants_other_forms = true;
  ASSAY_ASSIGN(const LayeredImage layered, read_layers(named.source, std::move(wanted), session));
  catalog::Base base;
  base.id = named.id;
  base.status = catalog::BaseStatus::kApproved;
  ASSAY_ASSIGN(catalog::BaseStack stack, base_stack_of(layered.image));
  base.stacks.push_back(std::move(stack));
  auto files = layered.file_set(0);
  if (files)
    sets.push_back({named.id, layered.image.platform,
                    std::make_shared<const catalog::FileSet>(std::move(*files))});
  else
    session.terminal().note("warning: " + named.id.text() +
                            " will not be found in flattened images: " + files.error().text());
  return base;
}

/// Straight from images.
Result<KnownBases> read_bases(const BaseFlags& flags, const std::string& platform,
                              Session& session) {
  std::vector<NamedSource> sources;  // a mistake in the last one is told before the first is read
  for (const std::string& text : flags.bases) {
    ASSAY_ASSIGN(NamedSource named, parse_named(text));
    for (const NamedSource& known : sources)
      if (known.id == named.id)
        return Error{ErrorCode::kInvalidArgument, "--base names " + named.id.text() + " twice"};
    sources.push_back(std::move(named));
  }
  std::map<catalog::BaseId, catalog::Base> bases;
  std::vector<catalog::BaseFileSet> sets;
  for (const NamedSource& named : sources) {
    ASSAY_ASSIGN(catalog::Base base, read_base(named, platform, sets, session));
    bases.emplace(named.id, std::move(base));
  }
  return KnownBases{catalog::Catalog("", 0, std::move(bases), {}),
                    catalog::FileSetIndex(std::move(sets))};
}

KnownBases from_catalog(catalog::VerifiedLog verified,
                        const std::map<FileSetDigest, catalog::FileSet>& file_sets) {
  catalog::FileSetIndex index = catalog::index_of(verified.catalog, file_sets);
  KnownBases known{std::move(verified.catalog), std::move(index)};
  if (verified.head.sequence != 0) known.expires_at = verified.head.expires_at;
  return known;
}

Result<catalog::ScanSummaries> fetch_scans(Session& session) {
  ASSAY_ASSIGN(Client * client, session.client());
  ASSAY_ASSIGN(const std::vector<Scan> listed, client->list_scans("", true));
  catalog::ScanSummaries scans;
  for (const auto& [name, scan] : by_base(listed)) {
    ASSAY_ASSIGN(const catalog::BaseId base, catalog::BaseId::parse(name));
    scans.emplace(
        base, catalog::ScanSummary{scan.tool, scan.scanned_at.value_or(WallTime{}), scan.counts});
  }
  return scans;
}

}  // namespace

void add_base_flags(CLI::App& command, BaseFlags& flags) {
  command
      .add_option("--base", flags.bases,
                  "a base to look for, straight from its image (repeat it for more)")
      ->option_text("NAME:VERSION=SOURCE")
      ->allow_extra_args(false);
  command
      .add_option("--catalog", flags.catalog_file,
                  "the exported catalog to look in (assay base export), not the collector's")
      ->option_text("FILE")
      ->excludes("--base");
}

Result<KnownBases> known_bases(const BaseFlags& flags, const std::string& platform,
                               Session& session) {
  if (!flags.bases.empty()) return read_bases(flags, platform, session);
  if (!flags.catalog_file.empty()) {
    ASSAY_ASSIGN(CatalogFile file, read_catalog_file(flags.catalog_file, session));
    return from_catalog(std::move(file.verified), file.file_sets);
  }
  ASSAY_ASSIGN(TrustedLog trusted, fetch_trusted_log(session));
  ASSAY_ASSIGN(const auto file_sets, fetch_file_sets(trusted.verified.catalog, session));
  KnownBases known = from_catalog(std::move(trusted.verified), file_sets);
  ASSAY_ASSIGN(known.scans, fetch_scans(session));
  return known;
}

}  // namespace assay::cli
