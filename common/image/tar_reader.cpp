// SPDX-License-Identifier: Apache-2.0
#include "common/image/tar_reader.h"

#include <algorithm>
#include <cstring>

#include "common/base/encoding.h"

namespace assay::image {
namespace {

// Go's archive/tar reads no longer extension either.
constexpr std::int64_t kMaxExtensionBytes = 1 << 20;
// The largest that chown changes an owner to: it takes 2^32 - 1 for "leave it as it is".
constexpr std::uint32_t kMaxId = UINT32_MAX - 1;
// What fits into Linux's dev_t.
constexpr std::uint32_t kMaxMajor = (1U << 12) - 1;
constexpr std::uint32_t kMaxMinor = (1U << 20) - 1;
constexpr std::string_view kXattrKey = "SCHILY.xattr.";

Error corrupt(std::string message) {
  return {ErrorCode::kCorrupt, "tar: " + std::move(message)};
}

Result<std::uint32_t> number_up_to(std::uint32_t limit, std::int64_t value, std::string_view what) {
  if (value < 0 || value > limit)
    return corrupt(std::string(what) + " " + std::to_string(value) + " is not between 0 and " +
                   std::to_string(limit));
  return static_cast<std::uint32_t>(value);
}

Result<EntryType> entry_type(const TarHeader& header) {
  switch (header.type) {
    case '\0':  // old tars mark a directory by its name only
      return header.name.ends_with('/') ? EntryType::kDirectory : EntryType::kFile;
    case '0':
    case '1':
    case '7':
    case 'S':
      return EntryType::kFile;
    case '2':
      return EntryType::kSymlink;
    case '3':
      return EntryType::kCharDevice;
    case '4':
      return EntryType::kBlockDevice;
    case '5':
      return EntryType::kDirectory;
    case '6':
      return EntryType::kFifo;
    default:
      return Error{ErrorCode::kUnsupported, "tar: member \"" + escape_untrusted(header.name) +
                                                "\" has the unknown type '" +
                                                escape_untrusted({&header.type, 1}) + "'"};
  }
}

void take_xattrs(const PaxRecords& pax, Entry& entry) {
  for (auto record = pax.lower_bound(std::string(kXattrKey));
       record != pax.end() && record->first.starts_with(kXattrKey); ++record)
    entry.xattrs.push_back({record->first.substr(kXattrKey.size()), record->second});
}

const std::string& value_of(const PaxRecords& pax, const char* key) {
  static const std::string none;
  const auto found = pax.find(key);
  return found == pax.end() ? none : found->second;
}

}  // namespace

Result<std::string> normalize_member_name(std::string_view name) {
  std::string path;
  for (std::size_t start = 0; start <= name.size();) {
    const std::size_t end = std::min(name.find('/', start), name.size());
    const std::string_view part = name.substr(start, end - start);
    start = end + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..")
      return corrupt("the name \"" + escape_untrusted(name) + "\" leaves its folder");
    if (!path.empty()) path += '/';
    path += part;
  }
  return path;
}

struct TarReader::Extensions {
  PaxRecords pax;
  std::string long_name;
  std::string long_link;
};

// False when the source ends before the block; a part of a block is an error.
Result<bool> TarReader::read_block(TarBlock& block) {
  ASSAY_ASSIGN(const std::size_t got, read_fully(source_, block));
  if (got != 0 && got != block.size()) return corrupt("truncated inside a header");
  return got != 0;
}

// Moves behind the member. False when the source ends in the zeros that fill up its last block:
// some writers leave those out at the end of the tar.
Result<bool> TarReader::skip_rest() {
  ASSAY_TRY(source_.skip(stored_left_));
  TarBlock padding;
  ASSAY_ASSIGN(const std::size_t got, read_fully(source_, std::span(padding).first(padding_)));
  const bool is_whole = got == padding_;
  stored_left_ = padding_ = 0;
  return is_whole;
}

// False at the end: two zero blocks, or the end of the source between members.
Result<bool> TarReader::read_header(TarHeader& header, TarBlock& block) {
  ASSAY_ASSIGN(const bool is_whole, skip_rest());
  if (!is_whole) return false;
  ASSAY_ASSIGN(const bool has_block, read_block(block));
  if (!has_block) return false;
  if (is_zero_block(block)) {
    ASSAY_ASSIGN(const bool has_second, read_block(block));
    if (has_second && !is_zero_block(block)) return corrupt("a single zero block");
    return false;
  }
  ASSAY_ASSIGN(header, parse_tar_header(block));
  return true;
}

Result<std::string> TarReader::read_extension(const TarHeader& header) {
  if (header.size > kMaxExtensionBytes)
    return Error{ErrorCode::kLimitExceeded, "tar: an extended header is larger than 1 MiB"};
  std::string bytes(static_cast<std::size_t>(header.size), '\0');
  ASSAY_ASSIGN(const std::size_t got, read_fully(source_, bytes));
  if (got != bytes.size()) return corrupt("truncated inside an extended header");
  padding_ = (kTarBlockBytes - bytes.size() % kTarBlockBytes) % kTarBlockBytes;
  return bytes;
}

// True when the header was an extension and not a member.
Result<bool> TarReader::take_extension(const TarHeader& header, Extensions& extensions) {
  if (header.type != 'x' && header.type != 'g' && header.type != 'L' && header.type != 'K')
    return false;
  ASSAY_ASSIGN(const std::string bytes, read_extension(header));
  const std::string text = bytes.substr(0, bytes.find('\0'));
  if (header.type == 'L') {
    extensions.long_name = text;
  } else if (header.type == 'K') {
    extensions.long_link = text;
  } else {
    ASSAY_ASSIGN(extensions.pax, parse_pax(bytes));
  }
  return true;
}

Result<bool> TarReader::next(TarMember& member) {
  Extensions extensions;
  bool has_extension = false;
  TarBlock block;
  for (;;) {
    TarHeader header;
    ASSAY_ASSIGN(const bool has_header, read_header(header, block));
    if (!has_header) {
      if (has_extension) return corrupt("it ends after an extended header");
      return false;
    }
    ASSAY_ASSIGN(has_extension, take_extension(header, extensions));
    if (header.type == 'g') {  // Go hands it out like a member: what stood before it is forgotten
      extensions = Extensions();
      has_extension = false;
      continue;
    }
    if (has_extension) continue;
    ASSAY_TRY(begin_member(std::move(header), block, extensions, member));
    return true;
  }
}

Result<void> TarReader::begin_member(TarHeader header, const TarBlock& block,
                                     const Extensions& extensions, TarMember& member) {
  ASSAY_TRY(apply_pax(extensions.pax, header));
  if (!extensions.long_name.empty()) header.name = extensions.long_name;
  if (!extensions.long_link.empty()) header.link_name = extensions.long_link;
  ASSAY_ASSIGN(const EntryType type, entry_type(header));
  member = TarMember();
  Entry& entry = member.entry;
  entry.type = type;
  entry.mode = static_cast<std::uint32_t>(header.mode & 07777);
  ASSAY_ASSIGN(entry.uid, number_up_to(kMaxId, header.uid, "uid"));
  ASSAY_ASSIGN(entry.gid, number_up_to(kMaxId, header.gid, "gid"));
  entry.mtime_s = header.mtime_s;
  take_xattrs(extensions.pax, entry);
  if (type == EntryType::kSymlink) entry.link_target = header.link_name;
  ASSAY_ASSIGN(entry.device_major, number_up_to(kMaxMajor, header.device_major, "device major"));
  ASSAY_ASSIGN(entry.device_minor, number_up_to(kMaxMinor, header.device_minor, "device minor"));
  member.is_hard_link = header.type == '1';
  if (member.is_hard_link) {
    ASSAY_ASSIGN(member.hard_link_target, normalize_member_name(header.link_name));
  }
  const bool is_data = type == EntryType::kFile && !member.is_hard_link;
  stored_left_ = is_data ? static_cast<std::uint64_t>(header.size) : 0;
  padding_ = (kTarBlockBytes - stored_left_ % kTarBlockBytes) % kTarBlockBytes;
  position_ = 0;
  piece_ = 0;
  member_bytes_ = stored_left_;
  pieces_.assign(1, {0, stored_left_});
  if (is_data) ASSAY_TRY(begin_sparse(header, block, extensions.pax));
  entry.size = member_bytes_;
  ASSAY_ASSIGN(entry.path, normalize_member_name(header.name));
  return ok();
}

// Takes the map of a sparse file, in any of the four formats that GNU tar has written, and the name
// and size that go with it.
Result<void> TarReader::begin_sparse(TarHeader& header, const TarBlock& block,
                                     const PaxRecords& pax) {
  if (header.type == 'S') {
    if (header.format != TarFormat::kGnu)  // star's sparse headers look different
      return Error{ErrorCode::kUnsupported, "tar: a sparse file that is not in GNU tar's format"};
    ASSAY_ASSIGN(const std::int64_t bytes,
                 parse_tar_number(std::string_view(block.data() + 483, 12)));
    if (bytes < 0) return corrupt("a size is negative");
    member_bytes_ = static_cast<std::uint64_t>(bytes);
    ASSAY_ASSIGN(pieces_, read_old_sparse(block));
    return check_sparse(pieces_, member_bytes_, stored_left_);
  }
  const SparseFormat format = sparse_format(pax);
  if (format == SparseFormat::kNone) return ok();
  if (const std::string& name = value_of(pax, "GNU.sparse.name"); !name.empty()) header.name = name;
  const std::string& size = value_of(pax, "GNU.sparse.size");
  const std::string& real_size = size.empty() ? value_of(pax, "GNU.sparse.realsize") : size;
  if (!real_size.empty()) {
    ASSAY_ASSIGN(const std::int64_t bytes, parse_decimal(real_size));
    member_bytes_ = static_cast<std::uint64_t>(bytes);
  }
  if (format == SparseFormat::kInData) {
    ASSAY_ASSIGN(pieces_, read_sparse_1_0());
  } else {
    ASSAY_ASSIGN(pieces_, parse_sparse_map(pax));
  }
  return check_sparse(pieces_, member_bytes_, stored_left_);
}

Result<std::vector<SparsePiece>> TarReader::read_old_sparse(const TarBlock& block) {
  std::vector<SparsePiece> pieces;
  ASSAY_TRY(parse_old_sparse(std::string_view(block.data() + 386, 96), pieces));
  bool has_more = block[482] != '\0';
  while (has_more) {
    TarBlock more;
    ASSAY_ASSIGN(const bool has_block, read_block(more));
    if (!has_block) return corrupt("truncated inside a sparse map");
    ASSAY_TRY(parse_old_sparse(std::string_view(more.data(), 504), pieces));
    has_more = more[504] != '\0';
  }
  return pieces;
}

// Format 1.0 keeps the map in front of the data: a count, then offsets and lengths, one a line.
Result<std::vector<SparsePiece>> TarReader::read_sparse_1_0() {
  std::string text;
  const auto next_number = [&]() -> Result<std::uint64_t> {
    std::size_t end = text.find('\n');
    while (end == std::string::npos) {
      if (stored_left_ < kTarBlockBytes || text.size() > kTarBlockBytes)
        return corrupt("bad sparse map");
      TarBlock block;
      ASSAY_ASSIGN(const bool has_block, read_block(block));
      if (!has_block) return corrupt("truncated inside a sparse map");
      stored_left_ -= kTarBlockBytes;
      text.append(block.data(), block.size());
      end = text.find('\n');
    }
    ASSAY_ASSIGN(const std::int64_t value, parse_decimal(std::string_view(text).substr(0, end)));
    text.erase(0, end + 1);
    return static_cast<std::uint64_t>(value);
  };
  ASSAY_ASSIGN(const std::uint64_t count, next_number());
  if (count > kMaxSparsePieces)
    return Error{
        ErrorCode::kLimitExceeded,
        "tar: a sparse file has more than " + std::to_string(kMaxSparsePieces) + " pieces of data"};
  std::vector<SparsePiece> pieces;
  for (std::uint64_t i = 0; i < count; ++i) {
    ASSAY_ASSIGN(const std::uint64_t offset, next_number());
    ASSAY_ASSIGN(const std::uint64_t length, next_number());
    pieces.push_back({offset, length});
  }
  return pieces;
}

Result<std::size_t> TarReader::read(std::span<char> out) {
  while (piece_ < pieces_.size() && position_ >= pieces_[piece_].offset + pieces_[piece_].length)
    ++piece_;
  if (position_ >= member_bytes_ || out.empty()) return std::size_t{0};
  const bool is_in_data = piece_ < pieces_.size() && position_ >= pieces_[piece_].offset;
  const std::uint64_t end = is_in_data ? pieces_[piece_].offset + pieces_[piece_].length
                            : piece_ < pieces_.size() ? pieces_[piece_].offset
                                                      : member_bytes_;
  const std::size_t want =
      static_cast<std::size_t>(std::min<std::uint64_t>(end - position_, out.size()));
  std::size_t got = want;
  if (is_in_data) {
    ASSAY_ASSIGN(got, source_.read(out.first(want)));
    if (got == 0) return corrupt("truncated inside a file");
    stored_left_ -= got;
  } else {
    std::memset(out.data(), 0, want);
  }
  position_ += got;
  return got;
}

}  // namespace assay::image
