// SPDX-License-Identifier: Apache-2.0
#include "common/image/image.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <map>
#include <set>

#include "common/base/encoding.h"
#include "common/base/sha256.h"
#include "common/image/directory.h"
#include "common/image/fetch_advice.h"
#include "common/image/image_files.h"
#include "common/image/manifest_choice.h"
#include "common/image/oci_json.h"
#include "common/image/tar_layer.h"

namespace assay::image {
namespace {

constexpr int kMaxIndexDepth = 4;

struct Source {
  std::string path;
  std::optional<SourceKind> kind;  // when the user said it
};

// What the manifest says about one layer before its bytes are read.
struct PlannedLayer {
  std::string file;  // name in the image, links resolved
  std::string media_type;
  DiffId diff_id;
  std::optional<Descriptor> blob;  // OCI only: digest and size of the compressed bytes
  std::size_t place = 0;           // in the stack, from 0, bottom first
};

Result<Source> parse_source(const std::string& source) {
  constexpr std::pair<std::string_view, SourceKind> kPrefixes[] = {
      {"dir:", SourceKind::kDirectory},
      {"oci:", SourceKind::kOciLayout},
      {"oci-archive:", SourceKind::kOciArchive},
      {"docker-archive:", SourceKind::kDockerArchive}};
  for (const auto& [prefix, kind] : kPrefixes)
    if (source.starts_with(prefix)) return Source{source.substr(prefix.size()), kind};
  if (auto advice = advice_on_transport(source)) return *std::move(advice);
  return Source{source, std::nullopt};
}

Error with_source(Error error, const std::string& source) {
  return std::move(error).with_context("\"" + escape_untrusted(source) + "\"");
}

Result<std::string> verified_json(ImageFiles& files, const Descriptor& descriptor) {
  ASSAY_ASSIGN(std::string text, files.small("blobs/sha256/" + descriptor.digest.hex()));
  if (sha256(text) != descriptor.digest || text.size() != descriptor.size)
    return Error{ErrorCode::kCorrupt, "blob " + descriptor.digest.text() +
                                          " does not have the digest and size that it is named by"};
  return text;
}

class ImageReader {
 public:
  ImageReader(ImageFiles& files, const ImageOptions& options, ReadProgress& progress)
      : files_(files), options_(options), progress_(progress) {}

  Result<Image> read_oci() {
    ASSAY_ASSIGN(const std::string index, files_.small("index.json"));
    ASSAY_ASSIGN(const Descriptor descriptor, find_manifest(index));
    ASSAY_ASSIGN(const std::string text, verified_json(files_, descriptor));
    ASSAY_ASSIGN(const Manifest manifest, parse_manifest(text));
    ASSAY_ASSIGN(const std::string config_text, verified_json(files_, manifest.config));
    ASSAY_ASSIGN(const ImageConfig config, parse_image_config(config_text));
    image_.manifest_digest = descriptor.digest.text();
    image_.config_digest = manifest.config.digest.text();
    ASSAY_TRY(take_config(config, manifest.layers.size()));
    std::vector<PlannedLayer> plan;
    for (std::size_t i = 0; i < manifest.layers.size(); ++i) {
      const Descriptor& layer = manifest.layers[i];
      if (layer.media_type.ends_with("+encrypted"))
        return Error{ErrorCode::kUnsupported, "layer " + layer.digest.text() + " is encrypted"};
      plan.push_back(
          {"blobs/sha256/" + layer.digest.hex(), layer.media_type, config.diff_ids[i], layer});
    }
    return read_layers(std::move(plan));
  }

  Result<Image> read_docker() {
    ASSAY_ASSIGN(const std::string text, files_.small("manifest.json"));
    ASSAY_ASSIGN(const std::vector<DockerManifest> images, parse_docker_manifest(text));
    if (images.size() != 1)
      return Error{ErrorCode::kInvalidArgument,
                   "it holds " + std::to_string(images.size()) + " images; save one alone"};
    const DockerManifest& manifest = images.front();
    ASSAY_ASSIGN(const std::string config_text, files_.small(manifest.config));
    ASSAY_ASSIGN(const ImageConfig config, parse_image_config(config_text));
    if (!manifest.repo_tags.empty()) image_.reference = manifest.repo_tags.front();
    image_.config_digest = sha256(config_text).text();
    ASSAY_TRY(take_config(config, manifest.layers.size()));
    std::vector<PlannedLayer> plan;
    for (std::size_t i = 0; i < manifest.layers.size(); ++i)
      plan.push_back({manifest.layers[i], "", config.diff_ids[i], std::nullopt});
    return read_layers(std::move(plan));
  }

 private:
  // Goes down from index to index to the one manifest that is meant.
  Result<Descriptor> find_manifest(std::string index) {
    for (int depth = 0; depth < kMaxIndexDepth; ++depth) {
      ASSAY_ASSIGN(const std::vector<Descriptor> manifests, parse_index(index));
      ASSAY_ASSIGN(Descriptor chosen, choose_manifest(manifests, options_.platform));
      if (image_.reference.empty()) image_.reference = chosen.ref_name;
      if (!chosen.is_index()) return chosen;
      ASSAY_ASSIGN(index, verified_json(files_, chosen));
    }
    return Error{ErrorCode::kCorrupt, "indexes lie too deep in one another"};
  }

  Result<void> take_config(const ImageConfig& config, std::size_t layers) {
    image_.platform = config.platform.text();
    image_.created = config.created;
    if (config.diff_ids.size() != layers)
      return Error{ErrorCode::kCorrupt, "the manifest has " + std::to_string(layers) +
                                            " layers, the config " +
                                            std::to_string(config.diff_ids.size()) + " diff IDs"};
    if (options_.platform.empty()) return ok();
    ASSAY_ASSIGN(const Platform wanted, parse_platform_text(options_.platform));
    if (!is_platform_match(wanted, config.platform))
      return Error{ErrorCode::kNotFound, "no image for " + escape_untrusted(options_.platform) +
                                             "; there is: " + escape_untrusted(image_.platform)};
    return ok();
  }

  Result<Image> read_layers(std::vector<PlannedLayer> plan) {
    std::map<std::string, const PlannedLayer*> by_file;
    for (PlannedLayer& layer : plan) {
      layer.place = static_cast<std::size_t>(&layer - plan.data());
      ASSAY_ASSIGN(layer.file, files_.resolve(layer.file));
      if (options_.only_layer.value_or(layer.place) != layer.place) continue;
      const auto [known, is_new] = by_file.emplace(layer.file, &layer);
      if (!is_new && known->second->diff_id != layer.diff_id)
        return Error{ErrorCode::kCorrupt,
                     "two diff IDs for \"" + escape_untrusted(layer.file) + "\""};
    }
    std::map<std::string, LayerFingerprint> fingerprints;
    ASSAY_TRY(read_files(by_file, options_.scope, fingerprints));
    // Hard links can make a file interesting after it has passed; it takes no second hashing.
    std::erase_if(by_file, [&](const auto& one) {
      const LayerObserver* observer = observer_of(*one.second);
      return observer == nullptr || !observer->wants_again();
    });
    if (!by_file.empty()) {
      std::map<std::string, LayerFingerprint> again;
      ASSAY_TRY(read_files(by_file, Scope::kShape, again));
    }
    std::optional<ChainId> chain;
    for (const PlannedLayer& layer : plan) {
      chain = chain_id_of(chain, layer.diff_id);
      image_.layers.push_back({layer.diff_id, chain, layer.media_type, fingerprints[layer.file]});
    }
    return std::move(image_);
  }

  using LayersByFile = std::map<std::string, const PlannedLayer*>;

  Result<void> read_files(const LayersByFile& by_file, Scope scope,
                          std::map<std::string, LayerFingerprint>& fingerprints) {
    std::set<std::string> names;
    for (const auto& [name, layer] : by_file)
      names.insert(name);
    bytes_left_ = options_.max_image_bytes;
    progress_ = {0, files_.total_bytes(names), 0, 0, names.size()};
    return files_.visit(names, [&](const std::string& name, ByteSource& bytes) -> Result<void> {
      ++progress_.layer;
      if (options_.progress) options_.progress(progress_);
      auto fingerprint = read_layer(*by_file.at(name), scope, bytes);
      if (!fingerprint)
        return std::move(fingerprint.error())
            .with_context("layer \"" + escape_untrusted(name) + "\"");
      fingerprints.emplace(name, *fingerprint);
      return ok();
    });
  }

  LayerObserver* observer_of(const PlannedLayer& layer) const {
    return options_.observer_of ? options_.observer_of(layer.place) : nullptr;
  }

  // The digests are compared although the tar was parsed first: nothing of it is used otherwise.
  Result<LayerFingerprint> read_layer(const PlannedLayer& layer, Scope scope, ByteSource& bytes) {
    HashingSource blob(bytes);
    ASSAY_ASSIGN(const std::unique_ptr<ByteSource> plain, decompress(blob));
    LimitedSource limited(*plain, bytes_left_);
    HashingSource tar(limited);
    auto result = fingerprint_tar(tar, scope, options_.limits, observer_of(layer));
    if (!result) return result;
    ASSAY_TRY(drain(blob));
    if (layer.blob && blob.bytes() != layer.blob->size)
      return Error{ErrorCode::kCorrupt, "has " + std::to_string(blob.bytes()) +
                                            " bytes, the manifest says " +
                                            std::to_string(layer.blob->size)};
    if (layer.blob && blob.digest() != layer.blob->digest)
      return Error{ErrorCode::kCorrupt, "its bytes do not have the digest that the manifest says"};
    if (DiffId{tar.digest().bytes} != layer.diff_id)
      return Error{ErrorCode::kCorrupt, "its bytes do not have the diff ID that the config says, " +
                                            layer.diff_id.text()};
    return result;
  }

  ImageFiles& files_;
  const ImageOptions& options_;
  ReadProgress& progress_;
  Image image_;
  std::uint64_t bytes_left_ = 0;
};

Result<Image> read_directory(int fd, const ImageOptions& options, std::stop_token stop) {
  WalkOptions walk;
  walk.dialect = Dialect::kPlain;
  walk.scope = options.scope;
  walk.limits = options.limits;
  if (options.observer_of) walk.observer = options.observer_of(0);
  if (options.progress)
    walk.progress = [&](std::uint64_t files, std::uint64_t bytes) {
      options.progress({bytes, 0, files, 1, 1});
    };
  ASSAY_ASSIGN(const LayerFingerprint fingerprint,
               fingerprint_directory(fd, walk, std::move(stop)));
  Image image;
  image.kind = SourceKind::kDirectory;
  image.layers.push_back({std::nullopt, std::nullopt, "", fingerprint});
  return image;
}

Result<Image> read_files(ImageFiles& files, const Source& source, const ImageOptions& options,
                         SourceKind oci_kind, ReadProgress& progress) {
  const bool may_be_oci = source.kind != SourceKind::kDockerArchive;
  const bool may_be_docker = !source.kind || source.kind == SourceKind::kDockerArchive;
  ImageReader reader(files, options, progress);
  if (may_be_oci && files.has("oci-layout") && files.has("index.json")) {
    ASSAY_ASSIGN(Image image, reader.read_oci());
    image.kind = oci_kind;
    return image;
  }
  if (may_be_docker && files.has("manifest.json")) {
    ASSAY_ASSIGN(Image image, reader.read_docker());
    image.kind = SourceKind::kDockerArchive;
    return image;
  }
  return Error{
      ErrorCode::kInvalidArgument,
      "not an OCI or docker image (no oci-layout with index.json, no manifest.json); a root "
      "file system as a tar becomes one with: podman import FILE NAME, podman save "
      "--format oci-archive -o OUT NAME"};
}

Result<Image> read_opened(const Source& source, UniqueFd held, const ImageOptions& options,
                          std::stop_token stop) {
  struct stat status = {};
  if (::fstat(held.get(), &status) != 0) return system_error("stat");
  ReadProgress progress{0, static_cast<std::uint64_t>(status.st_size), 0, 0, 0};
  ReadSettings settings{options.max_image_bytes, nullptr, stop};
  if (options.progress)
    settings.progress = [&](std::uint64_t bytes) {
      progress.bytes = bytes;
      options.progress(progress);
    };
  if (S_ISDIR(status.st_mode)) {
    struct stat mark = {};
    const bool has_mark = ::fstatat(held.get(), "oci-layout", &mark, AT_SYMLINK_NOFOLLOW) == 0;
    if (source.kind == SourceKind::kDirectory || (!source.kind && !has_mark))
      return read_directory(held.get(), options, std::move(stop));
    const auto files = open_layout_folder(std::move(held), std::move(settings));
    return read_files(*files, source, options, SourceKind::kOciLayout, progress);
  }
  if (!S_ISREG(status.st_mode))
    return Error{ErrorCode::kInvalidArgument, "neither a folder nor a file"};
  if (source.kind == SourceKind::kDirectory || source.kind == SourceKind::kOciLayout)
    return Error{ErrorCode::kInvalidArgument, "not a folder"};
  ASSAY_ASSIGN(const std::unique_ptr<ImageFiles> files,
               open_archive(source.path, std::move(settings)));
  return read_files(*files, source, options, SourceKind::kOciArchive, progress);
}

}  // namespace

std::string_view to_string(SourceKind kind) {
  switch (kind) {
    case SourceKind::kOciLayout:
      return "oci-layout";
    case SourceKind::kOciArchive:
      return "oci-archive";
    case SourceKind::kDockerArchive:
      return "docker-archive";
    case SourceKind::kDirectory:
      return "directory";
  }
  return "unknown";
}

Result<Image> read_image(const std::string& source, const ImageOptions& options,
                         std::stop_token stop) {
  ASSAY_ASSIGN(const Source parsed, parse_source(source));
  UniqueFd held(::open(parsed.path.c_str(), O_PATH | O_CLOEXEC));
  if (!held) {
    const int code = errno;
    if ((code == ENOENT || code == ENOTDIR) && !parsed.kind)
      if (auto advice = advice_on_name(source)) return *std::move(advice);
    return system_error("open \"" + escape_untrusted(parsed.path) + "\"", code);
  }
  auto image = read_opened(parsed, std::move(held), options, std::move(stop));
  if (!image) return with_source(std::move(image.error()), source);
  return image;
}

}  // namespace assay::image
