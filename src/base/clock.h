#pragma once
// The time, injectable: tests hold it still or move it by hand.
//
// Lent by reference from the daemon's wiring to everything that asks for time. All calls are thread-safe.

#include <atomic>

#include "base/time.h"

namespace kiln::base {

class Clock {
 public:
  virtual ~Clock() = default;
  // Wall-clock time; may jump when the operator or NTP sets it.
  virtual Micros now() = 0;
  // Microseconds since some fixed point; never goes back. For deadlines and durations.
  virtual Micros monotonic() = 0;
};

class SystemClock final : public Clock {
 public:
  Micros now() override;
  Micros monotonic() override;
};

// A clock that moves only when told.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(Micros start = seconds(1'767'225'600)) : now_(start) {}  // 2026-01-01
  Micros now() override { return now_; }
  Micros monotonic() override { return now_; }
  void advance(Micros by) { now_ += by; }

 private:
  std::atomic<Micros> now_;
};

}  // namespace kiln::base
