// SPDX-License-Identifier: Apache-2.0
#include "common/image/image_files.h"

#include <fcntl.h>

#include <map>

#include "common/base/encoding.h"
#include "common/image/safe_open.h"
#include "common/image/tar_reader.h"

namespace assay::image {
namespace {

constexpr std::size_t kMaxSmallBytes = 4U << 20;
constexpr std::size_t kMaxAllSmallBytes = 64U << 20;
constexpr std::size_t kMaxMembers = 100'000;
constexpr std::size_t kMaxNameBytes = 4096;
constexpr int kMaxLinks = 8;

Error not_there(const std::string& name) {
  return {ErrorCode::kNotFound, "\"" + escape_untrusted(name) + "\" is not in the image"};
}

Error too_large(const std::string& name) {
  return {ErrorCode::kLimitExceeded, "\"" + escape_untrusted(name) + "\" is larger than 4 MiB"};
}

class LayoutFolder final : public ImageFiles {
 public:
  LayoutFolder(UniqueFd fd, ReadSettings settings)
      : fd_(std::move(fd)), settings_(std::move(settings)) {}

  bool has(const std::string& name) const override { return open(name).has_value(); }

  Result<std::string> small(const std::string& name) override {
    ASSAY_ASSIGN(UniqueFd fd, open(name));
    FdSource source(std::move(fd), settings_.stop, nullptr);
    std::string text(kMaxSmallBytes + 1, '\0');
    ASSAY_ASSIGN(const std::size_t got, read_fully(source, text));
    if (got > kMaxSmallBytes) return too_large(name);
    text.resize(got);
    return text;
  }

  Result<std::string> resolve(const std::string& name) override { return name; }

  std::uint64_t total_bytes(const std::set<std::string>& names) const override {
    std::uint64_t total = 0;
    for (const std::string& name : names)
      total += size_of(name);
    return total;
  }

  Result<void> visit(const std::set<std::string>& names, const Visitor& visitor) override {
    std::uint64_t before = 0;
    for (const std::string& name : names) {
      ASSAY_ASSIGN(UniqueFd fd, open(name));
      const auto progress = [&](std::uint64_t bytes) {
        if (settings_.progress) settings_.progress(before + bytes);
      };
      FdSource source(std::move(fd), settings_.stop, progress);
      ASSAY_TRY(visitor(name, source));
      before += size_of(name);
    }
    return ok();
  }

 private:
  std::uint64_t size_of(const std::string& name) const {
    const auto held = open_beneath(fd_.get(), name.c_str(), O_PATH | O_NOFOLLOW);
    struct statx status = {};
    return held && stat_at(held->get(), "", status) ? status.stx_size : 0;
  }

  Result<UniqueFd> open(const std::string& name) const {
    auto held = open_beneath(fd_.get(), name.c_str(), O_PATH | O_NOFOLLOW);
    if (!held && held.error().code == ErrorCode::kNotFound) return not_there(name);
    if (!held) return std::move(held.error());
    struct statx status = {};
    ASSAY_TRY(stat_at(held->get(), "", status));
    if (!S_ISREG(status.stx_mode))
      return Error{ErrorCode::kCorrupt, "\"" + escape_untrusted(name) + "\" is no regular file"};
    ASSAY_ASSIGN(const FileOpener opener, FileOpener::create());
    return opener.reopen(held->get());
  }

  UniqueFd fd_;
  ReadSettings settings_;
};

// A path relative to the folder of `from`; nothing when it leaves the archive.
std::optional<std::string> join(const std::string& from, const std::string& target) {
  std::vector<std::string> parts;
  const std::size_t slash = from.rfind('/');
  const std::string start = target.starts_with('/') || slash == std::string::npos
                                ? std::string()
                                : from.substr(0, slash + 1);
  const std::string whole = start + target;
  for (std::size_t at = 0; at <= whole.size();) {
    const std::size_t end = std::min(whole.find('/', at), whole.size());
    std::string part = whole.substr(at, end - at);
    at = end + 1;
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(std::move(part));
    } else if (parts.empty()) {
      return std::nullopt;
    } else {
      parts.pop_back();
    }
  }
  std::string joined;
  for (const std::string& part : parts)
    joined += (joined.empty() ? "" : "/") + part;
  return joined;
}

class Archive final : public ImageFiles {
 public:
  Archive(std::string path, ReadSettings settings)
      : path_(std::move(path)), settings_(std::move(settings)) {}

  Result<void> index() {
    const auto take = [this](const TarMember& member, TarReader& tar) -> Result<bool> {
      const Entry& entry = member.entry;
      if (++members_ > kMaxMembers)
        return Error{ErrorCode::kLimitExceeded,
                     "the archive has more than " + std::to_string(kMaxMembers) + " members"};
      if (entry.path.size() > kMaxNameBytes || entry.link_target.size() > kMaxNameBytes ||
          member.hard_link_target.size() > kMaxNameBytes)
        return Error{ErrorCode::kLimitExceeded, "a name in the archive is longer than " +
                                                    std::to_string(kMaxNameBytes) +
                                                    " bytes: " + escape_untrusted(entry.path, 128)};
      files_.erase(entry.path);  // the last member of a name counts
      links_.erase(entry.path);
      if (member.is_hard_link) {
        links_[entry.path] = "/" + member.hard_link_target;
      } else if (entry.type == EntryType::kSymlink) {
        links_[entry.path] = entry.link_target;
      } else if (entry.type == EntryType::kFile) {
        ASSAY_ASSIGN(auto text, read_json(entry, tar));
        files_[entry.path] = {members_, std::move(text)};
      }
      return true;
    };
    return each_member(settings_.progress, take);
  }

  std::uint64_t total_bytes(const std::set<std::string>&) const override {
    struct stat status = {};
    return ::stat(path_.c_str(), &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
  }

  bool has(const std::string& name) const override {
    return files_.contains(name) || links_.contains(name);
  }

  Result<std::string> small(const std::string& name) override {
    ASSAY_ASSIGN(const std::string file, resolve(name));
    const std::optional<std::string>& text = files_.at(file).text;
    if (!text)
      return Error{ErrorCode::kCorrupt, "\"" + escape_untrusted(name) + "\" is no small JSON file"};
    return *text;
  }

  Result<std::string> resolve(const std::string& name) override {
    std::string at = name;
    for (int i = 0; i < kMaxLinks; ++i) {
      if (files_.contains(at)) return at;
      const auto link = links_.find(at);
      if (link == links_.end()) return not_there(name);
      const auto next = join(at, link->second);
      if (!next)
        return Error{ErrorCode::kCorrupt,
                     "the link \"" + escape_untrusted(at) + "\" leaves the archive"};
      at = *next;
    }
    return Error{ErrorCode::kCorrupt, "\"" + escape_untrusted(name) + "\": links form a circle"};
  }

  Result<void> visit(const std::set<std::string>& names, const Visitor& visitor) override {
    std::set<std::string> left = names;
    if (left.empty()) return ok();
    std::size_t members = 0;
    const auto take = [&](const TarMember& member, TarReader& tar) -> Result<bool> {
      ++members;
      const auto known = files_.find(member.entry.path);
      const bool is_meant = known != files_.end() && known->second.number == members;
      if (!is_meant || !left.contains(member.entry.path)) return true;
      if (auto visited = visitor(member.entry.path, tar); !visited)
        return std::move(visited.error());
      left.erase(member.entry.path);
      return !left.empty();
    };
    ASSAY_TRY(each_member(settings_.progress, take));
    return left.empty() ? ok() : Result<void>(not_there(*left.begin()));
  }

 private:
  using Action = std::function<Result<bool>(const TarMember&, TarReader&)>;

  // Reads the archive from its start until `action` says false.
  Result<void> each_member(const std::function<void(std::uint64_t)>& progress,
                           const Action& action) {
    UniqueFd fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!fd) return system_error("open \"" + escape_untrusted(path_) + "\"");
    FdSource file(std::move(fd), settings_.stop, progress);
    ASSAY_ASSIGN(const std::unique_ptr<ByteSource> plain, decompress(file));
    std::uint64_t bytes_left = settings_.max_image_bytes;
    LimitedSource limited(*plain, bytes_left, bytes_left);
    TarReader tar(limited);
    TarMember member;
    for (bool is_first = true;; is_first = false) {
      auto has_member = tar.next(member);
      if (!has_member && is_first && has_member.error().code == ErrorCode::kCorrupt)
        return Error{
            ErrorCode::kInvalidArgument,
            "not an image archive (a tar, plain, gzip or zstd): " + has_member.error().message};
      if (!has_member) return std::move(has_member.error());
      if (!*has_member) return ok();
      ASSAY_ASSIGN(const bool goes_on, action(member, tar));
      if (!goes_on) return ok();
    }
  }

  // The text of a member that is small and looks like JSON.
  Result<std::optional<std::string>> read_json(const Entry& entry, TarReader& tar) {
    if (entry.size > kMaxSmallBytes || entry.size == 0) return std::optional<std::string>();
    std::string text(1, '\0');
    ASSAY_ASSIGN(const std::size_t first, read_fully(tar, text));
    if (first != 1 || std::string_view("{[ \t\r\n").find(text[0]) == std::string_view::npos)
      return std::optional<std::string>();
    text.resize(static_cast<std::size_t>(entry.size));
    ASSAY_ASSIGN(const std::size_t rest, read_fully(tar, std::span(text).subspan(1)));
    small_bytes_ += text.size();
    if (rest + 1 != text.size()) return Error{ErrorCode::kCorrupt, "truncated"};
    if (small_bytes_ > kMaxAllSmallBytes)
      return Error{ErrorCode::kLimitExceeded, "the archive holds more than 64 MiB of JSON"};
    return std::optional<std::string>(std::move(text));
  }

  std::string path_;
  ReadSettings settings_;
  struct File {
    std::size_t number = 0;           // which member it is, from 1
    std::optional<std::string> text;  // of small JSON files
  };
  std::map<std::string, File> files_;
  std::size_t members_ = 0;
  std::map<std::string, std::string> links_;
  std::size_t small_bytes_ = 0;
};

}  // namespace

std::unique_ptr<ImageFiles> open_layout_folder(UniqueFd fd, ReadSettings settings) {
  return std::make_unique<LayoutFolder>(std::move(fd), std::move(settings));
}

Result<std::unique_ptr<ImageFiles>> open_archive(const std::string& path, ReadSettings settings) {
  auto archive = std::make_unique<Archive>(path, std::move(settings));
  ASSAY_TRY(archive->index());
  return std::unique_ptr<ImageFiles>(std::move(archive));
}

}  // namespace assay::image
