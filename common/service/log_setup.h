// SPDX-License-Identifier: Apache-2.0
// The log of a daemon: lines on stderr, as text or JSON. Only app/ and main write to it.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/mutex.h"
#include "common/base/result.h"

namespace assay::service {

enum class LogLevel { kDebug, kInfo, kWarn, kError };

struct LogOptions {
  std::string level = "info";   ///< debug, info, warn, error
  std::string format = "text";  ///< text, json
};

/// Thread-safe. Everything written is escaped (escape_untrusted), so callers may pass foreign text.
class Log {
 public:
  using Field = std::pair<std::string_view, std::string>;
  using Fields = std::initializer_list<Field>;

  /// Errors: kInvalidArgument (level, format).
  static Result<std::unique_ptr<Log>> create(const LogOptions& options);
  ~Log();
  /// For lines written from now on. Errors: kInvalidArgument; then nothing changes.
  Result<void> set_options(const LogOptions& options);
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  /// One line: `message`, then `fields` as key=value or as JSON members.
  void write(LogLevel level, std::string_view message, Fields fields = {});
  void debug(std::string_view message, Fields fields = {}) {
    write(LogLevel::kDebug, message, fields);
  }
  void info(std::string_view message, Fields fields = {}) {
    write(LogLevel::kInfo, message, fields);
  }
  void warn(std::string_view message, Fields fields = {}) {
    write(LogLevel::kWarn, message, fields);
  }
  void error(std::string_view message, Fields fields = {}) {
    write(LogLevel::kError, message, fields);
  }
  bool is_enabled(LogLevel level) const;

 private:
  struct Sink;
  explicit Log(std::unique_ptr<Sink> sink);
  std::unique_ptr<Sink> sink_;
};

/// For messages that a container or a peer could cause at will: at most `burst` per `interval`.
/// Thread-safe.
class LogRateLimit {
 public:
  LogRateLimit(std::uint32_t burst, std::chrono::nanoseconds interval)
      : burst_(burst), interval_(interval) {}

  /// Whether to write now. `suppressed` becomes how many were held back since the last one written.
  bool allow(std::uint64_t& suppressed);

 private:
  const std::uint32_t burst_;
  const std::chrono::nanoseconds interval_;
  Mutex mutex_;
  std::chrono::steady_clock::time_point begin_ ASSAY_GUARDED_BY(mutex_){};
  std::uint32_t written_ ASSAY_GUARDED_BY(mutex_) = 0;
  std::uint64_t suppressed_ ASSAY_GUARDED_BY(mutex_) = 0;
};

}  // namespace assay::service
