// kiln-bench-disks: makes the stores and volumes that the benchmarks measure, and does the daemon's part of a snapshot.
//
//   disk STORE SIZE DATA SEED        a disk whose first DATA bytes half compress; prints its root
//   sparse STORE SIZE SEED PARENT    PARENT (a root, or - for zeros) with one chunk changed, in the middle; prints it
//   volume DIRECTORY SIZE ROOT BASE_SIZE   a volume over the disk ROOT (- for zeros), named as its directory;
//                                    prints how long that took
//   upload STORE DIRECTORY SNAPSHOT  stores a cut as the daemon's job does; prints what it took
//   copy STORE DIRECTORY SNAPSHOT    the same of a cut that leaves nothing of its base, into a store without that
//   diff STORE BEFORE AFTER          lists the changed chunks; prints how many, and the nodes read
//
// Every answer is one JSON object on a line. Exit status 1 with a sentence on standard error when something fails.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/files.h"
#include "blocks/ingest.h"
#include "blocks/sealed_generation.h"
#include "blocks/store.h"
#include "blocks/volume.h"

namespace kiln::bench {
namespace {

using blocks::chunk_bytes;
using blocks::DiskId;

template <class T>
T value_of(base::Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  return *std::move(result);
}

void succeed(const base::Status& status) {
  if (!status) throw std::runtime_error(status.error().message());
}

std::unique_ptr<blocks::Store> open_store(const std::string& directory, blocks::Access access) {
  return value_of(blocks::Store::open({.files = base::posix_files(), .directory = directory, .access = access}));
}

DiskId disk_of(const std::string& root, std::uint64_t size_bytes) {
  return {.root = root == "-" ? base::Digest{} : base::Digest::from_hex(root).value(), .size_bytes = size_bytes};
}

// 4 KiB of random bytes and 4 KiB that repeat, in turns.
base::Bytes content(std::uint64_t seed) {
  base::Bytes bytes(chunk_bytes);
  std::mt19937_64 random(seed);
  for (std::size_t i = 0; i < bytes.size(); i += 8) {
    const std::uint64_t word = i % 8192 < 4096 ? random() : seed;
    std::memcpy(bytes.data() + i, &word, 8);
  }
  return bytes;
}

double seconds_since(std::chrono::steady_clock::time_point began) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

void make_disk(const std::string& directory, std::uint64_t size_bytes, std::uint64_t data_bytes, std::uint64_t seed) {
  const auto store = open_store(directory, blocks::Access::write);
  blocks::Ingest ingest(*store, {.session = "bench"});
  for (std::uint64_t index = 0; index * chunk_bytes < data_bytes; ++index) {
    succeed(ingest.put(index, content(seed + index)));
  }
  std::printf("{\"root\": \"%s\"}\n", value_of(ingest.finish(size_bytes)).disk.root.hex().c_str());
}

void make_sparse(const std::string& directory, std::uint64_t size_bytes, std::uint64_t seed,
                 const std::string& parent) {
  const auto store = open_store(directory, blocks::Access::write);
  blocks::Ingest ingest(*store, {.session = "bench", .parent = disk_of(parent, parent == "-" ? 0 : size_bytes)});
  succeed(ingest.put(size_bytes / chunk_bytes / 2, content(seed)));
  std::printf("{\"root\": \"%s\"}\n", value_of(ingest.finish(size_bytes)).disk.root.hex().c_str());
}

void upload(const std::string& directory, const base::Path& volume, const std::string& snapshot, bool with_parent) {
  const auto store = open_store(directory, blocks::Access::write);
  const auto began = std::chrono::steady_clock::now();
  const auto cut = value_of(blocks::SealedGeneration::open(base::posix_files(), volume, snapshot));
  blocks::Ingest ingest(*store,
                        {.session = snapshot, .parent = with_parent ? std::optional(cut.base()) : std::nullopt});
  for (const auto index : cut.touched_chunks()) {
    if (cut.is_zero(index)) {
      succeed(ingest.put_zero(index));
      continue;
    }
    blocks::ChunkBytes below;
    if (cut.needs_parent(index)) below = value_of(store->chunk(value_of(store->chunk_id(cut.base(), index))));
    succeed(ingest.put(index, value_of(cut.compose(index, below))));
  }
  const auto made = value_of(ingest.finish(cut.size_bytes()));
  std::printf(
      "{\"root\": \"%s\", \"size_bytes\": %llu, \"generation\": %llu, \"seconds\": %.6f, "
      "\"seen_bytes\": %llu, \"new_bytes\": %llu, \"stored_bytes\": %llu}\n",
      made.disk.root.hex().c_str(), static_cast<unsigned long long>(made.disk.size_bytes),
      static_cast<unsigned long long>(cut.generation()), seconds_since(began),
      static_cast<unsigned long long>(made.stats.bytes_seen), static_cast<unsigned long long>(made.stats.new_bytes),
      static_cast<unsigned long long>(made.stats.stored_bytes));
}

// Counts what is asked of a store; its node cache is not consulted for that.
class CountedNodes final : public blocks::NodeSource {
 public:
  explicit CountedNodes(blocks::NodeSource& nodes) : nodes_(nodes) {}
  base::Result<blocks::NodePtr> node(const blocks::NodeId& id, unsigned level) override {
    ++reads;
    return nodes_.node(id, level);
  }
  int reads = 0;

 private:
  blocks::NodeSource& nodes_;
};

void diff(const std::string& directory, const std::string& before, const std::string& after) {
  const auto store = open_store(directory, blocks::Access::read);
  const auto began = std::chrono::steady_clock::now();
  CountedNodes nodes(*store);
  int changed = 0;
  succeed(blocks::diff_trees(nodes, disk_of(before, 0).root, disk_of(after, 0).root, 0,
                             [&](const blocks::ChangedChunk&) -> base::Result<bool> {
                               ++changed;
                               return true;
                             }));
  std::printf("{\"changed\": %d, \"node_reads\": %d, \"seconds\": %.6f}\n", changed, nodes.reads, seconds_since(began));
}

void run(const std::vector<std::string>& words) {
  const auto is = [&](const char* name, std::size_t count) { return words.size() == count + 1 && words[0] == name; };
  const auto number = [&](std::size_t i) { return std::stoull(words[i]); };
  if (is("disk", 4)) return make_disk(words[1], number(2), number(3), number(4));
  if (is("sparse", 4)) return make_sparse(words[1], number(2), number(3), words[4]);
  if (is("upload", 3)) return upload(words[1], words[2], words[3], true);
  if (is("copy", 3)) return upload(words[1], words[2], words[3], false);
  if (is("diff", 3)) return diff(words[1], words[2], words[3]);
  if (is("volume", 4)) {
    const base::Path directory = words[1];
    const auto began = std::chrono::steady_clock::now();
    succeed(blocks::Volume::create(base::posix_files(), directory,
                                   {.volume = directory.filename().string(),
                                    .size_bytes = number(2),
                                    .base = disk_of(words[3], number(4)),
                                    .epoch = 1}));
    std::printf("{\"seconds\": %.6f}\n", seconds_since(began));
    return;
  }
  throw std::runtime_error("unknown command or count of words; bench/disks.cc lists them");
}

}  // namespace
}  // namespace kiln::bench

int main(int count, char** words) {
  try {
    kiln::bench::run({words + 1, words + count});
    return 0;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "kiln-bench-disks: %s\n", failure.what());
    return 1;
  }
}
