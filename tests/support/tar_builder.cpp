// SPDX-License-Identifier: Apache-2.0
#include "tests/support/tar_builder.h"

#include <archive.h>
#include <archive_entry.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "common/base/sha256.h"

namespace assay::tests {
namespace {

constexpr std::size_t kBlock = 512;

void put_octal(std::string& block, std::size_t offset, std::size_t length, std::uint64_t value) {
  std::array<char, 32> text = {};
  std::snprintf(text.data(), text.size(), "%0*llo", static_cast<int>(length) - 1,
                static_cast<unsigned long long>(value));
  block.replace(offset, length - 1, text.data(), length - 1);
}

std::string compress(std::string_view bytes, int filter) {
  struct archive* out = archive_write_new();
  archive_write_set_format_raw(out);
  archive_write_add_filter(out, filter);
  std::string packed(bytes.size() + (1U << 16), '\0');
  std::size_t used = 0;
  archive_write_open_memory(out, packed.data(), packed.size(), &used);
  struct archive_entry* entry = archive_entry_new();
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_write_header(out, entry);
  archive_write_data(out, bytes.data(), bytes.size());
  archive_entry_free(entry);
  if (archive_write_close(out) != ARCHIVE_OK) throw std::runtime_error("cannot compress");
  archive_write_free(out);
  packed.resize(used);
  return packed;
}

std::string quoted_list(const std::vector<std::string>& items) {
  std::string list;
  for (const std::string& item : items)
    list += (list.empty() ? "\"" : ",\"") + item + "\"";
  return "[" + list + "]";
}

std::string config_json(const std::vector<ImageLayerBytes>& layers, const std::string& os,
                        const std::string& architecture) {
  std::vector<std::string> diff_ids;
  for (const ImageLayerBytes& layer : layers)
    diff_ids.push_back(layer.diff_id.empty() ? digest_text(layer.blob) : layer.diff_id);
  return R"({"created":"2026-01-02T03:04:05Z","os":")" + os + R"(","architecture":")" +
         architecture + R"(","config":{},"rootfs":{"type":"layers","diff_ids":)" +
         quoted_list(diff_ids) + "}}";
}

std::string descriptor(const std::string& media_type, std::string_view bytes) {
  return R"({"mediaType":")" + media_type + R"(","digest":")" + digest_text(bytes) +
         R"(","size":)" + std::to_string(bytes.size()) + "}";
}

std::string blob_name(std::string_view bytes) {
  return "blobs/sha256/" + digest_text(bytes).substr(std::string_view("sha256:").size());
}

}  // namespace

TarItem tar_item(const std::string& name, char type, const std::string& data) {
  TarItem made;
  made.name = name;
  made.type = type;
  made.data = data;
  return made;
}

TarItem tar_link(const std::string& name, char type, const std::string& target) {
  TarItem made = tar_item(name, type);
  made.link = target;
  return made;
}

TarBuilder& TarBuilder::add(const TarItem& item) {
  std::string block(kBlock, '\0');
  block.replace(0, std::min<std::size_t>(item.name.size(), 100), item.name.substr(0, 100));
  put_octal(block, 100, 8, item.mode);
  put_octal(block, 108, 8, item.uid);
  put_octal(block, 116, 8, item.gid);
  put_octal(block, 124, 12, item.data.size());
  put_octal(block, 136, 12, static_cast<std::uint64_t>(item.mtime_s));
  block.replace(148, 8, "        ");
  block[156] = item.type;
  block.replace(157, std::min<std::size_t>(item.link.size(), 100), item.link.substr(0, 100));
  block.replace(257, 8, std::string("ustar\00000", 8));
  for (const auto& [offset, bytes] : item.patches)
    block.replace(offset, bytes.size(), bytes);
  std::uint64_t sum = 0;
  for (const char byte : block)
    sum += static_cast<unsigned char>(byte);
  put_octal(block, 148, 7, sum);
  block[154] = '\0';
  bytes_ += block;
  bytes_ += item.data;
  bytes_.resize((bytes_.size() + kBlock - 1) / kBlock * kBlock);
  return *this;
}

TarBuilder& TarBuilder::pax(const std::vector<std::pair<std::string, std::string>>& records) {
  std::string data;
  for (const auto& [key, value] : records) {
    const std::string body = " " + key + "=" + value + "\n";
    std::size_t length = body.size() + 1;
    while (std::to_string(length).size() + body.size() != length)
      ++length;
    data += std::to_string(length) + body;
  }
  TarItem header;
  header.name = "pax";
  header.type = 'x';
  header.data = std::move(data);
  return add(header);
}

TarBuilder& TarBuilder::raw(std::string_view bytes) {
  bytes_ += bytes;
  return *this;
}

std::string TarBuilder::finish() const {
  return bytes_ + std::string(2 * kBlock, '\0');
}

std::string digest_text(std::string_view bytes) {
  return sha256(bytes).text();
}

std::string gzip(std::string_view bytes) {
  return compress(bytes, ARCHIVE_FILTER_GZIP);
}

std::string zstd(std::string_view bytes) {
  return compress(bytes, ARCHIVE_FILTER_ZSTD);
}

std::vector<ImageFile> oci_files(const std::vector<ImageLayerBytes>& layers,
                                 const std::string& platform_os, const std::string& architecture) {
  const std::string config = config_json(layers, platform_os, architecture);
  std::string list;
  for (const ImageLayerBytes& layer : layers)
    list += (list.empty() ? "" : ",") + descriptor(layer.media_type, layer.blob);
  const std::string manifest =
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":)" +
      descriptor("application/vnd.oci.image.config.v1+json", config) + R"(,"layers":[)" + list +
      "]}";
  const std::string index = R"({"schemaVersion":2,"manifests":[)" +
                            descriptor("application/vnd.oci.image.manifest.v1+json", manifest) +
                            "]}";
  std::vector<ImageFile> files = {{"oci-layout", R"({"imageLayoutVersion":"1.0.0"})"},
                                  {"index.json", index},
                                  {blob_name(manifest), manifest},
                                  {blob_name(config), config}};
  for (const ImageLayerBytes& layer : layers)
    files.push_back({blob_name(layer.blob), layer.blob});
  return files;
}

std::vector<ImageFile> docker_files(const std::vector<ImageLayerBytes>& layers,
                                    const std::string& tag) {
  const std::string config = config_json(layers, "linux", "amd64");
  const std::string config_name = sha256(config).hex() + ".json";
  std::vector<ImageFile> files = {{config_name, config}};
  std::vector<std::string> names;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    names.push_back("layer" + std::to_string(i) + "/layer.tar");
    files.push_back({names.back(), layers[i].blob});
  }
  files.push_back({"manifest.json", R"([{"Config":")" + config_name + R"(","RepoTags":[")" + tag +
                                        R"("],"Layers":)" + quoted_list(names) + "}]"});
  return files;
}

std::string pack(const std::vector<ImageFile>& files) {
  TarBuilder tar;
  for (const ImageFile& file : files) {
    TarItem item;
    item.name = file.name;
    item.data = file.bytes;
    tar.add(item);
  }
  return tar.finish();
}

void write_files(const std::string& folder, const std::vector<ImageFile>& files) {
  for (const ImageFile& file : files) {
    const std::filesystem::path path = std::filesystem::path(folder) / file.name;
    std::filesystem::create_directories(path.parent_path());
    write_bytes(path, file.bytes);
  }
}

void write_bytes(const std::string& path, std::string_view bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!out) throw std::runtime_error("cannot write " + path);
}

std::string read_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace assay::tests
