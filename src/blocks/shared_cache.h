#pragma once
// A bounded cache of immutable values by digest; the least recently used goes first.
//
// Thread-safe. Several threads that want one missing value load it once and share what comes, the error included; a
// load runs without the lock. Values live on while somebody holds them. Nothing survives the process.

#include <list>
#include <memory>
#include <new>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/digest.h"
#include "base/error.h"
#include "base/mutex.h"

namespace kiln::blocks {

template <class Value>
class SharedCache {
 public:
  using Pointer = std::shared_ptr<const Value>;

  // Every value counts as value_bytes.
  SharedCache(std::size_t limit_bytes, std::size_t value_bytes) : most_values_(limit_bytes / value_bytes) {}

  // load is a function without arguments that returns base::Result<Pointer>.
  template <class Load>
  base::Result<Pointer> get(const base::Digest& id, Load load) {
    std::shared_ptr<Flight> flight;
    bool mine = false;
    {
      base::Lock lock(mutex_);
      if (const auto held = held_.find(id); held != held_.end()) {
        used_.splice(used_.begin(), used_, held->second);
        return held->second->second;
      }
      auto& slot = flights_[id];
      mine = slot == nullptr;
      if (mine) slot = std::make_shared<Flight>();
      flight = slot;
      if (!mine) {
        landed_.wait(mutex_, [&]() KILN_REQUIRES(mutex_) { return flight->result.has_value(); });
        return *flight->result;
      }
    }
    auto result = load_without_throwing(load);
    base::Lock lock(mutex_);
    flight->result = result;
    flights_.erase(id);
    if (result) keep(id, *result);
    landed_.notify_all();
    return result;
  }

  // What is there already, or null.
  Pointer find(const base::Digest& id) {
    base::Lock lock(mutex_);
    const auto held = held_.find(id);
    if (held == held_.end()) return nullptr;
    used_.splice(used_.begin(), used_, held->second);
    return held->second->second;
  }

  // Forgets a value; whoever holds it keeps it.
  void drop(const base::Digest& id) {
    base::Lock lock(mutex_);
    const auto held = held_.find(id);
    if (held == held_.end()) return;
    used_.erase(held->second);
    held_.erase(held);
  }

  void clear() {
    base::Lock lock(mutex_);
    held_.clear();
    used_.clear();
  }

  std::size_t values() {
    base::Lock lock(mutex_);
    return held_.size();
  }

 private:
  struct Flight {
    std::optional<base::Result<Pointer>> result;
  };
  using Used = std::list<std::pair<base::Digest, Pointer>>;

  // A flight that never lands would make its waiters wait for ever.
  template <class Load>
  static base::Result<Pointer> load_without_throwing(Load& load) {
    try {
      return load();
    } catch (const std::bad_alloc&) {
      return base::Error(base::Fault::io, "out of memory");
    }
  }

  void keep(const base::Digest& id, Pointer value) KILN_REQUIRES(mutex_) {
    if (most_values_ == 0) return;
    while (held_.size() >= most_values_) {
      held_.erase(used_.back().first);
      used_.pop_back();
    }
    used_.emplace_front(id, std::move(value));
    held_[id] = used_.begin();
  }

  const std::size_t most_values_;
  base::Mutex mutex_;
  base::Condition landed_;
  std::unordered_map<base::Digest, std::shared_ptr<Flight>> flights_ KILN_GUARDED_BY(mutex_);
  Used used_ KILN_GUARDED_BY(mutex_);
  std::unordered_map<base::Digest, typename Used::iterator> held_ KILN_GUARDED_BY(mutex_);
};

}  // namespace kiln::blocks
