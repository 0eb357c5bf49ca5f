// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/directory_flags.h"
#include "cli/output/table.h"
#include "common/image/image.h"

namespace assay::cli {
namespace {

struct Options {
  std::string source;
  std::string platform;
  DirectoryFlags directory;
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

Value to_value(const std::string& source, const image::Image& image) {
  Array layers;
  for (const auto& layer : image.layers)
    layers.push_back(to_value(layer, layers.size() + 1));
  return Object{{"source", source},
                {"source_kind", image::to_string(image.kind)},
                {"reference", image.reference},
                {"platform", image.platform},
                {"manifest_digest", image.manifest_digest},
                {"config_digest", image.config_digest},
                {"created", image.created},
                {"fingerprint_version", image::kFingerprintVersion},
                {"layers", std::move(layers)},
                {"root", image.root ? to_value(*image.root) : Value()}};
}

std::vector<Section> sections() {
  return {{.columns = {{"Source", "source"},
                       {"Kind", "source_kind"},
                       {"Reference", "reference"},
                       {"Platform", "platform"},
                       {"Manifest", "manifest_digest"},
                       {"Config", "config_digest"},
                       {"Created", "created", Style::kPlain, true},
                       {"Root shape", "root.shape", Style::kDigest, true},
                       {"Root content", "root.content", Style::kDigest, true}},
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
}

Result<Outcome> fingerprint(const Options& options, Session& session) {
  image::ImageOptions wanted;
  wanted.platform = options.platform;
  ASSAY_TRY(apply(options.directory, wanted));
  wanted.progress = [&](std::uint64_t bytes) {
    session.terminal().progress("reading " + options.source + ": " + format_bytes(bytes));
  };
  const auto image = image::read_image(options.source, wanted, {});
  session.terminal().end_progress();
  if (!image) return image.error();
  return Outcome{{to_value(options.source, *image), sections()}};
}

}  // namespace

void add_fingerprint(CLI::App& app, Invocation& invocation) {
  // Shared by the parser, which fills it, and the command, which runs after.
  const auto options = std::make_shared<Options>();
  CLI::App& command = add_command(
      app, "fingerprint", "Print the digests of an image's or a directory's layers", invocation,
      [options](Session& session) { return fingerprint(*options, session); });
  command.group("Images and keys (no collector needed)");
  command
      .add_option("SOURCE", options->source,
                  "OCI layout, OCI or docker archive, or directory; dir:, oci:, oci-archive: or "
                  "docker-archive: before the path force a kind")
      ->required();
  command.add_option("--platform", options->platform, "which image of an index to read")
      ->option_text("OS/ARCH[/VARIANT]");
  add_directory_flags(command, options->directory);
}

}  // namespace assay::cli
