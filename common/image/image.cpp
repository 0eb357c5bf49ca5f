// SPDX-License-Identifier: Apache-2.0
#include "common/image/image.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <set>

#include "common/base/encoding.h"
#include "common/base/sha256.h"
#include "common/image/fetch_advice.h"
#include "common/image/image_files.h"
#include "common/image/manifest_choice.h"
#include "common/image/oci_json.h"
#include "common/image/root_form.h"
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

// One layer, read to its end; the tree is empty unless other forms are wanted.
struct ReadLayer {
  LayerFingerprint fingerprint;
  LayerTree tree;
};

ImageLayer image_layer(const ReadLayer& read, Scope scope) {
  ImageLayer layer;
  layer.fingerprint = read.fingerprint;
  layer.deviceless = fingerprint_without_devices(read.tree, scope);
  return layer;
}

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

// Whether this layer can be read at all.
Result<void> check_layer(const Descriptor& layer, const std::string& file, bool is_there) {
  const std::string name = "layer \"" + file + "\"";
  if (layer.media_type.ends_with("+encrypted"))
    return Error{ErrorCode::kUnsupported,
                 name + " is encrypted; decrypt it with skopeo copy --decryption-key"};
  if (is_there) return ok();
  const bool is_foreign = layer.media_type.find("nondistributable") != std::string::npos ||
                          layer.media_type.find(".foreign.") != std::string::npos;
  return Error{
      ErrorCode::kNotFound,
      name + (is_foreign ? " is not in the image: it may not be distributed with it "
                           "(foreign layer), so its bytes lie elsewhere; put them into "
                           "blobs/sha256/ of an OCI layout and read that"
                         : " is not in the image; it is incomplete, copy or save it again")};
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
      const std::string file = "blobs/sha256/" + layer.digest.hex();
      ASSAY_TRY(check_layer(layer, file, files_.has(file)));
      plan.push_back({file, layer.media_type, config.diff_ids[i], layer});
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
    ReadLayers layers;
    const bool keeps_trees = options_.wants_other_forms || options_.on_merged;
    ASSAY_TRY(read_files(by_file, options_.scope, keeps_trees, layers));
    // Hard links can make a file interesting after it has passed; it takes no second hashing.
    std::erase_if(by_file, [&](const auto& one) {
      const LayerObserver* observer = observer_of(*one.second);
      return observer == nullptr || !observer->wants_again();
    });
    if (!by_file.empty()) {
      ReadLayers again;
      ASSAY_TRY(read_files(by_file, Scope::kShape, false, again));
    }
    std::optional<ChainId> chain;
    for (const PlannedLayer& layer : plan) {
      chain = chain_id_of(chain, layer.diff_id);
      ImageLayer& made =
          image_.layers.emplace_back(image_layer(layers[layer.file], options_.scope));
      made.diff_id = layer.diff_id;
      made.chain_id = chain;
      made.media_type = layer.media_type;
    }
    if (keeps_trees && !options_.only_layer) put_together(plan, layers);
    return std::move(image_);
  }

  using LayersByFile = std::map<std::string, const PlannedLayer*>;
  using ReadLayers = std::map<std::string, ReadLayer>;

  Result<void> read_files(const LayersByFile& by_file, Scope scope, bool keeps_trees,
                          ReadLayers& layers) {
    std::set<std::string> names;
    for (const auto& [name, layer] : by_file)
      names.insert(name);
    bytes_left_ = content_left_ = options_.max_image_bytes;
    progress_ = {0, files_.total_bytes(names), 0, 0, names.size()};
    return files_.visit(names, [&](const std::string& name, ByteSource& bytes) -> Result<void> {
      ++progress_.layer;
      if (options_.progress) options_.progress(progress_);
      const PlannedLayer& layer = *by_file.at(name);
      LayerTreeKeeper keeper(observer_of(layer));
      auto fingerprint =
          read_layer(layer, scope, bytes, keeps_trees ? &keeper : observer_of(layer));
      if (!fingerprint)
        return std::move(fingerprint.error())
            .with_context("layer \"" + escape_untrusted(name) + "\"");
      layers.emplace(name, ReadLayer{*fingerprint, std::move(keeper.tree())});
      return ok();
    });
  }

  LayerObserver* observer_of(const PlannedLayer& layer) const {
    return options_.observer_of ? options_.observer_of(layer.place) : nullptr;
  }

  void put_together(const std::vector<PlannedLayer>& plan,
                    const std::map<std::string, ReadLayer>& layers) {
    MergedTree merged;
    for (const PlannedLayer& layer : plan) {
      merged.add(layers.at(layer.file).tree);
      if (merged.size() > options_.limits.max_entries) return;
    }
    if (options_.wants_other_forms) image_.root = merged.fingerprint(options_.scope);
    if (options_.on_merged) merged.show(options_.on_merged);
  }

  // The digests are compared although the tar was parsed first: nothing of it is used otherwise.
  Result<LayerFingerprint> read_layer(const PlannedLayer& layer, Scope scope, ByteSource& bytes,
                                      LayerObserver* observer) {
    HashingSource blob(bytes);
    ASSAY_ASSIGN(const std::unique_ptr<ByteSource> plain, decompress(blob));
    LimitedSource limited(*plain, bytes_left_, options_.max_image_bytes);
    HashingSource tar(limited);
    FingerprintLimits limits = options_.limits;  // holes are no bytes of the tar, but take time
    limits.max_content_bytes = std::min(limits.max_content_bytes, content_left_);
    auto result = fingerprint_tar(tar, scope, limits, observer);
    if (!result) return result;
    content_left_ -= result->content_bytes;
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
  std::uint64_t bytes_left_ = 0;    // decompressed
  std::uint64_t content_left_ = 0;  // of files, with their holes
};

Result<Image> read_directory(int fd, const ImageOptions& options, std::stop_token stop) {
  WalkOptions walk;
  walk.dialect = options.dialect;
  walk.scope = options.scope;
  walk.uid_map = options.uid_map;
  walk.gid_map = options.gid_map;
  walk.wants_root_form = options.wants_other_forms && options.dialect == Dialect::kPlain;
  walk.limits = options.limits;
  walk.hash_thread = HashThread::kOwn;
  LayerTreeKeeper keeper(options.observer_of ? options.observer_of(0) : nullptr);
  const bool keeps_tree = options.wants_other_forms || options.on_merged;
  walk.observer = keeps_tree ? &keeper : options.observer_of ? options.observer_of(0) : nullptr;
  if (options.progress)
    walk.progress = [&](const WalkProgress& read) {
      options.progress({read.bytes, 0, read.files, 1, 1});
    };
  ReadLayer read;
  ASSAY_ASSIGN(read.fingerprint, fingerprint_directory(fd, walk, std::move(stop)));
  read.tree = std::move(keeper.tree());
  if (options.on_merged) std::ranges::for_each(read.tree.entries, options.on_merged);
  Image image;
  image.kind = SourceKind::kDirectory;
  image.root = read.fingerprint.root;
  image.layers.push_back(image_layer(read, options.scope));
  return image;
}

Result<Image> read_files(ImageFiles& files, const Source& source, const ImageOptions& options,
                         SourceKind oci_kind, ReadProgress& progress) {
  if (options.dialect != Dialect::kPlain || !options.uid_map.empty() || !options.gid_map.empty())
    return Error{ErrorCode::kInvalidArgument,
                 "a dialect and id maps are for directories: an image file says by itself what it "
                 "deletes and who owns what; dir:PATH forces a folder to be read as a directory"};
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
  if (may_be_docker && files.has("repositories"))
    return Error{
        ErrorCode::kUnsupported,
        "an archive of docker before 1.10, which names no layers by their digests; load it "
        "into a newer docker and save it again"};
  return Error{
      ErrorCode::kInvalidArgument,
      "not an OCI or docker image (no oci-layout with index.json, no manifest.json); a root "
      "file system as a tar becomes one with: podman import FILE NAME, podman save "
      "--format oci-archive -o OUT NAME"};
}

// A damaged image and one that was made to deceive look alike.
Result<Image> with_advice(Result<Image> image) {
  if (!image && image.error().code == ErrorCode::kCorrupt)
    image.error().message +=
        "; copy or save the image again, and do not use it when that does not help";
  return image;
}

Result<Image> read_archive(const Source& source, const ImageOptions& options, ReadSettings settings,
                           ReadProgress& progress) {
  ASSAY_ASSIGN(const std::unique_ptr<ImageFiles> files,
               open_archive(source.path, std::move(settings)));
  return read_files(*files, source, options, SourceKind::kOciArchive, progress);
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
    return with_advice(read_files(*files, source, options, SourceKind::kOciLayout, progress));
  }
  if (!S_ISREG(status.st_mode))
    return Error{ErrorCode::kInvalidArgument, "neither a folder nor a file"};
  if (source.kind == SourceKind::kDirectory || source.kind == SourceKind::kOciLayout)
    return Error{ErrorCode::kInvalidArgument, "not a folder"};
  return with_advice(read_archive(source, options, std::move(settings), progress));
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
