// The calls of a guest: read, write, zero, trim, flush, extents.
//
// A write goes to the newest generation only. Where that generation has no data yet, the whole 4 KiB unit is written,
// filled from what a read would see, then a record is appended to its log, and only then is the unit data for reads.

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "base/log.h"
#include "blocks/volume.h"

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Error;
using base::Extent;
using base::Fault;
using base::Result;
using base::Status;

// How many chunks of the base one extents() call looks up.
constexpr std::uint64_t max_extent_lookups = 2048;

UnitRange units_of(Extent range) {
  const auto first = range.offset / unit_bytes;
  return {first, (range.offset + range.length + unit_bytes - 1) / unit_bytes - first};
}

// The units that lie in range as a whole; the one that the end of the disk cuts short is whole, too.
UnitRange whole_units_of(Extent range, std::uint64_t size_bytes) {
  const auto first = (range.offset + unit_bytes - 1) / unit_bytes;
  const auto stop = range.offset + range.length;
  const auto end = stop == size_bytes ? (stop + unit_bytes - 1) / unit_bytes : stop / unit_bytes;
  return {first, end > first ? end - first : 0};
}

}  // namespace

// A stretch of the disk that lies in one place: in a generation, in the base disk, or nowhere because it is zero.
struct Volume::Piece {
  enum class Place { generation, base, zeros } place = Place::zeros;
  std::uint64_t length = 0;
  std::shared_ptr<Generation> generation;
  DiskId base;
};

// A change under way: it has passed the gate, and no other change touches its units until it is destroyed.
class Volume::InFlight {
 public:
  InFlight(Volume& volume, Extent range) : volume_(volume), units_(units_of(range)) {
    base::Lock lock(volume_.mutex_);
    admitted_ = volume_.admits(range, true);
    if (!admitted_ || range.length == 0) return;
    volume_.changed_.wait(
        volume_.mutex_, [&]() KILN_REQUIRES(volume_.mutex_) { return volume_.closed_ || (!volume_.gated_ && free()); });
    admitted_ = volume_.admits(range, true);  // it may have failed or been closed meanwhile
    if (!admitted_) return;
    volume_.in_flight_.push_back(units_);
    generation_ = volume_.layers_.front();
  }
  ~InFlight() {
    if (!generation_) return;
    base::Lock lock(volume_.mutex_);
    auto& ranges = volume_.in_flight_;
    ranges.erase(std::find_if(ranges.begin(), ranges.end(), [&](const UnitRange& range) {
      return range.first == units_.first && range.count == units_.count;
    }));
    volume_.changed_.notify_all();
  }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;

  // When it is refused, and when range is empty, there is no generation.
  const Status& admitted() const { return admitted_; }
  Generation& generation() { return *generation_; }

 private:
  bool free() const KILN_REQUIRES(volume_.mutex_) {
    return std::none_of(volume_.in_flight_.begin(), volume_.in_flight_.end(), [&](const UnitRange& other) {
      return units_.first < other.end() && other.first < units_.end();
    });
  }

  Volume& volume_;
  const UnitRange units_;
  Status admitted_;
  std::shared_ptr<Generation> generation_;
};

Status Volume::check_range(Extent range, bool writing) {
  base::Lock lock(mutex_);
  return admits(range, writing);
}

Status Volume::admits(Extent range, bool writing) {
  if (closed_) return Error(Fault::failed, name_ + " is closed");
  if (writing && !failure_.empty()) return Error(Fault::failed, name_ + " is failed: " + failure_);
  if (range.offset > size_bytes_ || range.length > size_bytes_ - range.offset) {
    return Error(Fault::invalid, name_ + " has " + std::to_string(size_bytes_) + " bytes; asked for " +
                                     std::to_string(range.length) + " at " + std::to_string(range.offset));
  }
  return {};
}

// What lies at offset, as far as it lies in one place but not beyond end.
Volume::Piece Volume::piece(std::uint64_t offset, std::uint64_t end) {
  Piece found{.place = Piece::Place::base, .length = 0, .generation = nullptr, .base = base_};
  const auto unit = offset / unit_bytes;
  auto run_end = (end + unit_bytes - 1) / unit_bytes;
  for (const auto& layer : layers_) {
    run_end = layer->map().run_end(unit, run_end);
    const auto state = layer->map().state(unit);
    if (state == UnitState::absent) continue;
    found.place = state == UnitState::data ? Piece::Place::generation : Piece::Place::zeros;
    if (state == UnitState::data) found.generation = layer;
    break;
  }
  if (found.place == Piece::Place::base && (base_.root.is_null() || offset >= base_.size_bytes)) {
    found.place = Piece::Place::zeros;
  }
  found.length = std::min(run_end * unit_bytes, end) - offset;
  return found;
}

// Where each part of range lies, in order.
std::vector<Volume::Piece> Volume::pieces(Extent range) {
  std::vector<Piece> found;
  const auto end = range.offset + range.length;
  for (auto at = range.offset; at < end; at += found.back().length) found.push_back(piece(at, end));
  return found;
}

Status Volume::read_pieces(std::span<const Piece> pieces, std::uint64_t offset, std::span<std::byte> out) {
  for (const auto& piece : pieces) {
    const auto part = out.first(piece.length);
    switch (piece.place) {
      case Piece::Place::generation: KILN_TRY(piece.generation->data().read_exactly(offset, part)); break;
      case Piece::Place::base: KILN_TRY(read_base(piece.base, offset, part)); break;
      case Piece::Place::zeros: std::memset(part.data(), 0, part.size()); break;
    }
    out = out.subspan(piece.length);
    offset += piece.length;
  }
  return {};
}

Result<ChunkMemo::Known> Volume::base_chunk(const DiskId& base, std::uint64_t chunk_index) {
  if (auto known = base_chunks_.find(base, chunk_index)) return *std::move(known);
  const auto id = source_.chunk_id(base, chunk_index);
  if (!id) return id.error();
  base_chunks_.keep(base, chunk_index, *id, nullptr);
  return ChunkMemo::Known{.id = *id, .bytes = nullptr};
}

Status Volume::read_base(const DiskId& base, std::uint64_t offset, std::span<std::byte> out) {
  while (!out.empty()) {
    const auto in_chunk = offset % chunk_bytes;
    const auto part = out.first(std::min<std::size_t>(chunk_bytes - in_chunk, out.size()));
    const auto index = offset / chunk_bytes;
    const auto known = base_chunk(base, index);
    if (!known) return known.error();
    if (known->bytes) {  // and so it was noted when they came
      std::memcpy(part.data(), known->bytes->data() + in_chunk, part.size());
    } else {
      if (touches_.recording() && !known->id.is_null()) touches_.note(index);
      KILN_TRY(source_.read_chunk(known->id, in_chunk, part));
      if (const auto bytes = source_.held(known->id)) base_chunks_.keep(base, index, known->id, bytes);
    }
    offset += part.size();
    out = out.subspan(part.size());
  }
  return {};
}

Status Volume::read(std::uint64_t offset, std::span<std::byte> out) {
  Piece whole;
  std::vector<Piece> parts;
  {
    base::Lock lock(mutex_);
    KILN_TRY(admits({offset, out.size()}, false));
    whole = piece(offset, offset + out.size());
    if (whole.length < out.size()) parts = pieces({offset, out.size()});
  }
  reads_ += 1;
  read_bytes_ += out.size();
  // Most reads lie in one place and need no list.
  return read_pieces(parts.empty() ? std::span(&whole, 1) : std::span(std::as_const(parts)), offset, out);
}

Status Volume::write(std::uint64_t offset, std::span<const std::byte> bytes, Fua fua) {
  {
    InFlight change(*this, {offset, bytes.size()});
    KILN_TRY(change.admitted());
    if (!bytes.empty()) KILN_TRY(write_units(change.generation(), offset, bytes));
  }
  writes_ += 1;
  written_bytes_ += bytes.size();
  return fua == Fua::yes ? make_durable() : Status();
}

// Writes bytes into generation, whose units there nobody else changes meanwhile.
Status Volume::write_units(Generation& generation, std::uint64_t offset, std::span<const std::byte> bytes) {
  const auto end = offset + bytes.size();
  const auto units = units_of({offset, bytes.size()});
  auto start = offset;
  auto stop = end;
  std::vector<UnitRange> first_touched;
  std::vector<Piece> before, after;  // what fills the first and the last unit
  {
    base::Lock lock(mutex_);
    const auto& map = generation.map();
    for (auto unit = units.first; unit < units.end();) {
      const auto run_end = map.run_end(unit, units.end());
      if (map.state(unit) != UnitState::data) first_touched.push_back({unit, run_end - unit});
      unit = run_end;
    }
    if (map.state(units.first) != UnitState::data) start = units.first * unit_bytes;
    if (map.state(units.end() - 1) != UnitState::data) stop = units.end() * unit_bytes;
    if (start < offset) before = pieces({start, offset - start});
    if (const auto limit = std::min(stop, size_bytes_); end < limit) after = pieces({end, limit - end});
  }
  if (start == offset && stop == end) {
    KILN_TRY(generation.data().write_at(offset, bytes));
  } else {
    Bytes whole(stop - start);
    KILN_TRY(read_pieces(before, start, std::span(whole).first(offset - start)));
    std::copy(bytes.begin(), bytes.end(), whole.begin() + static_cast<std::ptrdiff_t>(offset - start));
    KILN_TRY(read_pieces(after, end, std::span(whole).subspan(end - start)));
    KILN_TRY(generation.data().write_at(start, whole));
  }
  for (const auto& run : first_touched) {
    KILN_TRY(generation.record(run, UnitState::data));
    base::Lock lock(mutex_);
    generation.map().set(run, UnitState::data);
  }
  return {};
}

// The record is all that counts; the hole only gives the space back, so its failure is not the caller's.
Status Volume::zero_units(Generation& generation, UnitRange range) {
  if (range.count == 0) return {};
  bool had_data = false;
  {
    base::Lock lock(mutex_);
    const auto& map = generation.map();
    if (map.all(range, UnitState::zero)) return {};
    for (auto unit = range.first; unit < range.end() && !had_data; unit = map.run_end(unit, range.end())) {
      had_data = map.state(unit) == UnitState::data;
    }
  }
  KILN_TRY(generation.record(range, UnitState::zero));
  {
    base::Lock lock(mutex_);
    generation.map().set(range, UnitState::zero);
  }
  if (!had_data) return {};
  if (auto punched = generation.data().punch_hole({range.first * unit_bytes, range.count * unit_bytes}); !punched) {
    base::log_debug("blocks", "{}: {}", name_, punched.error().message());
  }
  return {};
}

Status Volume::zero(Extent range, Fua fua) {
  {
    InFlight change(*this, range);
    KILN_TRY(change.admitted());
    if (range.length > 0) KILN_TRY(zero_range(change.generation(), range));
  }
  writes_ += 1;
  return fua == Fua::yes ? make_durable() : Status();
}

// range is not empty, and has been admitted.
Status Volume::zero_range(Generation& generation, Extent range) {
  const auto end = range.offset + range.length;
  const auto whole = whole_units_of(range, size_bytes());
  const Bytes zeros(2 * unit_bytes);
  if (whole.count == 0) return write_units(generation, range.offset, std::span(zeros).first(range.length));
  const auto head = whole.first * unit_bytes - range.offset;
  const auto whole_end = std::min(whole.end() * unit_bytes, end);
  if (head > 0) KILN_TRY(write_units(generation, range.offset, std::span(zeros).first(head)));
  KILN_TRY(zero_units(generation, whole));
  if (whole_end == end) return {};
  return write_units(generation, whole_end, std::span(zeros).first(end - whole_end));
}

Status Volume::trim(Extent range, Fua fua) {
  {
    InFlight change(*this, range);
    KILN_TRY(change.admitted());
    if (range.length > 0) KILN_TRY(zero_units(change.generation(), whole_units_of(range, size_bytes())));
  }
  return fua == Fua::yes ? make_durable() : Status();
}

Status Volume::flush() {
  KILN_TRY(check_range({}, true));
  flushes_ += 1;
  return make_durable();
}

// Everything that was acknowledged before this call is durable when it succeeds: in the generation that takes the
// writes, and in the ones below, which must be so first. A cut that is made meanwhile does not matter: what was
// acknowledged before is in the generation that was current when this call looked.
Status Volume::make_durable() {
  std::shared_ptr<Generation> generation;
  bool pending;
  {
    base::Lock lock(mutex_);
    if (!failure_.empty()) return Error(Fault::failed, name_ + " is failed: " + failure_);
    generation = layers_.front();
    pending = !pending_snapshot_.empty();
  }
  if (pending) KILN_TRY(finish_seal());
  if (auto synced = generation->sync(); !synced) return fail(synced.error());
  return {};
}

Status Volume::prefetch(Extent range) {
  KILN_TRY(check_range(range, false));
  std::vector<Piece> found;
  {
    base::Lock lock(mutex_);
    found = pieces(range);
  }
  auto offset = range.offset;
  for (const auto& piece : found) {
    if (piece.place == Piece::Place::base) {
      for (auto chunk = offset / chunk_bytes; chunk * chunk_bytes < offset + piece.length; ++chunk) {
        const auto known = base_chunk(piece.base, chunk);
        if (!known) return known.error();
        if (known->id.is_null() || known->bytes) continue;
        if (const auto bytes = source_.chunk(known->id); !bytes) return bytes.error();
      }
    }
    offset += piece.length;
  }
  return {};
}

std::vector<std::uint64_t> Volume::touched_chunks() {
  base::Lock lock(mutex_);
  return blocks::touched_chunks(layers_, size_bytes_);
}

Result<std::vector<VolumeExtent>> Volume::extents(Extent range) {
  std::vector<Piece> found;
  std::vector<VolumeExtent> extents;
  {
    base::Lock lock(mutex_);
    if (range.offset > size_bytes_) return Error(Fault::invalid, name_ + ": extents past its end were asked for");
    range.length = std::min(range.length, size_bytes_ - range.offset);
    found = pieces(range);
  }
  const auto add = [&](std::uint64_t offset, std::uint64_t length, bool zero) {
    if (!extents.empty() && extents.back().zero == zero) {
      extents.back().length += length;
    } else {
      extents.push_back({offset, length, zero});
    }
  };
  auto at = range.offset;
  std::uint64_t lookups = 0;
  for (const auto& piece : found) {
    const auto end = at + piece.length;
    if (piece.place != Piece::Place::base) {
      add(at, piece.length, piece.place == Piece::Place::zeros);
      at = end;
    }
    while (at < end) {
      if (++lookups > max_extent_lookups) return extents;
      const auto id = source_.chunk_id(piece.base, at / chunk_bytes);
      if (!id) return id.error();
      const auto stop = std::min((at / chunk_bytes + 1) * chunk_bytes, end);
      add(at, stop - at, id->is_null());
      at = stop;
    }
  }
  return extents;
}

}  // namespace kiln::blocks
