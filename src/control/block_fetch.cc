#include "control/block_fetch.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <map>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/mutex.h"

namespace kiln::control {
namespace {

constexpr int most_tries = 3;
// Between tries; twice as long each time.
constexpr std::chrono::milliseconds first_pause{200};
constexpr std::chrono::seconds tick{1};

[[noreturn]] void fail(const base::Error& error) { throw std::runtime_error("storing: " + error.message()); }

// One content, and every place on the disk that it belongs to.
struct Wanted {
  SourceBlock block;
  std::vector<std::uint64_t> indexes;
};

// The threads that fetch what one page wants. The first error stops all of them.
class Crew {
 public:
  Crew(SourceRegion& source, const std::string& snapshot_id, blocks::Ingest& ingest, std::vector<Wanted> wanted)
      : source_(source), snapshot_id_(snapshot_id), ingest_(ingest), wanted_(std::move(wanted)) {
    const auto count = std::min<std::size_t>(source.most_in_flight(), wanted_.size());
    {
      const base::Lock lock(mutex_);
      running_ = count;
    }
    for (std::size_t i = 0; i < count; ++i) begin_thread(i);
  }
  ~Crew() { stop(); }
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  // Waits for the end, saying now and then, and in the end however it comes, how much is done.
  using Report = std::function<void(std::uint64_t done, std::uint64_t fetched, bool over)>;
  void work(const Report& report) {
    for (;;) {
      bool over = false;
      std::uint64_t done = 0, fetched = 0;
      {
        const base::Lock lock(mutex_);
        over = changed_.wait_for(mutex_, tick, [&]() KILN_REQUIRES(mutex_) { return running_ == 0; });
        done = done_;
        fetched = fetched_;
      }
      report(done, fetched, over);
      if (over) break;
    }
    stop();
    const base::Lock lock(mutex_);
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void begin_thread(std::size_t already) {
    try {
      threads_.emplace_back([this] { run(); });
    } catch (const std::system_error& e) {
      // The system grants no more threads: those that there are do it.
      const base::Lock lock(mutex_);
      --running_;
      if (already == 0) failure_ = std::make_exception_ptr(SourceFailure(std::string("no thread: ") + e.what()));
    }
  }

  void run() {
    try {
      while (const Wanted* const next = take()) {
        const auto bytes = fetch(next->block);
        for (const auto index : next->indexes) {
          const auto& digest = next->block.digest;
          const auto put = digest ? ingest_.put(index, bytes, *digest) : ingest_.put(index, *bytes);
          if (!put) fail(put.error());
        }
        const base::Lock lock(mutex_);
        done_ += next->indexes.size();
        ++fetched_;
      }
    } catch (...) {
      const base::Lock lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
    const base::Lock lock(mutex_);
    --running_;
    changed_.notify_all();
  }

  const Wanted* take() {
    const base::Lock lock(mutex_);
    if (stopping_ || failure_ || next_ == wanted_.size()) return nullptr;
    return &wanted_[next_++];
  }

  blocks::ChunkBytes fetch(const SourceBlock& block) {
    auto pause = first_pause;
    for (int attempt = 1;; ++attempt) {
      try {
        auto bytes = source_.block(snapshot_id_, block);
        if (bytes == nullptr || bytes->size() != blocks::chunk_bytes) {
          throw SourceFailure("block " + std::to_string(block.index) + " came with " +
                              std::to_string(bytes ? bytes->size() : 0) + " bytes");
        }
        return bytes;
      } catch (const SourceFailure& failure) {
        if (attempt == most_tries) throw;
        base::log_info("control", "{}: {}; asking again", snapshot_id_, failure.what());
      }
      const base::Lock lock(mutex_);
      const auto over = [&]() KILN_REQUIRES(mutex_) { return stopping_ || failure_ != nullptr; };
      if (changed_.wait_for(mutex_, pause, over)) throw SourceFailure("given up");
      pause *= 2;
    }
  }

  void stop() {
    {
      const base::Lock lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    for (auto& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }

  SourceRegion& source_;
  const std::string& snapshot_id_;
  blocks::Ingest& ingest_;
  const std::vector<Wanted> wanted_;
  std::vector<std::thread> threads_;  // the owner's

  base::Mutex mutex_;
  base::Condition changed_;  // a thread ended, or all are to stop
  std::size_t next_ KILN_GUARDED_BY(mutex_) = 0;
  std::size_t running_ KILN_GUARDED_BY(mutex_) = 0;
  std::uint64_t done_ KILN_GUARDED_BY(mutex_) = 0, fetched_ KILN_GUARDED_BY(mutex_) = 0;
  bool stopping_ KILN_GUARDED_BY(mutex_) = false;
  std::exception_ptr failure_ KILN_GUARDED_BY(mutex_);
};

// What of a page the store lacks. The rest is in the session when it returns.
std::vector<Wanted> lacking(const SourcePage& page, blocks::Ingest& ingest) {
  std::vector<Wanted> wanted;
  std::map<base::Digest, std::size_t> by_digest;
  for (const auto& block : page.blocks) {
    if (!block.digest) {
      wanted.push_back({.block = block, .indexes = {block.index}});
      continue;
    }
    if (const auto same = by_digest.find(*block.digest); same != by_digest.end()) {
      wanted[same->second].indexes.push_back(block.index);
      continue;
    }
    const auto stored = ingest.put_stored(block.index, *block.digest);
    if (!stored) fail(stored.error());
    if (*stored) continue;
    by_digest.emplace(*block.digest, wanted.size());
    wanted.push_back({.block = block, .indexes = {block.index}});
  }
  return wanted;
}

void check_order(const SourcePage& page, std::uint64_t least) {
  for (const auto& block : page.blocks) {
    if (block.index < least || block.index >= (page.disk_bytes + blocks::chunk_bytes - 1) / blocks::chunk_bytes) {
      throw std::runtime_error("the source lists block " + std::to_string(block.index) + ", after " +
                               std::to_string(least) + " of a disk of " + std::to_string(page.disk_bytes) + " bytes");
    }
    least = block.index + 1;
  }
}

}  // namespace

SourceDisk fetch_blocks(SourceRegion& source, const std::string& snapshot_id, blocks::Ingest& ingest,
                        FetchProgress& progress, const std::function<void()>& on_tick) {
  SourceDisk disk;
  std::string next;
  do {
    const auto page = source.blocks(snapshot_id, next);
    check_order(page, progress.position);
    disk = {.size_bytes = page.disk_bytes, .root = page.root};
    progress.disk_blocks = (page.disk_bytes + blocks::chunk_bytes - 1) / blocks::chunk_bytes;
    auto wanted = lacking(page, ingest);
    std::uint64_t lacked = 0;
    for (const auto& each : wanted) lacked += each.indexes.size();
    const auto before = progress;
    on_tick();
    const auto end = page.blocks.empty() ? before.position : page.blocks.back().index + 1;
    if (!wanted.empty()) {
      Crew crew(source, snapshot_id, ingest, std::move(wanted));
      crew.work([&](std::uint64_t done, std::uint64_t fetched, bool over) {
        progress.blocks = before.blocks + page.blocks.size() - lacked + done;
        progress.fetched = before.fetched + fetched;
        // The threads are everywhere in the page.
        progress.position = before.position + (end - before.position) * done / lacked;
        if (!over) on_tick();
      });
    }
    progress.blocks = before.blocks + page.blocks.size();
    progress.position = end;
    next = page.next_page;
  } while (!next.empty());
  return disk;
}

}  // namespace kiln::control
