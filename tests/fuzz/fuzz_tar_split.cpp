// SPDX-License-Identifier: Apache-2.0
// Any bytes as a tar-split, plain or compressed, over a directory with a few files: an error or a
// stream, and the same one twice. Whatever its lines say, no file outside the directory is read:
// the only file beside it would end the run.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "common/image/layer_stream.h"

using namespace assay;
using namespace assay::image;

namespace {

namespace fs = std::filesystem;

/// Made once, gone with the process.
class Tree {
 public:
  Tree() {
    std::string pattern = "/tmp/assay-fuzz-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    path_ = pattern;
    fs::create_directories(path_ + "/layer/etc");
    std::ofstream(path_ + "/layer/etc/one") << "one\n";
    std::ofstream(path_ + "/layer/big") << std::string(9000, 'b');
    fs::create_symlink("../outside", path_ + "/layer/link");
    fs::create_symlink("loop", path_ + "/layer/loop");
    if (::mkfifo((path_ + "/outside").c_str(), 0600) != 0) std::abort();  // opening it would hang
    fd_ = UniqueFd(::open((path_ + "/layer").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  ~Tree() {
    std::error_code error;
    fs::remove_all(path_, error);
  }
  int fd() const { return fd_.get(); }

 private:
  std::string path_;
  UniqueFd fd_;
};

Result<LayerStream> run(std::string_view bytes) {
  static const Tree tree;
  UniqueFd file(::memfd_create("fuzz", MFD_CLOEXEC));
  if (::write(file.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
    std::abort();
  ::lseek(file.get(), 0, SEEK_SET);
  FingerprintLimits limits;
  limits.max_content_bytes = 1U << 20;
  limits.max_entries = 1000;
  return read_tar_split(std::move(file), tree.fd(), limits, nullptr, {});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto first = run(bytes);
  const auto second = run(bytes);
  if (first.has_value() != second.has_value()) std::abort();
  if (first && (first->diff_id != second->diff_id || first->problem_count < first->problems.size()))
    std::abort();
  return 0;
}
