// SPDX-License-Identifier: Apache-2.0
// std::mutex with the annotations that clang's -Wthread-safety checks (libstdc++ has none).
#pragma once

#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define ASSAY_ATTRIBUTE(x) __attribute__((x))
#else
#define ASSAY_ATTRIBUTE(x)
#endif
#define ASSAY_GUARDED_BY(mutex) ASSAY_ATTRIBUTE(guarded_by(mutex))
#define ASSAY_REQUIRES(mutex) ASSAY_ATTRIBUTE(requires_capability(mutex))

namespace assay {

class ASSAY_ATTRIBUTE(capability("mutex")) Mutex {
 public:
  void lock() ASSAY_ATTRIBUTE(acquire_capability()) { mutex_.lock(); }
  void unlock() ASSAY_ATTRIBUTE(release_capability()) { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

class ASSAY_ATTRIBUTE(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ASSAY_ATTRIBUTE(acquire_capability(mutex)) : mutex_(mutex) {
    mutex_.lock();
  }
  ~MutexLock() ASSAY_ATTRIBUTE(release_capability()) { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

}  // namespace assay
