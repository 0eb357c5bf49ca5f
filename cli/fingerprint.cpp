// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/about_view.h"
#include "cli/base_search.h"
#include "cli/commands.h"
#include "cli/directory_flags.h"
#include "cli/image_diff.h"
#include "cli/image_reading.h"
#include "cli/known_bases.h"
#include "cli/layered_image.h"

namespace assay::cli {
namespace {

struct Options {
  std::string source;
  std::string platform;
  DirectoryFlags directory;
  BaseFlags bases;
  std::string other;  // --diff
  std::uint64_t max_paths = DiffOptions{}.max_paths;
};

Value to_value(const image::ImageLayer& layer, std::uint64_t number) {
  const image::LayerFingerprint& print = layer.fingerprint;
  Value deviceless;
  if (layer.deviceless)
    deviceless = Object{{"shape", layer.deviceless->shape}, {"content", layer.deviceless->content}};
  return Object{{"layer", number},
                {"diff_id", layer.diff_id},
                {"chain_id", layer.chain_id},
                {"media_type", layer.media_type},
                {"shape", print.shape},
                {"content", print.content},
                {"deletions", print.deletions},
                {"entries", print.entries},
                {"content_bytes", print.content_bytes},
                {"deviceless", std::move(deviceless)},
                {"has_redirects", print.has_redirects},
                {"is_runtime_injected", print.is_runtime_injected}};
}

Value to_value(const image::RootFingerprint& root) {
  return Object{{"shape", root.shape},
                {"content", root.content},
                {"entries", root.entries},
                {"content_bytes", root.content_bytes}};
}

Object to_value(const std::string& source, const DescribedImage& described) {
  const image::Image& image = described.image;
  Array layers;
  for (const auto& layer : image.layers)
    layers.push_back(to_value(layer, layers.size() + 1));
  Object object{{"source", source},
                {"source_kind", image::to_string(image.kind)},
                {"reference", image.reference},
                {"platform", image.platform},
                {"manifest_digest", image.manifest_digest},
                {"config_digest", image.config_digest},
                {"created", image.created},
                {"fingerprint_version", image::kFingerprintVersion},
                {"layers", std::move(layers)},
                {"root", image.root ? to_value(*image.root) : Value()}};
  add_about(object, described.about, /*with_lists=*/true);
  return object;
}

std::vector<Section> sections(const catalog::About& about) {
  std::vector<Section> shown{{.columns = {{"Source", "source"},
                                          {"Kind", "source_kind"},
                                          {"Reference", "reference"},
                                          {"Platform", "platform"},
                                          {"Manifest", "manifest_digest"},
                                          {"Config", "config_digest"},
                                          {"Created", "created", Style::kPlain, true}},
                              .is_record = true},
                             {.title = "Layers, bottom first",
                              .path = "layers",
                              .columns = {{"LAYER", "layer"},
                                          {"DIFF ID", "diff_id", Style::kDigest},
                                          {"CHAIN ID", "chain_id", Style::kDigest},
                                          {"SHAPE", "shape", Style::kDigest},
                                          {"CONTENT", "content", Style::kDigest},
                                          {"DELETIONS", "deletions", Style::kDigest},
                                          {"ENTRIES", "entries"},
                                          {"BYTES", "content_bytes"},
                                          {"MEDIA TYPE", "media_type", Style::kPlain, true}}}};
  add_about_sections(shown, about);
  return shown;
}

/// A reading of its own: it keeps what the layers hold, which digests alone do not need.
Result<BaseSearch> search_for(const Options& options, const image::ImageOptions& wanted,
                              Session& session) {
  ASSAY_ASSIGN(const KnownBases known, known_bases(options.bases, options.platform, session));
  ASSAY_ASSIGN(const LayeredImage layered, read_layers(options.source, wanted, session));
  return search_bases(layered, known, session.now());
}

Result<Outcome> fingerprint(const Options& options, Session& session) {
  image::ImageOptions wanted;
  wanted.platform = options.platform;
  ASSAY_TRY(apply(options.directory, wanted));
  if (!options.other.empty())
    return diff_images({options.source, options.other, std::move(wanted), options.max_paths},
                       session);
  std::optional<BaseSearch> search;
  if (options.bases.are_wanted()) {
    ASSAY_ASSIGN(search, search_for(options, wanted, session));
  }
  wanted.wants_other_forms = true;
  ASSAY_ASSIGN(const DescribedImage described,
               read_described(options.source, std::move(wanted), /*keeps_packages=*/true, session));
  Object value = to_value(options.source, described);
  std::vector<Section> shown = sections(described.about);
  if (search) {
    add_search(value, *search);
    shown.front().columns.push_back({"Base", "base"});
    shown.front().columns.push_back({"Evidence", "evidence"});
    add_search_sections(shown, *search);
  }
  return Outcome{{std::move(value), std::move(shown)}};
}

}  // namespace

void add_fingerprint(CLI::App& app, Invocation& invocation) {
  // Shared by the parser, which fills it, and the command, which runs after.
  const auto options = std::make_shared<Options>();
  CLI::App& command = add_command(
      app, "fingerprint", "Print the digests of an image's or a directory's layers", invocation,
      [options](Session& session) { return fingerprint(*options, session); });
  command.group("Images and keys (no collector needed)");
  add_source(command, options->source, options->platform);
  add_directory_flags(command, options->directory);
  add_base_flags(command, options->bases);
  CLI::Option* other =
      command
          .add_option("--diff", options->other, "print which paths make SOURCE and OTHER differ")
          ->option_text("OTHER")
          ->excludes("--base")
          ->excludes("--catalog");
  command
      .add_option("--max-paths", options->max_paths,
                  "with --diff: paths to show of one layer, 0 for all (default: 100)")
      ->option_text("N")
      ->needs(other);
}

}  // namespace assay::cli
