// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/scan_matching.h"

#include <algorithm>
#include <set>

#include "common/base/encoding.h"

namespace assay::catalog {
namespace {

std::vector<DiffId> diff_ids_of(const BaseStack& stack) {
  std::vector<DiffId> ids;
  for (const BaseLayer& layer : stack.layers) {
    if (!layer.diff_id) return {};
    ids.push_back(*layer.diff_id);
  }
  return ids;
}

std::optional<DigestBytes> config_digest_of(const Base& base) {
  const auto found = base.annotations.find(kConfigDigestAnnotation);
  if (found == base.annotations.end()) return std::nullopt;
  auto parsed = parse_digest(found->second);
  if (!parsed) return std::nullopt;
  return *parsed;
}

std::optional<DigestBytes> manifest_of(const BaseStack& stack) {
  auto parsed = parse_digest(stack.manifest_digest);
  if (!parsed) return std::nullopt;
  return *parsed;
}

/// Every digest that names the report's image: what one store calls an image id is another's
/// manifest digest.
std::set<DigestBytes> digests_of(const ScanReport& report) {
  std::set<DigestBytes> digests;
  if (report.image.image_id) digests.insert(report.image.image_id->bytes);
  for (const Sha256& digest : report.image.manifests)
    digests.insert(digest.bytes);
  for (const VexStatement& statement : report.statements)
    for (const Sha256& digest : statement.images)
      digests.insert(digest.bytes);
  return digests;
}

bool is_prefix(const std::vector<DiffId>& base, const std::vector<DiffId>& image) {
  return !base.empty() && base.size() <= image.size() &&
         std::equal(base.begin(), base.end(), image.begin());
}

bool has_all_layers(const Base& base) {
  return std::ranges::none_of(base.stacks,
                              [](const BaseStack& stack) { return diff_ids_of(stack).empty(); });
}

/// What `base` is to the report's image; nothing when it is not below it. Layers tell more than
/// names of images, so they are compared where both sides have them.
std::optional<ScanTarget> match(const Base& base, const ScanReport& report,
                                const std::set<DigestBytes>& digests) {
  std::optional<ScanTarget> found;
  for (const BaseStack& stack : base.stacks) {
    const auto layers = diff_ids_of(stack);
    const auto manifest = manifest_of(stack);
    if (manifest && digests.contains(*manifest))
      return ScanTarget{&base, &stack, ScanScope::kBase, "manifest-digest"};
    if (!is_prefix(layers, report.image.diff_ids)) continue;
    if (layers.size() == report.image.diff_ids.size())
      return ScanTarget{&base, &stack, ScanScope::kBase, "diff-ids"};
    if (!found || found->stack->layers.size() < layers.size())
      found = {&base, &stack, ScanScope::kApplication, "diff-ids"};
  }
  // An image id that its own layers belie is none.
  if (!report.image.diff_ids.empty() && has_all_layers(base)) return found;
  const auto config = config_digest_of(base);
  if (config && digests.contains(*config))
    return ScanTarget{&base, base.stacks.size() == 1 ? &base.stacks.front() : nullptr,
                      ScanScope::kBase, "image-id"};
  return found;
}

/// Whether anything that the report says of its image could be held against `base` at all.
bool is_comparable(const Base& base, const ScanReport& report,
                   const std::set<DigestBytes>& digests) {
  const bool has_layers = !report.image.diff_ids.empty();
  if (digests.empty() && !has_layers) return false;
  // Of several platforms only the last one's config digest is known.
  bool are_all_named = base.stacks.size() == 1 && config_digest_of(base).has_value();
  return (has_layers && has_all_layers(base)) || (!digests.empty() && are_all_named);
}

std::string image_text(const ScanReport& report) {
  std::string text;
  if (!report.image.names.empty()) text = escape_untrusted(report.image.names.front(), 128);
  if (text.empty() && report.image.image_id) text = "image " + report.image.image_id->text();
  if (text.empty() && !report.image.manifests.empty()) text = report.image.manifests.front().text();
  const auto digests = digests_of(report);
  if (text.empty() && !digests.empty()) text = Sha256{*digests.begin()}.text();
  return text.empty() ? "another image" : text;
}

Result<std::vector<ScanTarget>> check_named(const ScanReport& report, const Base& wanted,
                                            const std::set<DigestBytes>& digests) {
  if (auto found = match(wanted, report, digests)) return std::vector<ScanTarget>{*found};
  if (is_comparable(wanted, report, digests))
    return Error{ErrorCode::kInvalidArgument,
                 "the report is about another image, " + image_text(report) +
                     ": neither its image id nor its layers are those of " + wanted.id.text() +
                     " (leave --base out to look for the base that it is about)"};
  const BaseStack* only = wanted.stacks.size() == 1 ? &wanted.stacks.front() : nullptr;
  return std::vector<ScanTarget>{{&wanted, only, ScanScope::kBase, "name"}};
}

void keep_longest(std::vector<ScanTarget>& targets) {
  std::size_t longest = 0;
  for (const ScanTarget& target : targets)
    longest = std::max(longest, target.stack->layers.size());
  std::erase_if(targets,
                [&](const ScanTarget& target) { return target.stack->layers.size() < longest; });
}

std::string decode_percent(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      if (auto byte = from_hex(text.substr(i + 1, 2))) {
        out += *byte;
        i += 2;
        continue;
      }
    }
    out += text[i];
  }
  return out;
}

bool is_same_vulnerability(const ScanFinding& finding, const VexStatement& statement) {
  const auto names = [&](const std::string& id) {
    return id == statement.id || std::ranges::count(statement.aliases, id) > 0;
  };
  return names(finding.id) || std::ranges::any_of(finding.aliases, names);
}

std::string_view last_part(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

/// With a purl on both sides they are compared; else name and version.
bool is_same_package(const ScanFinding& finding, const std::string& named) {
  const auto wanted = parse_purl(named);
  if (!wanted) return named == finding.package;
  const auto has_version = [&](const std::string& version) {
    return wanted->version.empty() || wanted->version == version;
  };
  if (const auto own = parse_purl(finding.purl))
    return own->type == wanted->type && own->path == wanted->path && has_version(own->version);
  return last_part(wanted->path) == last_part(finding.package) && has_version(finding.installed);
}

}  // namespace

std::string_view to_string(ScanScope scope) {
  return scope == ScanScope::kBase ? "base" : "application";
}

Result<ScanScope> parse_scan_scope(std::string_view text) {
  if (text == "base") return ScanScope::kBase;
  if (text == "application") return ScanScope::kApplication;
  return Error{ErrorCode::kInvalidArgument, "no scope of a scan"};
}

std::string_view to_string(Origin origin) {
  switch (origin) {
    case Origin::kBase:
      return "base";
    case Origin::kApplication:
      return "application";
    case Origin::kUnknown:
      break;
  }
  return "unknown";
}

Result<Origin> parse_origin(std::string_view text) {
  for (const Origin origin : {Origin::kBase, Origin::kApplication, Origin::kUnknown})
    if (text == to_string(origin)) return origin;
  return Error{ErrorCode::kInvalidArgument, "no origin of a finding"};
}

Result<std::vector<ScanTarget>> find_targets(const ScanReport& report, const Catalog& catalog,
                                             const Base* wanted) {
  const auto digests = digests_of(report);
  if (wanted != nullptr) return check_named(report, *wanted, digests);
  if (digests.empty() && report.image.diff_ids.empty())
    return Error{ErrorCode::kInvalidArgument,
                 "this report does not say which image it is about (no image id, digest or diff "
                 "IDs): name its base with --base NAME:VERSION"};
  std::vector<ScanTarget> exact;
  std::vector<ScanTarget> below;
  for (const auto& [id, base] : catalog.bases()) {
    const auto found = match(base, report, digests);
    if (found) (found->scope == ScanScope::kBase ? exact : below).push_back(*found);
  }
  if (!exact.empty()) return exact;
  keep_longest(below);
  if (!below.empty()) return below;
  return Error{ErrorCode::kNotFound,
               "the report is about " + image_text(report) +
                   ", which is no base of the catalog and stands on none (assay base list shows "
                   "those there are)"};
}

std::vector<Origin> origins_of(const ScanReport& report, const ScanTarget& target) {
  if (target.scope == ScanScope::kBase)
    return std::vector<Origin>(report.findings.size(), Origin::kBase);
  std::set<DiffId> below;
  std::set<DiffId> above;
  const auto layers = diff_ids_of(*target.stack);
  for (std::size_t i = 0; i < report.image.diff_ids.size(); ++i)
    (i < layers.size() ? below : above).insert(report.image.diff_ids[i]);
  std::vector<Origin> origins;
  for (const ScanFinding& finding : report.findings) {
    Origin origin = Origin::kUnknown;
    if (finding.layer && below.contains(*finding.layer))
      origin = Origin::kBase;
    else if (finding.layer && above.contains(*finding.layer))
      origin = Origin::kApplication;
    origins.push_back(origin);
  }
  return origins;
}

std::vector<VexStatement> statements_for(const ScanReport& report, const ScanTarget& target) {
  std::set<DigestBytes> ours;
  if (const auto config = config_digest_of(*target.base)) ours.insert(*config);
  for (const BaseStack& stack : target.base->stacks)
    if (const auto manifest = manifest_of(stack)) ours.insert(*manifest);
  std::vector<VexStatement> kept;
  for (const VexStatement& statement : report.statements) {
    const auto is_ours = [&](const Sha256& digest) { return ours.contains(digest.bytes); };
    // A base whose digests are not known (a directory) is believed to be what the person named.
    if (statement.images.empty() || target.matched_by == "name" ||
        std::ranges::any_of(statement.images, is_ours))
      kept.push_back(statement);
  }
  return kept;
}

const VexStatement* statement_on(const ScanFinding& finding,
                                 const std::vector<VexStatement>& statements) {
  const VexStatement* newest = nullptr;
  for (const VexStatement& statement : statements) {
    if (newest != nullptr && statement.time < newest->time) continue;
    if (!is_same_vulnerability(finding, statement)) continue;
    const auto is_its = [&](const std::string& named) { return is_same_package(finding, named); };
    if (statement.packages.empty() || std::ranges::any_of(statement.packages, is_its))
      newest = &statement;
  }
  return newest;
}

Applicability judged_applicability(const ScanFinding& finding,
                                   const std::vector<VexStatement>& statements) {
  const VexStatement* statement = statement_on(finding, statements);
  return statement == nullptr ? finding.applicability : statement->applicability;
}

std::optional<PackageUrl> parse_purl(std::string_view text) {
  if (!text.starts_with("pkg:")) return std::nullopt;
  text.remove_prefix(4);
  while (text.starts_with('/'))
    text.remove_prefix(1);
  text = text.substr(0, text.find('#'));
  text = text.substr(0, text.find('?'));
  const auto slash = text.find('/');
  if (slash == std::string_view::npos || slash == 0) return std::nullopt;
  PackageUrl url{std::string(text.substr(0, slash)), "", ""};
  std::string_view path = text.substr(slash + 1);
  // An @ of a scope ("pkg:npm/@scope/name") comes before a slash.
  const auto at = path.rfind('@');
  if (at != std::string_view::npos && path.find('/', at) == std::string_view::npos) {
    url.version = decode_percent(path.substr(at + 1));
    path = path.substr(0, at);
  }
  url.path = decode_percent(path);
  if (url.path.empty()) return std::nullopt;
  return url;
}

}  // namespace assay::catalog
