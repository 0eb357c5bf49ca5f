// SPDX-License-Identifier: Apache-2.0
#include "common/image/tar_layer.h"

#include "common/base/encoding.h"
#include "common/image/tar_reader.h"
#include "common/image/verity.h"

namespace assay::image {
namespace {

constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";

// The root's own metadata does not count, but it can be nothing else than a directory.
Result<void> check_root(const TarMember& member) {
  if (member.entry.type == EntryType::kDirectory) return ok();
  return Error{ErrorCode::kCorrupt, "tar: the layer's root is no directory"};
}

class TarLayer {
 public:
  TarLayer(ByteSource& source, Scope scope, const FingerprintLimits& limits,
           LayerObserver* observer, PayloadGuard* guard)
      : tar_(source), scope_(scope), builder_(limits), observer_(observer), guard_(guard) {
    if (scope == Scope::kContent) {
      hasher_ = make_block_hasher();
      batch_ = std::make_unique<VerityBatch>(*hasher_);
    }
  }

  Result<LayerFingerprint> read() {
    TarMember member;
    for (;;) {
      ASSAY_ASSIGN(const bool has_member, tar_.next(member));
      if (!has_member) break;
      if (member.entry.path.empty()) {
        ASSAY_TRY(check_root(member));
        continue;
      }
      const std::string path = escape_untrusted(member.entry.path);
      if (auto taken = take(member); !taken)
        return std::move(taken.error()).with_context("entry \"" + path + "\"");
    }
    const auto digests = batch_ ? batch_->finish() : std::vector<FileDigest>();
    return std::move(builder_).finish(scope_, digests, observer_);
  }

 private:
  Result<void> take(TarMember& member) {
    Entry& entry = member.entry;
    const std::size_t slash = entry.path.rfind('/');
    const std::size_t start = slash == std::string::npos ? 0 : slash + 1;
    const std::string_view base = std::string_view(entry.path).substr(start);
    if (base == kOpaque)
      return builder_.add_opaque(start == 0 ? std::string() : entry.path.substr(0, slash));
    if (base.starts_with(kWhiteout))
      return builder_.add_whiteout(entry.path.substr(0, start) +
                                   entry.path.substr(start + kWhiteout.size()));
    if (member.is_hard_link)
      return builder_.add_hard_link(entry.path, member.hard_link_target, &entry);
    if (entry.type == EntryType::kCharDevice && entry.device_major == 0 && entry.device_minor == 0)
      return builder_.add_whiteout(entry.path);
    if (entry.type == EntryType::kFile && (batch_ || observer_ != nullptr)) return take_file(entry);
    return builder_.add(std::move(entry));
  }

  // The entry goes in first, so that limits are checked before its bytes are read.
  Result<void> take_file(Entry& entry) {
    const std::size_t number = batch_ ? batch_->begin_file() : files_++;
    const std::string path = entry.path;
    const std::uint64_t size = entry.size;
    ASSAY_TRY(builder_.add(std::move(entry), number));
    if (guard_ != nullptr) guard_->begin_file(path, size);
    const std::uint64_t wanted = observer_ != nullptr ? observer_->wanted_bytes(path, number) : 0;
    const bool is_wanted = wanted > 0 && size <= wanted;
    std::string kept;
    if (is_wanted) kept.reserve(static_cast<std::size_t>(size));
    if (batch_) ASSAY_TRY(hash_file(is_wanted ? &kept : nullptr));
    if (!batch_ && is_wanted) ASSAY_TRY(keep_file(kept, size));
    if (is_wanted) observer_->on_file(path, number, MemoryBytes(kept));
    return ok();
  }

  Result<void> hash_file(std::string* kept) {
    for (;;) {
      const auto room = batch_->writable();
      char* const bytes = reinterpret_cast<char*>(room.data());
      ASSAY_ASSIGN(const std::size_t got, tar_.read({bytes, room.size()}));
      if (got == 0) break;
      if (kept != nullptr) kept->append(bytes, got);
      batch_->commit(got);
    }
    batch_->end_file();
    return ok();
  }

  Result<void> keep_file(std::string& kept, std::uint64_t size) {
    kept.resize(static_cast<std::size_t>(size));
    ASSAY_ASSIGN(const std::size_t got, read_fully(tar_, kept));
    kept.resize(got);
    return ok();
  }

  TarReader tar_;
  Scope scope_;
  FingerprintBuilder builder_;
  std::unique_ptr<BlockHasher> hasher_;
  std::unique_ptr<VerityBatch> batch_;  // with Scope::kContent
  LayerObserver* observer_;
  PayloadGuard* guard_;
  std::size_t files_ = 0;  // counted here where batch_ does not
};

}  // namespace

Result<LayerFingerprint> fingerprint_tar(ByteSource& source, Scope scope,
                                         const FingerprintLimits& limits, LayerObserver* observer,
                                         PayloadGuard* guard) {
  ASSAY_ASSIGN(LayerFingerprint result, TarLayer(source, scope, limits, observer, guard).read());
  ASSAY_TRY(drain(source));
  return result;
}

}  // namespace assay::image
