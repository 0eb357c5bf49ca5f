// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/judge.h"

#include <algorithm>
#include <tuple>

#include "common/catalog/catalog.h"
#include "common/catalog/match.h"
#include "common/catalog/names.h"
#include "common/catalog/reason.h"
#include "common/catalog/standing.h"

namespace assay::catalog {
namespace {

constexpr Names<VerdictStatus, 6> kStatuses{{{VerdictStatus::kApproved, "approved"},
                                             {VerdictStatus::kDeprecated, "deprecated"},
                                             {VerdictStatus::kRevoked, "revoked"},
                                             {VerdictStatus::kExpired, "expired"},
                                             {VerdictStatus::kUnknown, "unknown"},
                                             {VerdictStatus::kPending, "pending"}}};

/// Among bases of one length: what decides the verdict first, then the better standing.
int order_of(VerdictStatus status) {
  switch (status) {
    case VerdictStatus::kRevoked:
      return 0;
    case VerdictStatus::kExpired:
      return 1;
    case VerdictStatus::kApproved:
      return 2;
    case VerdictStatus::kDeprecated:
      return 3;
    default:
      return 4;
  }
}

struct Judged {
  StackMatch match;
  Standing standing;
  VerdictStatus status = VerdictStatus::kUnknown;  ///< as it counts on this rung
};

/// By what and when everything is judged.
struct Question {
  const Catalog& catalog;
  WallTime now{};
  const ScanSummaries* scans = nullptr;
};

bool goes_before(const Judged& a, const Judged& b) {
  if (a.match.depth != b.match.depth) return a.match.depth > b.match.depth;
  if (order_of(a.status) != order_of(b.status)) return order_of(a.status) < order_of(b.status);
  if (a.match.rung != b.match.rung) return a.match.rung > b.match.rung;
  return a.match.base->id < b.match.base->id;
}

std::vector<Judged> in_order(const std::vector<StackMatch>& found, const Question& question) {
  const Policy& policy = question.catalog.policy();
  std::vector<Judged> ordered;
  ordered.reserve(found.size());
  for (const StackMatch& match : found) {
    Standing standing = standing_of(*match.base, policy, question.scans, question.now);
    const VerdictStatus status = counted_status(policy, standing.status, match.rung);
    ordered.push_back({match, std::move(standing), status});
  }
  std::sort(ordered.begin(), ordered.end(), goes_before);
  return ordered;
}

/// Bad news in the layers above the base: `FROM approved`, then `COPY --from=revoked / /`.
std::vector<Judged> bad_news_above(const std::vector<const StackLayer*>& layers, std::size_t start,
                                   const Question& question) {
  constexpr std::size_t kNoneSeen = 0;  // the view is looked at for the base that names the run
  std::vector<Judged> news;
  for (std::size_t at = start; at < layers.size(); ++at)
    for (const Judged& judged :
         in_order(matches_at(layers, at, question.catalog, kNoneSeen).found, question))
      if (judged.status != VerdictStatus::kApproved) news.push_back(judged);
  return news;
}

/// Where a layer's bytes prove one base, that another base's layer only looks the same is no news.
bool is_explained(const Contradiction& contradiction, const std::vector<Judged>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](const Judged& judged) {
    return judged.match.rung >= Rung::kContent && judged.match.layers > contradiction.layer;
  });
}

std::vector<std::string> contradictions_of(const Matches& matches,
                                           const std::vector<Judged>& prefixes) {
  std::vector<std::string> texts;
  for (const Contradiction& contradiction : matches.contradictions)
    if (!is_explained(contradiction, prefixes)) texts.push_back(contradiction_text(contradiction));
  std::sort(texts.begin(), texts.end());
  const auto is_same = [](const std::string& a, const std::string& b) {
    return contradiction_subject(a) == contradiction_subject(b);
  };
  texts.erase(std::unique(texts.begin(), texts.end(), is_same), texts.end());
  return texts;
}

const Judged* first_with(const std::vector<Judged>& all, VerdictStatus status) {
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const Judged& judged) { return judged.status == status; });
  return found == all.end() ? nullptr : &*found;
}

void decide_without_match(const std::vector<const StackLayer*>& layers, const Stack& stack,
                          const Catalog& catalog, Verdict& verdict) {
  const auto is_awaited = [](const StackLayer* layer) {
    return !layer->evidence.shape && layer->evidence.gap.empty();
  };
  const auto awaited =
      static_cast<std::size_t>(std::count_if(layers.begin(), layers.end(), is_awaited));
  const bool is_pending = stack.unsupported.empty() && awaited != 0;
  verdict.status = is_pending ? VerdictStatus::kPending : VerdictStatus::kUnknown;
  verdict.reason =
      is_pending ? awaited_reason(awaited, layers.size()) : unknown_reason(layers, stack, catalog);
}

void wait_for_rung(const Judged& judged, const std::vector<const StackLayer*>& layers,
                   const Catalog& catalog, Verdict& verdict) {
  const VerdictStatus status = judged.standing.status;
  verdict.status = VerdictStatus::kPending;
  verdict.reason =
      below_rung_reason(judged.match, status, rung_for(catalog.policy(), status), layers);
}

/// Revoked or expired, but seen less surely than the policy wants: no reason to be at ease.
const Judged* weak_news(const std::vector<Judged>& all) {
  const auto found = std::find_if(all.begin(), all.end(), [](const Judged& judged) {
    return judged.status == VerdictStatus::kPending &&
           judged.standing.status != VerdictStatus::kDeprecated;
  });
  return found == all.end() ? nullptr : &*found;
}

/// The verdict by the base that names the run, when nothing is revoked or expired.
void decide_by_naming(const std::vector<Judged>& all, const std::vector<const StackLayer*>& layers,
                      const Catalog& catalog, Verdict& verdict) {
  const Judged& naming = all.front();
  const bool is_weak = naming.status == VerdictStatus::kPending ||
                       naming.match.rung < rung_for(catalog.policy(), naming.status);
  if (is_weak) return wait_for_rung(naming, layers, catalog, verdict);
  if (const Judged* weak = weak_news(all)) return wait_for_rung(*weak, layers, catalog, verdict);
  verdict.status = naming.status;
  verdict.reason = base_reason(*naming.match.base, naming.standing, naming.match.rung);
}

bool is_good(VerdictStatus status) {
  return status == VerdictStatus::kApproved || status == VerdictStatus::kDeprecated;
}

/// Layers that are known approve no container whose processes may see something else.
void withdraw_if_unseen(const std::vector<const StackLayer*>& layers, const Stack& stack,
                        Verdict& verdict) {
  const bool is_withdrawn = is_good(verdict.status) || verdict.status == VerdictStatus::kPending;
  if (stack.unsupported.empty() || !is_withdrawn) return;
  verdict.status = VerdictStatus::kUnknown;
  verdict.reason = unreadable_reason(layers, stack);
}

/// Bytes that were read prove nothing of a layer that was changed since: no approval stands on it.
/// Every layer counts, injected ones too: a container sees what lies in any of them.
void withdraw_if_tampered(const Stack& stack, Verdict& verdict) {
  if (!is_good(verdict.status)) return;
  for (std::size_t i = 0; i < stack.layers.size(); ++i) {
    if (stack.layers[i].evidence.tampered.empty()) continue;
    verdict.status = VerdictStatus::kPending;
    verdict.reason = tampered_reason(stack.layers[i], i + 1);
    return;
  }
}

/// Nor of a base whose files the container does not see.
void withdraw_if_masked(const Stack& stack, Verdict& verdict) {
  if (!stack.is_masked || !is_good(verdict.status)) return;
  verdict.reason = "the container does not see its base as it is (masked-base): " + verdict.reason;
  verdict.status = VerdictStatus::kPending;
}

void decide(const std::vector<Judged>& all, const std::vector<const StackLayer*>& layers,
            const Stack& stack, const Catalog& catalog, Verdict& verdict) {
  for (const VerdictStatus bad : {VerdictStatus::kRevoked, VerdictStatus::kExpired}) {
    const Judged* news = first_with(all, bad);
    if (news == nullptr) continue;
    verdict.status = bad;
    verdict.reason = base_reason(*news->match.base, news->standing, news->match.rung);
    return;
  }
  if (!all.empty() && all.front().match.first_layer == 0)
    decide_by_naming(all, layers, catalog, verdict);
  else
    decide_without_match(layers, stack, catalog, verdict);
}

}  // namespace

VerdictStatus status_at(const Base& base, WallTime now) {
  if (base.status == BaseStatus::kRevoked) return VerdictStatus::kRevoked;
  if (base.status == BaseStatus::kDraft) return VerdictStatus::kUnknown;
  if (base.expires_at && *base.expires_at <= now) return VerdictStatus::kExpired;
  if (base.status == BaseStatus::kApproved) return VerdictStatus::kApproved;
  if (base.deprecated_until && *base.deprecated_until <= now) return VerdictStatus::kExpired;
  return VerdictStatus::kDeprecated;
}

std::string_view to_string(VerdictStatus status) {
  return name_of(kStatuses, status);
}

Result<VerdictStatus> parse_verdict_status(std::string_view text) {
  return value_of(kStatuses, text, "verdict");
}

Verdict judge(const Stack& stack, const Catalog& catalog, WallTime now,
              const ScanSummaries* scans) {
  const Question question{catalog, now, scans};
  Verdict verdict;
  verdict.catalog_sequence = catalog.sequence();
  const std::vector<const StackLayer*> layers = compared_layers(stack);
  const Matches prefixes = matches_at(layers, 0, catalog, stack.seen_layers);
  std::vector<Judged> all = in_order(prefixes.found, question);
  verdict.contradictions = contradictions_of(prefixes, all);
  const std::size_t covered = all.empty() ? 0 : all.front().match.layers;
  if (covered != 0) {
    verdict.rung = all.front().match.rung;
    verdict.application_layers = layers.size() - covered;
  }
  const auto above = bad_news_above(layers, std::max<std::size_t>(covered, 1), question);
  all.insert(all.end(), above.begin(), above.end());
  decide(all, layers, stack, catalog, verdict);
  withdraw_if_unseen(layers, stack, verdict);
  withdraw_if_tampered(stack, verdict);
  withdraw_if_masked(stack, verdict);
  for (const Judged& judged : all)
    verdict.matches.push_back({judged.match.base->id, judged.status, judged.match.rung,
                               judged.match.layers, judged.match.first_layer});
  return verdict;
}

}  // namespace assay::catalog
