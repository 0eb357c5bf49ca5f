// SPDX-License-Identifier: Apache-2.0
#include "agent/uplink/heartbeat.h"

#include "agent/uplink/utf8.h"

namespace assay::agent {
namespace {

constexpr std::size_t kMaxDegradations = 16;

void fill_probe(const ProbeHealth& probe, v1::Heartbeat& beat) {
  const LossCounters& loss = probe.loss;
  beat.set_probe_state(std::string(to_string(probe.state)));
  beat.set_probe_detail(to_utf8(probe.detail));
  beat.set_probe_is_attached(is_attached(probe.state));
  beat.set_probe_has_seen(probe.state == ProbeState::kSeen);
  beat.set_probe_sent(loss.sent);
  beat.set_probe_lost(loss.lost() + loss.map_failures());
  beat.set_lost_starts(loss.lost_starts);
  beat.set_lost_execs(loss.lost_execs);
  beat.set_recursion_misses(loss.recursion_misses);
  beat.set_map_failures(loss.map_failures());
}

void fill_outbox(const OutboxStatus& outbox, v1::Heartbeat& beat) {
  beat.set_outbox_events(outbox.events);
  beat.set_outbox_bytes(outbox.bytes);
  beat.set_outbox_dropped(outbox.dropped);
  if (outbox.oldest) beat.set_outbox_oldest_ns(to_unix_ns(*outbox.oldest));
  beat.set_outbox_error(to_utf8(outbox.error));
}

void fill_catalog(const CatalogStatus& catalog, v1::Heartbeat& beat) {
  beat.set_catalog_sequence(catalog.sequence);
  if (catalog.head) beat.set_catalog_head(std::string(catalog.head->raw()));
  beat.set_catalog_is_stale(catalog.is_stale);
  if (catalog.expires) beat.set_catalog_expires_ns(to_unix_ns(*catalog.expires));
  beat.set_catalog_refused(to_utf8(catalog.refused));
}

}  // namespace

void fill_heartbeat(const AgentHealth& health, v1::Heartbeat& beat) {
  fill_probe(health.probe, beat);
  fill_outbox(health.outbox, beat);
  fill_catalog(health.catalog, beat);
  beat.set_queue_dropped(health.queue_dropped + health.outbox.dropped);
  beat.set_running(health.running);
  beat.set_starts(health.starts);
  beat.set_late_starts(health.late_starts);
  beat.set_layers_pending(health.layers_pending);
  beat.set_rss_bytes(health.rss_bytes);
  beat.set_cpu_ns(static_cast<std::uint64_t>(health.cpu.count()));
  beat.set_started_ns(to_unix_ns(health.started));
  beat.set_connects(health.uplink.connects);
  for (const Degradation& one : health.degraded) {
    if (static_cast<std::size_t>(beat.degraded_size()) >= kMaxDegradations) break;
    v1::Degradation& out = *beat.add_degraded();
    out.set_mode(one.mode);
    out.set_reason(to_utf8(one.reason));
  }
}

}  // namespace assay::agent
