#pragma once
// Which chunks a guest reads first when it boots, and in what order: what later launches of the same image bring near
// before their guest asks.
//
// A volume notes the first touches of its first minutes. Of up to three launches that is merged into the trace of an
// image: chunks that most of them read, by the median of when. Chunks are named by their place on the disk, so a trace
// is of one image, and an image that is made of an instance has none.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "base/mutex.h"

namespace kiln::blocks {

constexpr std::size_t max_touches = 1024;  // 512 MiB; Linux guests read 60 to 250 MiB to their login prompt
constexpr std::chrono::seconds trace_window{120};
// A guest that has read nothing new for so long has booted.
constexpr std::chrono::seconds trace_pause{15};
constexpr std::size_t launches_a_trace = 3;

struct Touch {
  std::uint64_t chunk_index = 0;
  std::uint32_t after_ms = 0;  // since the volume was opened

  bool operator==(const Touch&) const = default;
};

// What one launch touched, in order.
struct LaunchTouches {
  std::vector<Touch> touches;
  bool complete = false;  // no more will be noted
};

// The chunks to bring, in order: those that at least two launches touched, or the only launch that there was.
std::vector<std::uint64_t> trace_of(std::span<const std::vector<Touch>> launches);

// "7@15 8@15 2@40": a chunk index and milliseconds each. Fault::corrupt when a text is not of that form, names a chunk
// twice or more than max_touches of them.
std::string touches_text(std::span<const Touch> touches);
base::Result<std::vector<Touch>> parse_touches(std::string_view text);

// Thread-safe. Costs a reader one relaxed load when it is over.
class TouchRecorder {
 public:
  using Clock = std::chrono::steady_clock;

  bool recording() const { return recording_.load(std::memory_order_relaxed); }
  void note(std::uint64_t chunk_index, Clock::time_point now = Clock::now());
  LaunchTouches touches(Clock::time_point now = Clock::now());

 private:
  const Clock::time_point start_ = Clock::now();
  std::atomic<bool> recording_ = true;
  base::Mutex mutex_;
  Clock::time_point latest_ KILN_GUARDED_BY(mutex_) = start_;
  std::unordered_set<std::uint64_t> seen_ KILN_GUARDED_BY(mutex_);
  std::vector<Touch> touches_ KILN_GUARDED_BY(mutex_);
};

}  // namespace kiln::blocks
