#include "control/source_region.h"

#include <algorithm>
#include <thread>

#include "base/api_error.h"
#include "control/access.h"
#include "control/images.h"
#include "control/snapshot_blocks.h"
#include "control/snapshot_sharing.h"
#include "control/snapshots.h"
#include "control/tags.h"

namespace kiln::control {
namespace {

using base::ApiError;

// A region of this daemon. What its rules throw as ApiError is passed on; whatever else they throw is a failure.
class NeighbourRegion final : public SourceRegion {
 public:
  NeighbourRegion(Region& region, Principal caller) : region_(region), caller_(std::move(caller)) {}

  SourceImage image(const std::string& image_id) override {
    authorise(region_, caller_, {{.action = "ec2:DescribeImages"}});
    return guarded([&] {
      return catalog::in_read(region_.catalog, [&](catalog::Txn& txn) {
        SourceImage found{.image = visible_image(txn, region_, caller_, image_id),
                          .devices = catalog::image_devices(txn, region_.name, image_id),
                          .tags = {}};
        for (auto& tag : tags_of(txn, region_, caller_.account, image_id)) found.tags.emplace(tag.key, tag.value);
        return found;
      });
    });
  }

  SourceSnapshot snapshot(const std::string& snapshot_id) override {
    authorise(region_, caller_, {{.action = "ec2:DescribeSnapshots"}});
    return guarded([&] {
      const auto row = catalog::in_read(region_.catalog, [&](catalog::Txn& txn) {
        return readable_snapshot(txn, region_, caller_.account, snapshot_id);
      });
      return SourceSnapshot{.id = row.id, .state = row.state, .size_gib = row.size_gib, .encrypted = row.encrypted};
    });
  }

  SourcePage blocks(const std::string& snapshot_id, const std::string& page) override {
    authorise(region_, caller_, {{.action = "ebs:ListSnapshotBlocks"}});
    return guarded([&] {
      auto listed = list_blocks(region_, caller_, {.snapshot_id = snapshot_id, .page_token = page});
      SourcePage answer{.blocks = {},
                        .next_page = std::move(listed.next_page),
                        .disk_bytes = listed.disk.size_bytes,
                        .root = listed.encrypted ? std::nullopt : std::optional(listed.disk.root)};
      for (auto& block : listed.blocks) {
        answer.blocks.push_back({.index = block.index, .digest = block.digest, .token = std::move(block.token)});
      }
      return answer;
    });
  }

  // What comes out of a store has been hashed.
  blocks::ChunkBytes block(const std::string& snapshot_id, const SourceBlock& block) override {
    authorise(region_, caller_, {{.action = "ebs:GetSnapshotBlock"}});
    return guarded([&] { return read_block(region_, caller_, snapshot_id, block.index, block.token).bytes; });
  }

  // There is no way to wait for: more than the processors can decode only takes memory.
  unsigned most_in_flight() const override { return std::max(2u, std::thread::hardware_concurrency()); }

 private:
  template <class Body>
  auto guarded(Body body) -> decltype(body()) {
    try {
      return body();
    } catch (const ApiError&) {
      throw;
    } catch (const std::exception& e) {
      throw SourceFailure("region " + region_.name + ": " + e.what());
    }
  }

  Region& region_;
  const Principal caller_;
};

}  // namespace

std::unique_ptr<SourceRegion> open_source(const Region& destination, const std::string& name, const Principal& caller) {
  if (Region* const neighbour = destination.regions->find(name)) {
    return std::make_unique<NeighbourRegion>(*neighbour, caller);
  }
  const auto* const remotes = destination.regions->remotes();
  if (auto remote = remotes != nullptr ? remotes->open(name, caller) : nullptr) return remote;
  throw ApiError("InvalidRegion", "The specified Region '" + name +
                                      "' is not valid. For copying a snapshot or image, specify the source Region "
                                      "using its Region code, for example, us-west-2.");
}

}  // namespace kiln::control
