// SPDX-License-Identifier: Apache-2.0
// The sentences that say why: escaped, one line each; internal to common/catalog.
#pragma once

#include <string>
#include <vector>

#include "common/catalog/judge.h"
#include "common/catalog/match.h"
#include "common/catalog/standing.h"

namespace assay::catalog {

/// Why `base` has this standing at the time of judging, and how surely it was recognised.
std::string base_reason(const Base& base, const Standing& standing, Rung rung);
/// Why a base that has `status` does not count as such yet.
std::string below_rung_reason(const StackMatch& match, VerdictStatus status, Rung required,
                              const std::vector<const StackLayer*>& layers);
std::string awaited_reason(std::size_t awaited, std::size_t layers);
/// For what is_unreadable.
std::string unreadable_reason(const std::vector<const StackLayer*>& layers, const Stack& stack);
std::string unknown_reason(const std::vector<const StackLayer*>& layers, const Stack& stack,
                           const Catalog& catalog);
/// "layer N was changed on its node after it was first read: …"; `number` counts from 1, injected
/// layers too.
std::string tampered_reason(const StackLayer& layer, std::size_t number);
/// "layer N against BASE: …".
std::string contradiction_text(const Contradiction& contradiction);
/// What stands before ": " tells two contradictions, or two conflicts of claims, apart.
std::string_view contradiction_subject(std::string_view text);

/// True when no layer that is compared has, or ever will have, a fingerprint.
bool is_unreadable(const std::vector<const StackLayer*>& layers, const Stack& stack);

}  // namespace assay::catalog
