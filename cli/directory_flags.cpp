// SPDX-License-Identifier: Apache-2.0
#include "cli/directory_flags.h"

#include <CLI/CLI.hpp>
#include <charconv>

#include "common/base/encoding.h"

namespace assay::cli {
namespace {

constexpr std::uint64_t kIds = 1ULL << 32;  // ids have 32 bits

bool take_number(std::string_view& rest, std::uint64_t& number) {
  const std::string_view digits = rest.substr(0, rest.find(':'));
  rest.remove_prefix(std::min(digits.size() + 1, rest.size()));
  const char* const end = digits.data() + digits.size();
  const auto parsed = std::from_chars(digits.data(), end, number);
  return parsed.ec == std::errc() && parsed.ptr == end && number < kIds;
}

Result<image::IdRange> parse_range(const std::string& text, const char* flag) {
  image::IdRange range;
  std::string_view rest = text;
  const bool is_range = take_number(rest, range.in_image) && take_number(rest, range.on_disk) &&
                        !rest.empty() && take_number(rest, range.count) && rest.empty();
  if (is_range && range.count > 0 && range.in_image + range.count <= kIds &&
      range.on_disk + range.count <= kIds)
    return range;
  return Error{ErrorCode::kInvalidArgument,
               std::string(flag) + " \"" + escape_untrusted(text, 80) +
                   "\" is no range of ids: write INSIDE:OUTSIDE:COUNT, for example "
                   "0:100000:65536, as /proc/PID/uid_map shows it"};
}

bool overlap(std::uint64_t a, std::uint64_t a_count, std::uint64_t b, std::uint64_t b_count) {
  return a < b + b_count && b < a + a_count;
}

Result<std::vector<image::IdRange>> parse_map(const std::vector<std::string>& texts,
                                              const char* flag) {
  std::vector<image::IdRange> ranges;
  for (const std::string& text : texts) {
    ASSAY_ASSIGN(const image::IdRange range, parse_range(text, flag));
    for (const image::IdRange& known : ranges)
      if (overlap(known.on_disk, known.count, range.on_disk, range.count) ||
          overlap(known.in_image, known.count, range.in_image, range.count))
        return Error{ErrorCode::kInvalidArgument,
                     std::string(flag) + " " + text + " overlaps another one"};
    ranges.push_back(range);
  }
  return ranges;
}

}  // namespace

void add_source(CLI::App& command, std::string& source, std::string& platform) {
  command
      .add_option("SOURCE", source,
                  "OCI layout, OCI or docker archive, or directory; dir:, oci:, oci-archive: or "
                  "docker-archive: before the path force a kind")
      ->required();
  command.add_option("--platform", platform, "which image of an index to read")
      ->option_text("OS/ARCH[/VARIANT]");
}

void add_directory_flags(CLI::App& command, DirectoryFlags& flags) {
  command
      .add_option("--dialect", flags.dialect,
                  "of a directory, how it marks deletions: plain (default), overlay, overlay-user, "
                  "aufs or fuse-overlayfs")
      ->option_text("DIALECT");
  command
      .add_option("--uid-map", flags.uid_maps,
                  "of a directory, whose files have shifted owners; may be given again")
      ->option_text("INSIDE:OUTSIDE:COUNT")
      ->allow_extra_args(false);  // else it would take SOURCE as well
  command.add_option("--gid-map", flags.gid_maps, "the same for groups; without it as --uid-map")
      ->option_text("INSIDE:OUTSIDE:COUNT")
      ->allow_extra_args(false);
}

Result<void> apply(const DirectoryFlags& flags, image::ImageOptions& options) {
  if (!flags.dialect.empty()) {
    ASSAY_ASSIGN(options.dialect, image::parse_dialect(flags.dialect));
  }
  ASSAY_ASSIGN(options.uid_map, parse_map(flags.uid_maps, "--uid-map"));
  ASSAY_ASSIGN(options.gid_map, parse_map(flags.gid_maps, "--gid-map"));
  if (flags.gid_maps.empty()) options.gid_map = options.uid_map;
  return ok();
}

}  // namespace assay::cli
