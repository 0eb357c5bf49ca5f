// SPDX-License-Identifier: Apache-2.0
#include "common/image/fingerprint.h"

#include <algorithm>
#include <map>
#include <set>

#include "common/base/encoding.h"
#include "common/image/canonical.h"
#include "common/image/layer_path.h"
#include "common/image/root_form.h"

namespace assay::image {
namespace {

constexpr std::size_t kMaxXattrName = 255;  // XATTR_NAME_MAX

// Erases every path below `directory`: they sort together, between "d/" and "d0" ('0' follows '/').
template <typename Container>
void erase_below(Container& container, const std::string& directory) {
  container.erase(container.lower_bound(directory + "/"), container.lower_bound(directory + "0"));
}

constexpr std::size_t kUnresolved = static_cast<std::size_t>(-1);

// Bytes that an entry takes in memory. Errors: kLimitExceeded.
Result<std::size_t> metadata_of(const Entry& entry, const FingerprintLimits& limits) {
  if (entry.link_target.size() > limits.max_link_bytes)
    return Error{ErrorCode::kLimitExceeded, "\"" + escape_untrusted(entry.path, 128) +
                                                "\" is a symbolic link with a target longer than " +
                                                std::to_string(limits.max_link_bytes) + " bytes"};
  std::size_t bytes = entry.path.size() + entry.link_target.size();
  for (const Xattr& xattr : entry.xattrs) {
    if (xattr.value.size() > limits.max_xattr_bytes || xattr.name.size() > kMaxXattrName)
      return Error{ErrorCode::kLimitExceeded,
                   "\"" + escape_untrusted(entry.path, 128) + "\" has the extended attribute \"" +
                       escape_untrusted(xattr.name, 128) + "\", which is longer than Linux allows"};
    bytes += xattr.name.size() + xattr.value.size();
  }
  return bytes;
}

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
  // A folder as it was last named, and where that leads: spares look-ups between siblings.
  std::string last_folder;
  std::string last_place;
  std::string last_made;  // a folder that is there
  std::uint64_t added = 0;
  std::uint64_t metadata_bytes = 0;
  std::uint64_t content_bytes = 0;
  bool are_deletions_visible = true;
  bool has_redirects = false;
  bool wants_root_form = false;

  bool is_directory(std::size_t inode) const {
    return inode != kUnresolved && inodes[inode].entry.type == EntryType::kDirectory;
  }
  Result<void> count(std::size_t bytes);
  Result<std::string> follow(const std::string& folder);
  Result<std::string> place(const std::string& path);
  Result<std::string> make_place(const std::string& path);
  Result<void> ensure_directory(const std::string& path);
  void clear(const std::string& path);
  Result<void> put(const std::string& path, std::size_t inode);
  Result<void> add_entry(Entry entry, std::optional<std::size_t> slot);
  Result<void> resolve_links();
  Result<const FileDigest*> digest_of(const std::string& path, const Inode& inode, Scope scope,
                                      std::span<const FileDigest> digests) const;
  Deletions deletions() const;
};

Result<void> FingerprintBuilder::State::count(std::size_t bytes) {
  metadata_bytes += bytes;
  if (++added > limits.max_entries)
    return Error{ErrorCode::kLimitExceeded,
                 "more than " + std::to_string(limits.max_entries) + " entries"};
  if (metadata_bytes > limits.max_metadata_bytes)
    return Error{ErrorCode::kLimitExceeded, "names and attributes hold more than " +
                                                std::to_string(limits.max_metadata_bytes) +
                                                " bytes"};
  return ok();
}

Result<std::string> FingerprintBuilder::State::follow(const std::string& folder) {
  const EntryLookup lookup = [this](const std::string& path) -> const Entry* {
    const auto found = records.find(path);
    return found == records.end() || found->second == kUnresolved ? nullptr
                                                                  : &inodes[found->second].entry;
  };
  return follow_links(folder, lookup, limits, added);
}

// Where an entry of this path lands: its folder may be named through links.
Result<std::string> FingerprintBuilder::State::place(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return path;
  if (path.compare(0, slash, last_folder) != 0) {
    std::string folder = path.substr(0, slash);
    ASSAY_ASSIGN(last_place, follow(folder));
    last_folder = std::move(folder);
  }
  if (last_place == last_folder) return path;
  std::string landed =
      last_place.empty() ? path.substr(slash + 1) : last_place + path.substr(slash);
  ASSAY_TRY(check_path(landed, limits));
  return landed;
}

// The same, and makes the folders that are missing there.
Result<std::string> FingerprintBuilder::State::make_place(const std::string& path) {
  ASSAY_ASSIGN(std::string landed, place(path));
  const std::size_t slash = landed.rfind('/');
  if (slash != std::string::npos && landed.compare(0, slash, last_made) != 0) {
    std::string folder = landed.substr(0, slash);
    ASSAY_TRY(ensure_directory(folder));
    last_made = std::move(folder);
  }
  return landed;
}

// Makes `path` and its parents directory records unless they are; `path` has no links in it.
Result<void> FingerprintBuilder::State::ensure_directory(const std::string& path) {
  const auto found = records.find(path);
  if (found != records.end()) {
    if (!is_directory(found->second))
      return bad_path(path, "something lies below it, but it is no directory");
    return ok();
  }
  ASSAY_TRY(count(path.size()));
  if (const std::size_t slash = path.rfind('/'); slash != std::string::npos)
    ASSAY_TRY(ensure_directory(path.substr(0, slash)));
  Inode inode;
  inode.entry.type = EntryType::kDirectory;
  inodes.push_back(std::move(inode));
  records.emplace(path, inodes.size() - 1);
  whiteouts.erase(path);
  return ok();
}

// Forgets what lies below `path`, and what was known of the way there.
void FingerprintBuilder::State::clear(const std::string& path) {
  erase_below(records, path);
  erase_below(unresolved, path);
  erase_below(whiteouts, path);
  erase_below(opaques, path);
  opaques.erase(path);
  unresolved.erase(path);
  last_folder.clear();
  last_place.clear();
  last_made.clear();
}

Result<void> FingerprintBuilder::State::put(const std::string& path, std::size_t inode) {
  const auto [place_of, is_new] = records.try_emplace(path, inode);
  if (!is_new) {
    if (is_directory(place_of->second) && is_directory(inode)) return ok();
    clear(path);
  }
  if (inode != kUnresolved && inodes[inode].entry.type == EntryType::kSymlink)
    last_folder.clear();  // what leads through it was not followed yet
  place_of->second = inode;
  whiteouts.erase(path);
  return ok();
}

Result<void> FingerprintBuilder::State::add_entry(Entry entry, std::optional<std::size_t> slot) {
  ASSAY_TRY(check_path(entry.path, limits));
  ASSAY_ASSIGN(const std::size_t metadata, metadata_of(entry, limits));
  ASSAY_TRY(count(metadata));
  ASSAY_ASSIGN(const std::string path, make_place(entry.path));
  canonicalize(entry);
  if (entry.size > limits.max_content_bytes - content_bytes)
    return Error{ErrorCode::kLimitExceeded, "files hold more than " +
                                                std::to_string(limits.max_content_bytes) +
                                                " bytes, at \"" + escape_untrusted(path) + "\""};
  content_bytes += entry.size;
  entry.path.clear();
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

Result<void> FingerprintBuilder::add_hard_link(const std::string& named, std::string target,
                                               const Entry* header) {
  State& state = *state_;
  ASSAY_TRY(check_path(named, state.limits));
  ASSAY_TRY(check_path(target, state.limits));
  if (header != nullptr) ASSAY_TRY(metadata_of(*header, state.limits));
  ASSAY_TRY(state.count(named.size() + target.size()));
  ASSAY_ASSIGN(target, state.place(target));
  ASSAY_ASSIGN(const std::string path, state.make_place(named));
  if (path == target) return bad_path(path, "hard link to itself");
  const auto found = state.records.find(target);
  if (found == state.records.end() || found->second == kUnresolved) {
    ASSAY_TRY(state.put(path, kUnresolved));
    state.unresolved[path] = std::move(target);
    return ok();
  }
  const std::size_t inode = found->second;
  if (state.is_directory(inode)) return bad_path(path, "hard link to a directory");
  if (header != nullptr) apply_link_header(state.inodes[inode].entry, *header);
  return state.put(path, inode);
}

Result<void> FingerprintBuilder::add_whiteout(std::string path) {
  State& state = *state_;
  ASSAY_TRY(check_path(path, state.limits));
  ASSAY_ASSIGN(path, state.place(path));
  // Below something that is itself deleted there is nothing left to delete.
  for (std::size_t slash = path.find('/'); slash != std::string::npos;
       slash = path.find('/', slash + 1))
    if (state.whiteouts.contains(path.substr(0, slash))) return ok();
  ASSAY_TRY(state.count(path.size()));
  ASSAY_ASSIGN(path, state.make_place(path));
  if (!state.records.contains(path)) state.whiteouts.insert(std::move(path));
  return ok();
}

Result<void> FingerprintBuilder::add_opaque(std::string directory) {
  State& state = *state_;
  ASSAY_TRY(state.count(directory.size()));
  if (!directory.empty()) {
    ASSAY_TRY(check_path(directory, state.limits));
    ASSAY_ASSIGN(directory, state.follow(directory));
  }
  if (!directory.empty()) {
    ASSAY_TRY(check_path(directory, state.limits));
    ASSAY_TRY(state.ensure_directory(directory));
  }
  state.opaques.insert(std::move(directory));
  return ok();
}

void FingerprintBuilder::deletions_not_visible() {
  state_->are_deletions_visible = false;
}

void FingerprintBuilder::saw_redirect() {
  state_->has_redirects = true;
}

// Every link on a way is resolved with the first that goes it: a long chain costs its length once.
Result<void> FingerprintBuilder::State::resolve_links() {
  std::vector<std::size_t*> way;
  for (const auto& [path, first_target] : unresolved) {
    way.clear();
    auto found = records.find(path);
    const std::string* target = &first_target;
    while (found != records.end() && found->second == kUnresolved) {
      if (way.size() > unresolved.size()) return bad_path(path, "hard links form a circle");
      way.push_back(&found->second);
      target = &unresolved.at(found->first);
      found = records.find(*target);
    }
    if (found == records.end())
      return bad_path(path,
                      "hard link to \"" + escape_untrusted(*target) + "\", which is not there");
    if (is_directory(found->second) && !way.empty())
      return bad_path(path, "hard link to a directory");
    for (std::size_t* inode : way)
      *inode = found->second;
  }
  return ok();
}

Deletions FingerprintBuilder::State::deletions() const {
  return {{whiteouts.begin(), whiteouts.end()}, {opaques.begin(), opaques.end()}};
}

void FingerprintBuilder::want_root_form() {
  state_->wants_root_form = true;
}

// The file's digest, or null where there is none because none was asked for.
Result<const FileDigest*> FingerprintBuilder::State::digest_of(
    const std::string& path, const Inode& inode, Scope scope,
    std::span<const FileDigest> digests) const {
  if (inode.digest_slot && *inode.digest_slot < digests.size()) return &digests[*inode.digest_slot];
  if (inode.entry.file_digest) return &*inode.entry.file_digest;
  if (scope == Scope::kContent && inode.entry.type == EntryType::kFile)
    return Error{ErrorCode::kInternal, "no digest for \"" + escape_untrusted(path) + "\""};
  return nullptr;
}

Result<LayerFingerprint> FingerprintBuilder::finish(Scope scope,
                                                    std::span<const FileDigest> digests,
                                                    LayerObserver* observer) && {
  State& state = *state_;
  ASSAY_TRY(state.resolve_links());
  LayerFingerprint result;
  RecordDigests streams(scope, Form::kLayer);
  RecordDigests root_streams(scope, Form::kRoot);
  bool is_injected = true;
  bool has_docker_mark = false;
  for (const auto& [path, index] : state.records) {
    const Inode& inode = state.inodes[index];
    ASSAY_ASSIGN(const FileDigest* const digest, state.digest_of(path, inode, scope, digests));
    streams.add(path, inode.entry, digest);
    if (state.wants_root_form) root_streams.add(path, inode.entry, digest);
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
  if (state.wants_root_form) result.root = root_streams.finish_root();
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
