// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/exemption.h"

#include <algorithm>

#include "common/base/encoding.h"

namespace assay::catalog {
namespace {

std::string label(const ContainerNames& names, const std::string& key) {
  const auto found = names.labels.find(key);
  return found == names.labels.end() ? std::string() : found->second;
}

/// `pod` without "-SUFFIX" at its end; "" when it does not end so.
std::string without_end(const std::string& pod, std::string_view suffix) {
  if (suffix.empty() || pod.size() <= suffix.size() + 1 || !pod.ends_with(suffix)) return "";
  const std::size_t size = pod.size() - suffix.size() - 1;
  return pod[size] == '-' ? pod.substr(0, size) : "";
}

/// "web-7d4b9c6f5-x2k9p" with its last part away; "" when there is only one.
std::string without_last_part(const std::string& pod) {
  const std::size_t dash = pod.rfind('-');
  return dash == std::string::npos || dash == 0 ? "" : pod.substr(0, dash);
}

/// What a controller named after itself, by the labels it puts on its pods.
std::string controller_of(const ContainerNames& names) {
  for (const char* job : {"batch.kubernetes.io/job-name", "job-name"})
    if (const std::string name = label(names, job); !name.empty()) return name;
  const std::string set = without_last_part(names.pod_name);
  if (set.empty()) return "";
  if (const std::string hash = label(names, "pod-template-hash"); !hash.empty())
    return without_end(set, hash);
  if (!label(names, "statefulset.kubernetes.io/pod-name").empty()) return set;
  return label(names, "controller-revision-hash").empty() ? "" : set;
}

bool matches(const std::string& pattern, const std::string& text) {
  if (!pattern.ends_with('*')) return pattern == text;
  return text.starts_with(std::string_view(pattern).substr(0, pattern.size() - 1));
}

/// "registry:5000/app" of "registry:5000/app:1.2" and "…@sha256:…".
std::string_view repository_of(std::string_view image) {
  image = image.substr(0, image.find('@'));
  const std::size_t colon = image.rfind(':');
  const std::size_t slash = image.rfind('/');
  const bool has_tag =
      colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash);
  return has_tag ? image.substr(0, colon) : image;
}

bool matches_image(const std::string& pattern, const std::string& image) {
  return !image.empty() && (matches(pattern, image) || pattern == repository_of(image));
}

bool is_selected(const Exemption& exemption, const ContainerNames& names) {
  if (!exemption.pod_namespace.empty() && exemption.pod_namespace != names.pod_namespace)
    return false;
  if (!exemption.workload.empty() && exemption.workload != workload_of(names)) return false;
  if (!exemption.container.empty() && !matches(exemption.container, names.name)) return false;
  if (!exemption.image.empty() && !matches_image(exemption.image, names.image)) return false;
  return std::ranges::all_of(exemption.labels, [&](const auto& wanted) {
    const auto found = names.labels.find(wanted.first);
    return found != names.labels.end() && found->second == wanted.second;
  });
}

bool is_about(const Exemption& exemption, const FindingCause& cause) {
  return cause.subject == exemption.base || (exemption.base.find(':') == std::string::npos &&
                                             cause.subject.starts_with(exemption.base + ":"));
}

}  // namespace

bool has_selector(const Exemption& exemption) {
  const auto narrows = [](const std::string& text) { return !text.empty() && text != "*"; };
  return narrows(exemption.pod_namespace) || narrows(exemption.workload) ||
         narrows(exemption.container) || narrows(exemption.image) || !exemption.labels.empty();
}

std::string workload_of(const ContainerNames& names) {
  if (std::string name = controller_of(names); !name.empty()) return name;
  for (const char* key : {"app.kubernetes.io/instance", "app.kubernetes.io/name"})
    if (std::string name = label(names, key); !name.empty()) return name;
  const std::string service = label(names, "com.docker.compose.service");
  return service.empty() ? "" : label(names, "com.docker.compose.project") + "/" + service;
}

std::string contact_of(const ContainerNames& names) {
  for (const char* key : {kContactAnnotation.data(), "owner", "team",
                          "org.opencontainers.image.authors", "maintainer"})
    if (std::string contact = label(names, key); !contact.empty()) return contact;
  return "";
}

bool is_exemptible(FindingKind kind) {
  return kind == FindingKind::kDeprecatedBase || kind == FindingKind::kRevokedBase ||
         kind == FindingKind::kExpiredBase;
}

bool may_be_exempt(const Policy& policy, const std::vector<FindingCause>& causes, WallTime now) {
  return std::ranges::any_of(policy.exemptions, [&](const Exemption& exemption) {
    return exemption.until > now && std::ranges::any_of(causes, [&](const FindingCause& cause) {
             return is_exemptible(cause.kind) && is_about(exemption, cause);
           });
  });
}

ExemptionOutcome exemption_for(const Policy& policy, const FindingCause& cause,
                               const ContainerNames& names, WallTime now) {
  if (!is_exemptible(cause.kind)) return {};
  const Exemption* last = nullptr;
  for (const Exemption& exemption : policy.exemptions) {
    if (exemption.until <= now || !is_about(exemption, cause) || !is_selected(exemption, names))
      continue;
    if (last == nullptr || last->until < exemption.until) last = &exemption;
  }
  if (last == nullptr) return {};
  if (!names.are_confirmed()) return {nullptr, true};
  return {last, false};
}

std::string exemption_text(const Exemption& exemption) {
  return "exempt until " + to_rfc3339(exemption.until, 0) + " by " +
         escape_untrusted(exemption.owner, 300) + ": " + escape_untrusted(exemption.reason, 200);
}

}  // namespace assay::catalog
