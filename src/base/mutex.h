#pragma once
// A mutex that clang's thread-safety analysis understands: a member marked KILN_GUARDED_BY(mutex_) may be touched
// only with mutex_ held, which the sanitize preset checks at compile time.
//
// Nobody calls the disk, the network, libvirt or a callback with one held, unless the header of the class says so.

#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define KILN_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define KILN_THREAD_ATTRIBUTE(x)
#endif
#define KILN_GUARDED_BY(x) KILN_THREAD_ATTRIBUTE(guarded_by(x))
#define KILN_REQUIRES(...) KILN_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
// Of a function whose locks are more than the analysis follows: a list of them, say.
#define KILN_NOT_ANALYSED KILN_THREAD_ATTRIBUTE(no_thread_safety_analysis)

namespace kiln::base {

class KILN_THREAD_ATTRIBUTE(capability("mutex")) Mutex {
 public:
  void lock() KILN_THREAD_ATTRIBUTE(acquire_capability()) { mutex_.lock(); }
  void unlock() KILN_THREAD_ATTRIBUTE(release_capability()) { mutex_.unlock(); }

 private:
  friend class Condition;
  std::mutex mutex_;
};

class KILN_THREAD_ATTRIBUTE(scoped_lockable) Lock {
 public:
  explicit Lock(Mutex& mutex) KILN_THREAD_ATTRIBUTE(acquire_capability(mutex)) : mutex_(mutex) { mutex_.lock(); }
  ~Lock() KILN_THREAD_ATTRIBUTE(release_capability()) { mutex_.unlock(); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  Mutex& mutex_;
};

// Waits are always for a condition, never bare; a wait that may not end has a deadline.
class Condition {
 public:
  // Waits until ready() holds. mutex is held when ready() is called and when wait returns.
  template <class Ready>
  void wait(Mutex& mutex, Ready ready) KILN_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock, ready);
    lock.release();
  }
  // The same, for at most so long; false when ready() does not hold at the end.
  template <class Ready, class Duration>
  bool wait_for(Mutex& mutex, Duration at_most, Ready ready) KILN_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    const bool held = condition_.wait_for(lock, at_most, ready);
    lock.release();
    return held;
  }
  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace kiln::base
