// SPDX-License-Identifier: Apache-2.0
#include "collector/catalog/mark_key.h"

#include <pthread.h>

#include <condition_variable>
#include <mutex>

#include "common/base/file.h"
#include "common/base/guarded_file.h"

namespace assay::collector {
namespace {

constexpr std::size_t kMaxKeyBytes = 64 << 10;
constexpr std::chrono::hours kRenewAfter{1};
constexpr std::chrono::minutes kLookEvery{1};  // a clock that jumped ahead is noticed

}  // namespace

Result<catalog::SigningKey> load_mark_key(const std::string& path) {
  auto text = read_guarded_file(path, kMaxKeyBytes, Guard::kSecret);
  if (text) {
    auto key = catalog::SigningKey::from_pem(*text);
    if (!key) return std::move(key.error()).with_context("mark_key " + path);
    return key;
  }
  if (text.error().code != ErrorCode::kNotFound)
    return std::move(text.error()).with_context("mark_key");
  ASSAY_ASSIGN(catalog::SigningKey key, catalog::SigningKey::generate(catalog::KeyType::kEd25519));
  ASSAY_TRY(write_file_atomically(path + ".pub", key.public_key().pem(), 0644));
  ASSAY_TRY(write_file_atomically(path, key.private_pem(), 0600));
  return key;
}

MarkTimer::MarkTimer(SignedLogKeeper& keeper, std::function<void()> on_mark)
    : keeper_(keeper), on_mark_(std::move(on_mark)) {
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  ::pthread_setname_np(thread_.native_handle(), "assay-marks");
}

void MarkTimer::run(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any woken;
  while (!stop.stop_requested()) {
    if (keeper_.renew_mark(kRenewAfter)) on_mark_();
    std::unique_lock lock(mutex);
    woken.wait_for(lock, stop, kLookEvery, [] { return false; });
  }
}

}  // namespace assay::collector
