// SPDX-License-Identifier: Apache-2.0
#include "cli/about_view.h"

#include <charconv>

namespace assay::cli {
namespace {

constexpr const char* kTitle = "What the layers say of themselves (a claim, part of no verdict)";
constexpr const char* kPackagesTitle = "Packages that they say are installed (a claim)";
constexpr std::string_view kPackages = "assay.claimed-packages.";
constexpr std::string_view kNotRead = "not read: ";

struct Member {
  const char* annotation;
  std::string catalog::Distribution::*text;
};
constexpr Member kDistribution[] = {
    {"assay.claimed-distribution", &catalog::Distribution::name},
    {"assay.claimed-distribution-id", &catalog::Distribution::id},
    {"assay.claimed-distribution-version", &catalog::Distribution::version},
    {"assay.claimed-distribution-variant", &catalog::Distribution::variant}};

/// Not read at all: then 0 is no number of packages.
bool is_unread(const catalog::PackageDatabase& database) {
  return database.packages == 0 && !database.gap.empty();
}

Value to_value(const catalog::PackageDatabase& database, bool with_list) {
  std::optional<std::uint64_t> packages;
  if (!is_unread(database)) packages = database.packages;
  Object object{{"manager", database.manager},
                {"packages", packages},
                {"format", database.format},
                {"path", database.path},
                {"gap", database.gap}};
  if (!with_list) return object;
  Array list;
  for (const catalog::Package& package : database.list)
    list.push_back(Object{{"name", package.name},
                          {"version", package.version},
                          {"architecture", package.architecture}});
  object.emplace_back("list", std::move(list));
  return object;
}

}  // namespace

void add_about(Object& object, const catalog::About& about, bool with_lists) {
  std::optional<Object> distribution;
  if (about.distribution)
    distribution = Object{{"id", about.distribution->id},
                          {"version", about.distribution->version},
                          {"name", about.distribution->name},
                          {"variant", about.distribution->variant}};
  Array databases;
  for (const catalog::PackageDatabase& database : about.databases)
    databases.push_back(to_value(database, with_lists));
  object.emplace_back("claimed_distribution", Value(distribution));
  object.emplace_back("claimed_distribution_gap", about.gap);
  object.emplace_back("claimed_packages", std::move(databases));
}

void add_about_sections(std::vector<Section>& sections, const catalog::About& about) {
  if (about.distribution || !about.gap.empty())
    sections.push_back({.title = kTitle,
                        .columns = {{"Distribution", "claimed_distribution.name"},
                                    {"Id", "claimed_distribution.id"},
                                    {"Version", "claimed_distribution.version"},
                                    {"Variant", "claimed_distribution.variant"},
                                    {"Not readable", "claimed_distribution_gap"}},
                        .is_record = true});
  if (about.databases.empty()) return;
  Section packages{.title = kPackagesTitle,
                   .path = "claimed_packages",
                   .columns = {{"MANAGER", "manager"}, {"PACKAGES", "packages"}}};
  // A base's annotations do not keep where the database lay.
  if (!about.databases.front().path.empty()) {
    packages.columns.push_back({"FORMAT", "format"});
    packages.columns.push_back({"PATH", "path"});
  }
  packages.columns.push_back({"GAP", "gap"});
  sections.push_back(std::move(packages));
}

std::map<std::string, std::string> annotations_of(const catalog::About& about) {
  std::map<std::string, std::string> texts;
  if (about.distribution)
    for (const Member& member : kDistribution)
      if (const std::string& text = *about.distribution.*member.text; !text.empty())
        texts[member.annotation] = text;
  std::map<std::string, std::uint64_t> counts;
  for (const catalog::PackageDatabase& database : about.databases) {
    const std::string key = std::string(kPackages) + database.manager;
    if (is_unread(database))
      texts.try_emplace(key, std::string(kNotRead) + database.gap);
    else
      texts[key] = std::to_string(counts[key] += database.packages);
  }
  return texts;
}

catalog::About about_from(const std::map<std::string, std::string>& annotations) {
  catalog::About about;
  catalog::Distribution distribution;
  for (const Member& member : kDistribution)
    if (const auto found = annotations.find(member.annotation); found != annotations.end())
      distribution.*member.text = found->second;
  if (distribution != catalog::Distribution{}) about.distribution = distribution;
  for (auto at = annotations.lower_bound(std::string(kPackages));
       at != annotations.end() && at->first.starts_with(kPackages); ++at) {
    catalog::PackageDatabase database;
    database.manager = at->first.substr(kPackages.size());
    const std::string& text = at->second;
    if (text.starts_with(kNotRead))
      database.gap = text.substr(kNotRead.size());
    else
      std::from_chars(text.data(), text.data() + text.size(), database.packages);
    about.databases.push_back(std::move(database));
  }
  return about;
}

}  // namespace assay::cli
