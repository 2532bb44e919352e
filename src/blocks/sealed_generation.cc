#include "blocks/sealed_generation.h"

#include <algorithm>

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Error;
using base::Fault;
using base::Result;

}  // namespace

Result<SealedGeneration> SealedGeneration::open(base::Files& files, const base::Path& volume_directory,
                                                const std::string& snapshot, const Keyring* keys) {
  const auto file = read_volume_file(files, volume_directory);
  if (!file) return file.error();
  const auto* sealed = file->sealed_as(snapshot);
  if (sealed == nullptr) return Error(Fault::not_found, file->volume + " has no cut " + snapshot);
  SealedGeneration cut;
  cut.volume_ = file->volume;
  cut.snapshot_ = snapshot;
  cut.generation_ = sealed->number;
  cut.size_bytes_ = sealed->size_bytes;
  cut.base_ = file->base;
  cut.domain_ = file->domain;
  cut.base_domain_ = file->base_domain;
  cut.is_oldest_ = true;
  for (const auto& entry : file->generations) {
    if (entry.number > sealed->number) break;
    if (entry.state == GenerationState::sealed && entry.number != sealed->number) {
      cut.is_oldest_ = false;
      cut.layers_.clear();
      continue;
    }
    auto generation = Generation::open_finished(files, volume_directory, *file, entry, keys);
    if (!generation) return generation.error();
    cut.layers_.insert(cut.layers_.begin(), *generation);
  }
  return cut;
}

std::vector<std::uint64_t> SealedGeneration::touched_chunks() const {
  return blocks::touched_chunks(layers_, size_bytes_);
}

// The state that a read of the cut would find; holder is the generation that has the data.
UnitState SealedGeneration::find(std::uint64_t unit, Generation*& holder) const {
  for (const auto& layer : layers_) {
    const auto state = layer->map().state(unit);
    if (state == UnitState::absent) continue;
    holder = layer.get();
    return state;
  }
  return UnitState::absent;
}

bool SealedGeneration::needs_parent(std::uint64_t chunk_index) const {
  const auto units = (size_bytes_ + unit_bytes - 1) / unit_bytes;
  const auto end = std::min((chunk_index + 1) * units_per_chunk, units);
  Generation* holder = nullptr;
  for (auto unit = chunk_index * units_per_chunk; unit < end; ++unit) {
    if (find(unit, holder) == UnitState::absent) return true;
  }
  return false;
}

bool SealedGeneration::is_zero(std::uint64_t chunk_index) const {
  const auto units = (size_bytes_ + unit_bytes - 1) / unit_bytes;
  const auto end = std::min((chunk_index + 1) * units_per_chunk, units);
  Generation* holder = nullptr;
  for (auto unit = chunk_index * units_per_chunk; unit < end; ++unit) {
    if (find(unit, holder) != UnitState::zero) return false;
  }
  return true;
}

Result<Bytes> SealedGeneration::compose(std::uint64_t chunk_index, const ChunkBytes& parent) const {
  if (parent && parent->size() != chunk_bytes) {
    return Error(Fault::invalid, "a parent chunk of " + std::to_string(parent->size()) + " bytes");
  }
  Bytes chunk = parent ? *parent : Bytes(chunk_bytes);
  const auto start = chunk_index * chunk_bytes;
  const auto end = std::min(start + chunk_bytes, size_bytes_);
  for (auto unit = start / unit_bytes; unit * unit_bytes < end;) {
    Generation* holder = nullptr;
    const auto state = find(unit, holder);
    // Neighbours that lie in one file are read together.
    auto next = unit + 1;
    for (Generation* other = nullptr; next * unit_bytes < end; ++next) {
      if (find(next, other) != state || other != holder) break;
    }
    const auto offset = unit * unit_bytes;
    const auto part = std::span(chunk).subspan(offset - start, std::min(next * unit_bytes, end) - offset);
    if (state == UnitState::zero) std::fill(part.begin(), part.end(), std::byte{0});
    if (state == UnitState::data) KILN_TRY(holder->data().read_exactly(offset, part));
    unit = next;
  }
  // Past its end a disk continues with zeros, whatever the file holds there.
  if (end < start + chunk_bytes) {
    std::fill(chunk.begin() + static_cast<std::ptrdiff_t>(end > start ? end - start : 0), chunk.end(), std::byte{0});
  }
  return chunk;
}

Result<std::vector<std::string>> waiting_cuts(base::Files& files, const base::Path& volume_directory) {
  const auto file = read_volume_file(files, volume_directory);
  if (!file) return file.error();
  std::vector<std::string> cuts;
  for (const auto& entry : file->generations) {
    if (entry.state == GenerationState::sealed) cuts.push_back(entry.snapshot);
  }
  return cuts;
}

}  // namespace kiln::blocks
