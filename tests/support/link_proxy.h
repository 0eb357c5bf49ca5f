// SPDX-License-Identifier: Apache-2.0
// A man in the middle between agents and the collector: speaks AgentLink on both sides over mTLS,
// with certificates of its own, and does to messages what bad networks and broken relays do.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

namespace assay::tests {

/// How often something happens to a message, in thousandths.
struct Weather {
  int lose = 30;
  int repeat = 60;    ///< sent twice
  int overtake = 60;  ///< sent after the one that follows it
  int replay = 40;    ///< an old batch, of this or an earlier stream, is sent again
  int hold_up = 60;   ///< sent some milliseconds late
  int cut = 15;       ///< both streams break, right before or right after it
};

/// What happened so far. Thread-safe.
struct WeatherCounts {
  std::atomic<std::uint64_t> streams{0}, messages{0}, lost{0}, repeated{0}, overtaken{0},
      replayed{0}, held_up{0}, cut{0};
  std::string text() const;
};

struct ProxyTls {
  std::string authority;    ///< PEM, of both sides
  std::string certificate;  ///< PEM: server for "localhost"
  std::string key;
  std::string client_certificate;  ///< PEM: the node's identity, as the collector wants it
  std::string client_key;
};

/// Serves until it is destroyed. Hello and Welcome are never lost in silence, for that is a cut.
class LinkProxy {
 public:
  /// `collector`: HOST:PORT. All that happens follows from `seed` and the order of messages.
  static std::unique_ptr<LinkProxy> start(const ProxyTls& tls, const std::string& collector,
                                          std::uint32_t seed, const Weather& weather);
  virtual ~LinkProxy() = default;
  virtual std::string address() const = 0;  ///< for agents
  virtual void set_weather(const Weather& weather) = 0;
  /// From now on agents get what this file holds (bytes of a v1::CatalogLog) right after Welcome
  /// and instead of every catalog and mark of the collector, as long as the file is there.
  virtual void set_forged_catalog(const std::string& path) = 0;
  virtual const WeatherCounts& counts() const = 0;
};

}  // namespace assay::tests
