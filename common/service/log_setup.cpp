// SPDX-License-Identifier: Apache-2.0
#include "common/service/log_setup.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>

#include "common/base/encoding.h"

namespace assay::service {
namespace {

constexpr std::size_t kMaxFieldBytes = 1024;

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

Result<spdlog::level::level_enum> parse_level(const std::string& text) {
  if (text == "debug") return spdlog::level::debug;
  if (text == "info") return spdlog::level::info;
  if (text == "warn") return spdlog::level::warn;
  if (text == "error") return spdlog::level::err;
  return Error{ErrorCode::kInvalidArgument,
               "log level \"" + text + "\" is none of debug, info, warn, error"};
}

/// A JSON string. Control characters and what is not UTF-8 were made \xNN text before.
std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : escape_untrusted(text, kMaxFieldBytes)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string text_value(std::string_view text) {
  std::string safe = escape_untrusted(text, kMaxFieldBytes);
  if (!safe.empty() && safe.find_first_of(" =\"") == std::string::npos) return safe;
  std::string out = "\"";
  for (const char c : safe) {
    if (c == '"') out += '\\';
    out += c;
  }
  return out + "\"";
}

}  // namespace

struct Log::Sink {
  spdlog::logger logger{"assay", std::make_shared<spdlog::sinks::stderr_sink_mt>()};
  std::atomic<bool> is_json{false};
};

Log::Log(std::unique_ptr<Sink> sink) : sink_(std::move(sink)) {}
Log::~Log() = default;

Result<std::unique_ptr<Log>> Log::create(const LogOptions& options) {
  std::unique_ptr<Log> log(new Log(std::make_unique<Sink>()));
  log->sink_->logger.flush_on(spdlog::level::debug);
  ASSAY_TRY(log->set_options(options));
  return log;
}

Result<void> Log::set_options(const LogOptions& options) {
  ASSAY_ASSIGN(const auto level, parse_level(options.level));
  if (options.format != "text" && options.format != "json")
    return Error{ErrorCode::kInvalidArgument,
                 "log format \"" + options.format + "\" is none of text, json"};
  sink_->is_json = options.format == "json";
  sink_->logger.set_level(level);
  sink_->logger.set_pattern(sink_->is_json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})"
                                           : "%Y-%m-%dT%H:%M:%S.%eZ %l %v",
                            spdlog::pattern_time_type::utc);
  return ok();
}

bool Log::is_enabled(LogLevel level) const {
  return sink_->logger.should_log(to_spdlog(level));
}

void Log::write(LogLevel level, std::string_view message, Fields fields) {
  if (!is_enabled(level)) return;
  std::string line;
  if (sink_->is_json) {
    line = "\"message\":" + json_string(message);
    for (const auto& [key, value] : fields)
      line.append(",\"").append(key).append("\":").append(json_string(value));
  } else {
    line = escape_untrusted(message, kMaxFieldBytes);
    for (const auto& [key, value] : fields)
      line.append(" ").append(key).append("=").append(text_value(value));
  }
  sink_->logger.log(to_spdlog(level), spdlog::string_view_t(line));
}

bool LogRateLimit::allow(std::uint64_t& suppressed) {
  const MutexLock lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (now - begin_ >= interval_) {
    begin_ = now;
    written_ = 0;
  }
  if (written_ >= burst_) {
    ++suppressed_;
    return false;
  }
  ++written_;
  suppressed = std::exchange(suppressed_, 0);
  return true;
}

}  // namespace assay::service
