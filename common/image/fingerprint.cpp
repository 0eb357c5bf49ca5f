// SPDX-License-Identifier: Apache-2.0
#include "common/image/fingerprint.h"

#include <algorithm>
#include <map>
#include <set>

#include "common/base/encoding.h"
#include "common/image/canonical.h"

namespace assay::image {
namespace {

Error bad_path(const std::string& path, std::string_view what) {
  return {ErrorCode::kCorrupt, "entry \"" + escape_untrusted(path) + "\": " + std::string(what)};
}

Result<void> check_path(const std::string& path, const FingerprintLimits& limits) {
  if (path.empty()) return bad_path(path, "empty path");
  if (path.size() > limits.max_path_bytes)
    return Error{ErrorCode::kLimitExceeded, "a path is longer than " +
                                                std::to_string(limits.max_path_bytes) +
                                                " bytes: " + escape_untrusted(path, 128)};
  if (path.find('\0') != std::string::npos) return bad_path(path, "NUL in path");
  std::size_t depth = 0;
  for (std::size_t start = 0; start <= path.size(); ++depth) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    const std::string_view part(path.data() + start, end - start);
    if (part.empty() || part == "." || part == "..")
      return bad_path(path, "a path component is empty, \".\" or \"..\"");
    start = end + 1;
  }
  if (depth > limits.max_depth)
    return Error{ErrorCode::kLimitExceeded, "a path is deeper than " +
                                                std::to_string(limits.max_depth) +
                                                " directories: " + escape_untrusted(path, 128)};
  return ok();
}

// Erases every path below `directory`: they sort together, between "d/" and "d0" ('0' follows '/').
template <typename Container>
void erase_below(Container& container, const std::string& directory) {
  container.erase(container.lower_bound(directory + "/"), container.lower_bound(directory + "0"));
}

constexpr std::size_t kUnresolved = static_cast<std::size_t>(-1);

}  // namespace

bool is_ignored_xattr(std::string_view name) {
  constexpr std::string_view kNames[] = {"security.selinux", "security.apparmor", "security.ima",
                                         "security.evm"};
  constexpr std::string_view kPrefixes[] = {"security.SMACK64", "trusted.", "user.overlay."};
  const auto is_prefix = [&](std::string_view prefix) { return name.starts_with(prefix); };
  return std::ranges::find(kNames, name) != std::end(kNames) ||
         std::ranges::any_of(kPrefixes, is_prefix);
}

struct FingerprintBuilder::State {
  FingerprintLimits limits;
  std::vector<Inode> inodes;
  std::map<std::string, std::size_t> records;     // path → inode, kUnresolved for open links
  std::map<std::string, std::string> unresolved;  // path → target that was not there yet
  std::set<std::string> whiteouts;
  std::set<std::string> opaques;
  std::string last_parent;  // known to be a directory; spares look-ups between siblings
  std::uint64_t added = 0;
  std::uint64_t content_bytes = 0;
  bool are_deletions_visible = true;
  bool has_redirects = false;

  bool is_directory(std::size_t inode) const {
    return inode != kUnresolved && inodes[inode].entry.type == EntryType::kDirectory;
  }
  Result<void> count();
  Result<void> ensure_directory(const std::string& path);
  Result<void> ensure_parents(const std::string& path);
  Result<void> put(const std::string& path, std::size_t inode);
  Result<void> add_entry(Entry entry, std::optional<std::size_t> slot);
  Result<void> resolve_links();
  Deletions deletions() const;
};

Result<void> FingerprintBuilder::State::count() {
  if (++added > limits.max_entries)
    return Error{ErrorCode::kLimitExceeded,
                 "more than " + std::to_string(limits.max_entries) + " entries"};
  return ok();
}

// Makes `path` a directory record unless it is one; a record of another kind is an error.
Result<void> FingerprintBuilder::State::ensure_directory(const std::string& path) {
  const auto found = records.find(path);
  if (found != records.end()) {
    if (!is_directory(found->second))
      return bad_path(path, "something lies below it, but it is no directory");
    return ok();
  }
  ASSAY_TRY(count());
  ASSAY_TRY(ensure_parents(path));
  Inode inode;
  inode.entry.type = EntryType::kDirectory;
  inodes.push_back(std::move(inode));
  records.emplace(path, inodes.size() - 1);
  whiteouts.erase(path);
  return ok();
}

Result<void> FingerprintBuilder::State::ensure_parents(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ok();
  if (path.compare(0, slash, last_parent) == 0) return ok();
  std::string parent = path.substr(0, slash);
  ASSAY_TRY(ensure_directory(parent));
  last_parent = std::move(parent);
  return ok();
}

Result<void> FingerprintBuilder::State::put(const std::string& path, std::size_t inode) {
  const auto [place, is_new] = records.try_emplace(path, inode);
  if (!is_new && is_directory(place->second)) {
    if (is_directory(inode)) return ok();
    erase_below(records, path);
    erase_below(unresolved, path);
    erase_below(whiteouts, path);
    erase_below(opaques, path);
    opaques.erase(path);
    last_parent.clear();
  }
  if (!is_new) unresolved.erase(path);
  place->second = inode;
  whiteouts.erase(path);
  return ok();
}

Result<void> FingerprintBuilder::State::add_entry(Entry entry, std::optional<std::size_t> slot) {
  ASSAY_TRY(check_path(entry.path, limits));
  ASSAY_TRY(count());
  ASSAY_TRY(ensure_parents(entry.path));
  const std::string path = std::move(entry.path);
  canonicalize(entry);
  if (entry.size > limits.max_content_bytes - content_bytes)
    return Error{ErrorCode::kLimitExceeded, "files hold more than " +
                                                std::to_string(limits.max_content_bytes) +
                                                " bytes, at \"" + escape_untrusted(path) + "\""};
  content_bytes += entry.size;
  inodes.push_back({std::move(entry), slot});
  return put(path, inodes.size() - 1);
}

FingerprintBuilder::FingerprintBuilder(FingerprintLimits limits)
    : state_(std::make_unique<State>()) {
  state_->limits = limits;
}
FingerprintBuilder::FingerprintBuilder(FingerprintBuilder&&) noexcept = default;
FingerprintBuilder::~FingerprintBuilder() = default;

Result<void> FingerprintBuilder::add(Entry entry) {
  return state_->add_entry(std::move(entry), std::nullopt);
}

Result<void> FingerprintBuilder::add(Entry entry, std::size_t digest_slot) {
  return state_->add_entry(std::move(entry), digest_slot);
}

Result<void> FingerprintBuilder::add_hard_link(const std::string& path, std::string target,
                                               const Entry* header) {
  ASSAY_TRY(check_path(path, state_->limits));
  ASSAY_TRY(check_path(target, state_->limits));
  if (path == target) return bad_path(path, "hard link to itself");
  ASSAY_TRY(state_->count());
  ASSAY_TRY(state_->ensure_parents(path));
  const auto found = state_->records.find(target);
  if (found == state_->records.end() || found->second == kUnresolved) {
    ASSAY_TRY(state_->put(path, kUnresolved));
    state_->unresolved[path] = std::move(target);
    return ok();
  }
  const std::size_t inode = found->second;
  if (state_->is_directory(inode)) return bad_path(path, "hard link to a directory");
  if (header != nullptr) apply_link_header(state_->inodes[inode].entry, *header);
  return state_->put(path, inode);
}

Result<void> FingerprintBuilder::add_whiteout(std::string path) {
  ASSAY_TRY(check_path(path, state_->limits));
  // Below something that is itself deleted there is nothing left to delete.
  for (std::size_t slash = path.find('/'); slash != std::string::npos;
       slash = path.find('/', slash + 1))
    if (state_->whiteouts.contains(path.substr(0, slash))) return ok();
  ASSAY_TRY(state_->count());
  ASSAY_TRY(state_->ensure_parents(path));
  if (!state_->records.contains(path)) state_->whiteouts.insert(std::move(path));
  return ok();
}

Result<void> FingerprintBuilder::add_opaque(std::string directory) {
  if (!directory.empty()) {
    ASSAY_TRY(check_path(directory, state_->limits));
    ASSAY_TRY(state_->ensure_directory(directory));
  }
  ASSAY_TRY(state_->count());
  state_->opaques.insert(std::move(directory));
  return ok();
}

void FingerprintBuilder::deletions_not_visible() {
  state_->are_deletions_visible = false;
}

void FingerprintBuilder::saw_redirect() {
  state_->has_redirects = true;
}

Result<void> FingerprintBuilder::State::resolve_links() {
  for (const auto& [path, first_target] : unresolved) {
    const std::string* target = &first_target;
    std::size_t steps = 0;
    auto found = records.find(*target);
    while (found != records.end() && found->second == kUnresolved) {
      if (++steps > unresolved.size()) return bad_path(path, "hard links form a circle");
      target = &unresolved.at(found->first);
      found = records.find(*target);
    }
    if (found == records.end())
      return bad_path(path,
                      "hard link to \"" + escape_untrusted(*target) + "\", which is not there");
    if (is_directory(found->second)) return bad_path(path, "hard link to a directory");
    records[path] = found->second;
  }
  return ok();
}

Deletions FingerprintBuilder::State::deletions() const {
  return {{whiteouts.begin(), whiteouts.end()}, {opaques.begin(), opaques.end()}};
}

Result<LayerFingerprint> FingerprintBuilder::finish(Scope scope,
                                                    std::span<const FileDigest> digests,
                                                    LayerObserver* observer) && {
  State& state = *state_;
  ASSAY_TRY(state.resolve_links());
  LayerFingerprint result;
  RecordDigests streams(scope);
  bool is_injected = true;
  bool has_docker_mark = false;
  for (const auto& [path, index] : state.records) {
    const Inode& inode = state.inodes[index];
    const FileDigest* digest = inode.entry.file_digest ? &*inode.entry.file_digest : nullptr;
    if (inode.digest_slot && *inode.digest_slot < digests.size())
      digest = &digests[*inode.digest_slot];
    if (scope == Scope::kContent && inode.entry.type == EntryType::kFile && digest == nullptr)
      return Error{ErrorCode::kInternal, "no digest for \"" + escape_untrusted(path) + "\""};
    streams.add(path, inode.entry, digest);
    if (observer != nullptr) observer->on_record(path, inode.entry, digest, inode.digest_slot);
    if (inode.entry.type == EntryType::kFile) result.content_bytes += inode.entry.size;
    if (result.content_bytes > state.limits.max_content_bytes)
      return Error{
          ErrorCode::kLimitExceeded,
          "files hold more than " + std::to_string(state.limits.max_content_bytes) + " bytes"};
    is_injected = is_injected && is_docker_injected(path, inode.entry);
    has_docker_mark = has_docker_mark || path == ".dockerenv";
  }
  streams.finish(result.shape, result.content);
  result.entries = state.records.size();
  const Deletions deletions = state.deletions();
  if (state.are_deletions_visible) result.deletions = deletions_digest(deletions);
  if (observer != nullptr)
    observer->on_deletions(state.are_deletions_visible ? &deletions : nullptr);
  result.has_redirects = state.has_redirects;
  result.is_runtime_injected = is_injected && has_docker_mark && !state.has_redirects &&
                               deletions.whiteouts.empty() && deletions.opaques.empty();
  return result;
}

}  // namespace assay::image
