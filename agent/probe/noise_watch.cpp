// SPDX-License-Identifier: Apache-2.0
#include "agent/probe/noise_watch.h"

namespace assay::agent {
namespace {

constexpr std::chrono::seconds kTellAgain{60};

}  // namespace

std::optional<RunNoise> NoiseWatch::on_seen(const NoiseSeen& seen) {
  const std::pair key{seen.key, seen.budget};
  if (followed_.contains(key)) return std::nullopt;  // watch() reads the newest number
  RunNoise noise;
  noise.key = seen.key;
  noise.budget = seen.budget;
  noise.since = seen.time;
  noise.time = seen.time;
  noise.dropped = seen.dropped;
  noise.limit = seen.limit;
  if (followed_.size() < kMaxFollowed)
    followed_.emplace(key, Followed{noise, noise.dropped, seen.time});
  return noise;
}

std::vector<RunNoise> NoiseWatch::watch(BootTime now, const ReadDropped& read_dropped) {
  std::vector<RunNoise> news;
  for (auto entry = followed_.begin(); entry != followed_.end();) {
    Followed& followed = entry->second;
    const auto dropped = read_dropped(followed.noise.key, followed.noise.budget);
    if (!dropped) {
      entry = followed_.erase(entry);
      continue;
    }
    if (*dropped != followed.noise.dropped) {
      followed.noise.dropped = *dropped;
      followed.noise.time = now;
    }
    if (auto one = news_of(followed, now)) news.push_back(*one);
    entry = followed.noise.is_over ? followed_.erase(entry) : std::next(entry);
  }
  return news;
}

std::optional<RunNoise> NoiseWatch::news_of(Followed& followed, BootTime now) const {
  RunNoise& noise = followed.noise;
  noise.is_over = now - noise.time >= quiet_after_;
  const bool has_grown = noise.dropped != followed.told && (noise.dropped >= 2 * followed.told ||
                                                            now - followed.told_at >= kTellAgain);
  if (!noise.is_over && !has_grown) return std::nullopt;
  followed.told = noise.dropped;
  followed.told_at = now;
  return noise;
}

}  // namespace assay::agent
