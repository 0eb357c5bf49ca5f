// SPDX-License-Identifier: Apache-2.0
// Tars and images made in a test, header by header, so that a test can also make bad ones.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace assay::tests {

struct TarItem {
  std::string name;
  char type = '0';
  std::string data;
  std::uint32_t mode = 0644;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::int64_t mtime_s = 1'700'000'000;
  std::string link;
  /// Bytes put over the header at the end, before the checksum: offset and text.
  std::vector<std::pair<std::size_t, std::string>> patches;
};

TarItem tar_item(const std::string& name, char type = '0', const std::string& data = "");
TarItem tar_link(const std::string& name, char type, const std::string& target);

/// Appends members to a ustar.
class TarBuilder {
 public:
  TarBuilder& add(const TarItem& item);
  /// A PAX header for the next member: "KEY" and value pairs.
  TarBuilder& pax(const std::vector<std::pair<std::string, std::string>>& records);
  /// Raw bytes as they are.
  TarBuilder& raw(std::string_view bytes);
  /// The tar with its two zero blocks.
  std::string finish() const;
  /// The tar so far, without an end.
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

struct ImageLayerBytes {
  std::string blob;     ///< as stored: the tar, or the tar compressed
  std::string diff_id;  ///< "sha256:…"; of the blob when empty
  std::string media_type = "application/vnd.oci.image.layer.v1.tar";
};

/// One blob or JSON file of an image.
struct ImageFile {
  std::string name;
  std::string bytes;
};

/// "sha256:…" of `bytes`.
std::string digest_text(std::string_view bytes);
std::string gzip(std::string_view bytes);
std::string zstd(std::string_view bytes);

/// The files of an OCI layout with one image, ready to be changed by a test.
std::vector<ImageFile> oci_files(const std::vector<ImageLayerBytes>& layers,
                                 const std::string& platform_os = "linux",
                                 const std::string& architecture = "amd64");
/// The files of `docker save` with one image.
std::vector<ImageFile> docker_files(const std::vector<ImageLayerBytes>& layers,
                                    const std::string& tag = "example/app:1");
std::string pack(const std::vector<ImageFile>& files);
/// Writes `files` below `folder`, making folders as needed.
void write_files(const std::string& folder, const std::vector<ImageFile>& files);
void write_bytes(const std::string& path, std::string_view bytes);
std::string read_bytes(const std::string& path);

}  // namespace assay::tests
