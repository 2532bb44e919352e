#include "blocks/prefetcher.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <new>
#include <system_error>

#include "base/log.h"

namespace kiln::blocks {
namespace {

using Clock = std::chrono::steady_clock;

// What is planned at once: a volume of 64 TiB has 2^27 chunks.
constexpr std::uint64_t chunks_a_window = 4096;

// Of this thread alone, which is what Linux takes a thread's id for.
void lower_priority() { ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), 10); }

}  // namespace

// What one start() asked for.
class Prefetcher::Run {
 public:
  Run(DiskSource& source, const DiskId& disk, std::vector<std::uint64_t> chunks, std::uint64_t bytes_per_second)
      : source_(source), disk_(disk), chunks_(std::move(chunks)), bytes_per_second_(bytes_per_second) {
    thread_ = std::thread([this] { run(); });
  }
  ~Run() {
    {
      base::Lock lock(mutex_);
      stopping_ = true;
    }
    stopped_.notify_all();
    thread_.join();
  }
  bool done() const { return done_; }
  bool is_of(const DiskId& disk, const std::vector<std::uint64_t>& chunks, std::uint64_t bytes_per_second) const {
    return disk_ == disk && chunks_ == chunks && bytes_per_second_ == bytes_per_second;
  }

 private:
  void run() {
    lower_priority();
    try {
      const auto count = chunks_.empty() ? (disk_.size_bytes + chunk_bytes - 1) / chunk_bytes : chunks_.size();
      for (std::uint64_t first = 0; first < count && !stopping(); first += chunks_a_window) {
        plan(first, std::min(count, first + chunks_a_window));
        bring_window();
      }
    } catch (const std::bad_alloc&) {
      base::log_warning("blocks", "out of memory while chunks are prefetched");
    }
    done_ = true;
  }

  void plan(std::uint64_t first, std::uint64_t end) {
    std::vector<ChunkId> ids;
    for (auto i = first; i < end && !stopping(); ++i) {
      const auto id = source_.chunk_id(disk_, chunks_.empty() ? i : chunks_[i]);
      if (id && !id->is_null()) ids.push_back(*id);
    }
    batches_ = source_.together(ids);
    next_batch_ = 0;
  }

  void bring_window() {
    std::vector<std::thread> helpers;
    for (std::size_t i = 1; i < std::min(prefetch_width, batches_.size()); ++i) {
      try {
        helpers.emplace_back([this] { bring_batches(); });
      } catch (const std::system_error&) {
        break;  // the system grants no more threads: those that there are do it
      }
    }
    bring_batches();
    for (auto& helper : helpers) helper.join();
  }

  // Each thread's outermost call: what left it would end the process, and with it the disks of a guest.
  void bring_batches() noexcept {
    lower_priority();
    try {
      for (auto next = next_batch_++; next < batches_.size() && wait_for_turn(batches_[next].size());
           next = next_batch_++) {
        if (const auto brought = source_.bring(batches_[next]); !brought) {
          base::log_debug("blocks", "prefetch: {}", brought.error().message());
        }
      }
    } catch (const std::bad_alloc&) {
      base::log_warning("blocks", "out of memory while chunks are prefetched");
    }
  }

  // Whether to go on, when the rate allows so many more chunks.
  bool wait_for_turn(std::size_t chunks) {
    base::Lock lock(mutex_);
    if (bytes_per_second_ == 0) return !stopping_;
    const auto turn = std::max(next_turn_, Clock::now());
    const auto takes = static_cast<double>(chunks * chunk_bytes) / static_cast<double>(bytes_per_second_);
    next_turn_ = turn + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(takes));
    stopped_.wait_for(mutex_, turn - Clock::now(), [&]() KILN_REQUIRES(mutex_) { return stopping_; });
    return !stopping_;
  }
  bool stopping() {
    base::Lock lock(mutex_);
    return stopping_;
  }

  DiskSource& source_;
  const DiskId disk_;
  const std::vector<std::uint64_t> chunks_;
  const std::uint64_t bytes_per_second_;
  std::vector<std::vector<ChunkId>> batches_;  // of one window, made before its helpers are
  std::atomic<std::size_t> next_batch_ = 0;
  std::atomic<bool> done_ = false;
  base::Mutex mutex_;
  base::Condition stopped_;
  bool stopping_ KILN_GUARDED_BY(mutex_) = false;
  Clock::time_point next_turn_ KILN_GUARDED_BY(mutex_){};
  std::thread thread_;
};

Prefetcher::Prefetcher(DiskSource& source) : source_(source) {}
Prefetcher::~Prefetcher() = default;

void Prefetcher::start(const DiskId& disk, std::vector<std::uint64_t> chunks, std::uint64_t bytes_per_second) {
  base::Lock lock(mutex_);
  std::erase_if(runs_, [](const auto& run) { return run->done(); });
  if (std::ranges::any_of(runs_, [&](const auto& run) { return run->is_of(disk, chunks, bytes_per_second); })) return;
  try {
    runs_.push_back(std::make_unique<Run>(source_, disk, std::move(chunks), bytes_per_second));
  } catch (const std::system_error& failure) {
    base::log_warning("blocks", "nothing is prefetched: {}", failure.what());
  }
}

std::size_t Prefetcher::running() {
  base::Lock lock(mutex_);
  return static_cast<std::size_t>(std::ranges::count_if(runs_, [](const auto& run) { return !run->done(); }));
}

}  // namespace kiln::blocks
