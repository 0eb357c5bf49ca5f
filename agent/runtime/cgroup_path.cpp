// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/cgroup_path.h"

#include <algorithm>
#include <vector>

namespace assay::agent {
namespace {

constexpr std::size_t kIdLength = 64;
constexpr std::size_t kMaxIdBytes = 256;

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_id(std::string_view text) {
  return text.size() == kIdLength && is_hex(text);
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool take_suffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const std::size_t end = path.find('/');
    if (end != 0) parts.push_back(path.substr(0, end));
    path.remove_prefix(end == std::string_view::npos ? path.size() : end + 1);
  }
  return parts;
}

/// Whether it may become a part of a path below a runtime's folder.
bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxIdBytes && text != "." && text != "..";
}

/// `PREFIX<64 hex>[.scope]`, in the table of prefixes that runtimes give to systemd.
struct Prefix {
  std::string_view text;
  std::string_view runtime;
  bool needs_scope;
};
constexpr Prefix kPrefixes[] = {
    {"docker-", "docker", true},          {"cri-containerd-", "containerd", true},
    {"nerdctl-", "containerd", true},     {"crio-", "cri-o", false},
    {"libpod-payload-", "podman", false}, {"libpod-", "podman", false},
};

std::optional<CgroupContainer> match_prefixed(std::string_view part) {
  for (const Prefix& prefix : kPrefixes) {
    std::string_view rest = part;
    if (!take_prefix(rest, prefix.text)) continue;
    const bool is_scope = take_suffix(rest, ".scope");
    if (is_id(rest) && (is_scope || !prefix.needs_scope))
      return CgroupContainer{std::string(rest), std::string(prefix.runtime), ""};
  }
  return std::nullopt;
}

/// "SLICE.slice:cri-containerd:ID": systemd's notation used with the cgroupfs driver.
std::optional<CgroupContainer> match_slice_notation(std::string_view part) {
  const std::size_t mark = part.find(".slice:cri-containerd:");
  if (mark == std::string_view::npos || mark == 0) return std::nullopt;
  const std::string_view id = part.substr(part.rfind(':') + 1);
  if (!is_id(id)) return std::nullopt;
  return CgroupContainer{std::string(id), "containerd", ""};
}

bool is_guid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (is_dash ? text[i] != '-' : !is_hex(text.substr(i, 1))) return false;
  }
  return true;
}

/// The pod of "kubepods[-CLASS]-podUID.slice" or of "podUID" below kubepods; "" when it is none.
std::string pod_uid_of(std::string_view part) {
  const bool is_slice = take_suffix(part, ".slice");
  if (is_slice) {
    const std::size_t mark = part.rfind("-pod");
    if (mark == std::string_view::npos || part.find("kubepods") == std::string_view::npos)
      return "";
    part.remove_prefix(mark + 4);
  } else if (!take_prefix(part, "pod")) {
    return "";
  }
  if (part.size() < 32 || part.size() > 36) return "";
  std::string uid(part);
  std::replace(uid.begin(), uid.end(), '_', '-');
  const bool is_uid = std::all_of(uid.begin(), uid.end(), [](char c) {
    return c == '-' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
  return is_uid ? uid : "";
}

/// A part that is an id and nothing else: what it means stands in the parts before it.
std::optional<CgroupContainer> match_bare_id(const std::vector<std::string_view>& parts,
                                             std::size_t at) {
  if (at == 0 || !is_id(parts[at])) return std::nullopt;
  const std::string_view parent = parts[at - 1];
  const bool is_ecs = at >= 2 && parts[at - 2] == "ecs";
  if (parent == "docker" || parent == "actions_job" || is_ecs)
    return CgroupContainer{std::string(parts[at]), "docker", ""};
  if (!pod_uid_of(parent).empty()) return CgroupContainer{std::string(parts[at]), "containerd", ""};
  return std::nullopt;
}

/// Managers whose containers have names instead of ids.
std::optional<CgroupContainer> match_named(const std::vector<std::string_view>& parts,
                                           std::size_t at) {
  std::string_view part = parts[at];
  if (take_prefix(part, "lxc.payload.") || (at > 0 && parts[at - 1] == "lxc.payload") ||
      (at > 0 && parts[at - 1] == "lxc"))
    return CgroupContainer{std::string(part), "lxc", ""};
  const bool is_machine = at > 0 && parts[at - 1] == "machine.slice";
  if (is_machine && take_prefix(part, "machine-") && take_suffix(part, ".scope"))
    return CgroupContainer{std::string(part), "systemd-nspawn", ""};
  if (is_machine && take_prefix(part, "systemd-nspawn@") && take_suffix(part, ".service"))
    return CgroupContainer{std::string(part), "systemd-nspawn", ""};
  if (at > 0 && parts[at - 1] == "garden" && is_guid(part))
    return CgroupContainer{std::string(part), "garden", ""};
  return std::nullopt;
}

std::optional<CgroupContainer> match(const std::vector<std::string_view>& parts, std::size_t at) {
  if (auto found = match_prefixed(parts[at])) return found;
  if (auto found = match_slice_notation(parts[at])) return found;
  if (auto found = match_bare_id(parts, at)) return found;
  return match_named(parts, at);
}

}  // namespace

std::optional<CgroupContainer> parse_cgroup_path(std::string_view path) {
  const std::vector<std::string_view> parts = split(path);
  for (std::size_t at = parts.size(); at-- > 0;) {
    auto found = match(parts, at);
    if (!found) continue;
    if (!is_name(found->container_id)) continue;
    for (std::size_t above = at; above-- > 0 && found->pod_uid.empty();)
      found->pod_uid = pod_uid_of(parts[above]);
    return found;
  }
  return std::nullopt;
}

std::optional<CtrContainer> parse_ctr_cgroup(std::string_view path) {
  const std::vector<std::string_view> parts = split(path);
  if (parts.size() != 2 || !is_name(parts[0]) || !is_name(parts[1])) return std::nullopt;
  return CtrContainer{std::string(parts[0]), std::string(parts[1])};
}

std::optional<std::string> parse_bare_id_cgroup(std::string_view path) {
  const std::vector<std::string_view> parts = split(path);
  const auto found = std::find_if(parts.begin(), parts.end(), is_id);
  return found == parts.end() ? std::nullopt : std::optional<std::string>(*found);
}

}  // namespace assay::agent
