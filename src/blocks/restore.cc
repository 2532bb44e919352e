#include "blocks/restore.h"

#include <algorithm>
#include <new>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

#include "base/mutex.h"

namespace kiln::blocks {
namespace {

using base::Error;
using base::Fault;
using base::Lock;
using base::Result;
using base::Status;

struct Place {
  ChunkId id;
  std::uint64_t chunk_index = 0;
};

Result<std::vector<Place>> places_of(Store& store, const DiskId& disk) {
  std::vector<Place> places;
  KILN_TRY(walk_tree(store, disk.root,
                     {.node = [](const NodeId&, unsigned, std::uint64_t) -> Result<bool> { return true; },
                      .chunk = [&](const ChunkId& id, std::uint64_t chunk_index) -> Status {
                        places.push_back({.id = id, .chunk_index = chunk_index});
                        return {};
                      }}));
  return places;
}

class Restorer {
 public:
  Restorer(Store& store, const DiskId& disk, base::File& file, const RestoreOptions& options)
      : store_(store), disk_(disk), file_(file), options_(options) {}

  Status run() {
    auto places = places_of(store_, disk_);
    if (!places) return places.error();
    places_ = *std::move(places);
    // Not of an empty file: ext4 takes that for "replace by truncation" and writes everything out when it is closed.
    const auto size = file_.size();
    if (!size) return size.error();
    if (*size > 0) KILN_TRY(file_.truncate(0));
    KILN_TRY(file_.truncate(disk_.size_bytes));
    const auto wanted = options_.threads != 0 ? options_.threads : std::max(1U, std::thread::hardware_concurrency());
    std::vector<std::thread> others;
    try {
      for (unsigned i = 1; i < wanted; ++i) others.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
      // The system grants no more threads: those that there are do it.
    }
    work();
    for (auto& other : others) other.join();
    Lock lock(mutex_);
    if (failure_) return *failure_;
    return {};
  }

 private:
  void work() {
    try {
      while (const auto* place = next()) {
        if (const auto done = write(*place); !done) return fail(done.error());
      }
    } catch (const std::bad_alloc&) {
      fail(Error(Fault::io, "out of memory"));
    }
  }

  const Place* next() {
    Lock lock(mutex_);
    if (failure_ || stopped_ || next_ == places_.size()) return nullptr;
    if (options_.go_on && !options_.go_on()) {
      stopped_ = true;
      return nullptr;
    }
    const auto* place = &places_[next_++];
    if (options_.progress) options_.progress(place->chunk_index * chunk_bytes);
    return place;
  }

  Status write(const Place& place) {
    const auto chunk = store_.chunk(place.id);
    if (!chunk) return chunk.error();
    const auto offset = place.chunk_index * chunk_bytes;
    const auto bytes = std::span(**chunk).first(std::min<std::size_t>(chunk_bytes, disk_.size_bytes - offset));
    for (std::size_t at = 0; at < bytes.size();) {
      // A stretch of units that are all zeros, or all not.
      const bool zeros = is_zero(bytes.subspan(at, std::min<std::size_t>(unit_bytes, bytes.size() - at)));
      auto end = at;
      while (end < bytes.size() &&
             is_zero(bytes.subspan(end, std::min<std::size_t>(unit_bytes, bytes.size() - end))) == zeros) {
        end = std::min<std::size_t>(end + unit_bytes, bytes.size());
      }
      if (!zeros) KILN_TRY(file_.write_at(offset + at, bytes.subspan(at, end - at)));
      at = end;
    }
    return {};
  }

  void fail(const Error& error) {
    Lock lock(mutex_);
    if (!failure_) failure_ = error;
  }

  Store& store_;
  const DiskId disk_;
  base::File& file_;
  const RestoreOptions& options_;
  std::vector<Place> places_;

  base::Mutex mutex_;
  std::size_t next_ KILN_GUARDED_BY(mutex_) = 0;
  bool stopped_ KILN_GUARDED_BY(mutex_) = false;
  std::optional<Error> failure_ KILN_GUARDED_BY(mutex_);
};

}  // namespace

Status restore(Store& store, const DiskId& disk, base::File& file, const RestoreOptions& options) {
  return Restorer(store, disk, file, options).run();
}

}  // namespace kiln::blocks
