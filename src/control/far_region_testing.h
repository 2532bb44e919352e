#pragma once
// For tests: a region "far-away-1" that another daemon could serve, which is a neighbour underneath, and whose answers
// can be counted, held back, cut and spoilt.

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/mutex.h"
#include "control/source_region.h"

namespace kiln::control {

class FarRegions final : public RemoteRegions {
 public:
  static constexpr const char* name = "far-away-1";

  // What stands in for it, in the regions of a fixture; changes with its restarts.
  std::function<Region&()> behind;
  // Called with each block that was read, on any thread; may throw, and may change the bytes.
  std::function<void(const SourceBlock&, blocks::ChunkBytes&)> on_block = [](const SourceBlock&, blocks::ChunkBytes&) {
  };
  std::atomic<std::uint64_t> fetched = 0;
  std::atomic<bool> tells_digests = true;  // of blocks
  std::atomic<bool> tells_root = true;

  std::vector<Known> all() const override { return {{.name = name, .endpoint = "https://far.example:8773"}}; }
  std::unique_ptr<SourceRegion> open(const std::string& region, const Principal& caller) const override {
    if (region != name) return nullptr;
    auto& far = const_cast<FarRegions&>(*this);
    return std::make_unique<Source>(far, open_source(far.behind(), far.behind().name, caller));
  }

 private:
  class Source final : public SourceRegion {
   public:
    Source(FarRegions& far, std::unique_ptr<SourceRegion> under) : far_(far), under_(std::move(under)) {}
    SourceImage image(const std::string& id) override { return under_->image(id); }
    SourceSnapshot snapshot(const std::string& id) override { return under_->snapshot(id); }
    SourcePage blocks(const std::string& id, const std::string& page) override {
      auto answer = under_->blocks(id, page);
      if (!far_.tells_root) answer.root.reset();
      if (!far_.tells_digests) {
        for (auto& block : answer.blocks) block.digest.reset();
      }
      return answer;
    }
    blocks::ChunkBytes block(const std::string& id, const SourceBlock& block) override {
      auto bytes = under_->block(id, block);
      far_.on_block(block, bytes);
      ++far_.fetched;
      return bytes;
    }
    unsigned most_in_flight() const override { return 3; }

   private:
    FarRegions& far_;
    std::unique_ptr<SourceRegion> under_;
  };
};

// Blocks wait here until it is opened.
class Gate {
 public:
  void open() {
    const base::Lock lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void wait() {
    const base::Lock lock(mutex_);
    changed_.wait_for(mutex_, std::chrono::seconds(60), [&]() KILN_REQUIRES(mutex_) { return open_; });
  }

 private:
  base::Mutex mutex_;
  base::Condition changed_;
  bool open_ KILN_GUARDED_BY(mutex_) = false;
};

}  // namespace kiln::control
