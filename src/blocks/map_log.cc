#include "blocks/map_log.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/bytes.h"
#include "base/digest.h"

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Error;
using base::Fault;
using base::Result;
using base::Status;

constexpr std::string_view magic = "KILNMAP\n";

std::uint64_t volume_seed(const MapLogName& name) { return base::xxh3_64(base::as_bytes(name.volume)); }

Bytes encode_header(const MapLogName& name) {
  Bytes out;
  base::append(out, base::as_bytes(magic));
  base::append_int(out, map_log_version);
  base::append_int(out, std::uint32_t{0});
  base::append_int(out, name.generation);
  base::append_int(out, base::xxh3_64(out, volume_seed(name)));
  return out;
}

// The checksum of the header: the start of the chain.
Result<std::uint64_t> check_header(std::span<const std::byte> bytes, const MapLogName& name) {
  base::Reader reader(bytes);
  if (base::as_text(reader.read(magic.size())) != magic) return Error(Fault::corrupt, "not a map log");
  const auto version = reader.read_int<std::uint32_t>();
  const auto incompatible = reader.read_int<std::uint32_t>();
  if (version > map_log_version || incompatible != 0) {
    return Error(Fault::unsupported,
                 "map log of version " + std::to_string(version) + ", features " + std::to_string(incompatible));
  }
  const auto generation = reader.read_int<std::uint64_t>();
  const auto check = reader.read_int<std::uint64_t>();
  if (!reader.ok() || generation != name.generation || check != base::xxh3_64(bytes.first(24), volume_seed(name))) {
    return Error(Fault::corrupt,
                 "its header is not that of generation " + std::to_string(name.generation) + " of " + name.volume);
  }
  return check;
}

// Appends record to out and moves chain on.
void encode_record(Bytes& out, const MapRecord& record, std::uint64_t& chain) {
  Bytes body;
  base::append_int(body, static_cast<std::uint32_t>(record.type));
  base::append_int(body, record.sequence);
  base::append_int(body, record.first);
  base::append_int(body, record.second);
  chain = base::xxh3_64(body, chain);
  base::append_int(out, static_cast<std::uint32_t>(chain));
  base::append(out, body);
}

// Whether bytes are the record that follows chain; if so moves chain on.
bool decode_record(std::span<const std::byte> bytes, std::uint64_t sequence, MapRecord& record, std::uint64_t& chain) {
  const auto after = base::xxh3_64(bytes.subspan(4, map_record_bytes - 4), chain);
  base::Reader reader(bytes);
  if (reader.read_int<std::uint32_t>() != static_cast<std::uint32_t>(after)) return false;
  const auto type = reader.read_int<std::uint32_t>();
  if (type < 1 || type > static_cast<std::uint32_t>(MapRecordType::seal)) return false;
  record.type = static_cast<MapRecordType>(type);
  record.sequence = reader.read_int<std::uint64_t>();
  record.first = reader.read_int<std::uint64_t>();
  record.second = reader.read_int<std::uint64_t>();
  if (record.sequence != sequence) return false;
  chain = after;
  return true;
}

std::pair<std::uint64_t, std::uint64_t> boot_halves(std::string_view boot_id) {
  const auto digest = base::sha256(boot_id);
  base::Reader reader(digest.bytes);
  const auto first = reader.read_int<std::uint64_t>();
  return {first, reader.read_int<std::uint64_t>()};
}

// Applies records in their order; those that no COMMIT covers yet wait.
class Application {
 public:
  explicit Application(MapReplay& out) : out_(out) {}

  Status take(const MapRecord& record, std::pair<std::uint64_t, std::uint64_t> boot) {
    out_.last_sequence = record.sequence;
    out_.sealed = record.type == MapRecordType::seal;
    switch (record.type) {
      case MapRecordType::data:
      case MapRecordType::zero:
        if (record.second == 0 || record.first >= out_.map.units() || record.second > out_.map.units() - record.first) {
          return Error(Fault::corrupt, "record " + std::to_string(record.sequence) + " of the map log is of " +
                                           std::to_string(record.second) + " units at " + std::to_string(record.first) +
                                           ", the disk has " + std::to_string(out_.map.units()));
        }
        waiting_.push_back(record);
        break;
      case MapRecordType::commit: apply(record.first); break;
      case MapRecordType::void_rest: waiting_.clear(); break;
      case MapRecordType::session: out_.same_boot = std::pair(record.first, record.second) == boot; break;
      case MapRecordType::seal: break;
    }
    return {};
  }

  void finish(bool apply_waiting) {
    if (!apply_waiting) return;
    out_.uncommitted = !waiting_.empty();
    apply(~std::uint64_t{0});
  }
  bool waits() const { return !waiting_.empty(); }

 private:
  void apply(std::uint64_t through) {
    std::size_t count = 0;
    for (; count < waiting_.size() && waiting_[count].sequence <= through; ++count) {
      const auto& record = waiting_[count];
      out_.map.set({record.first, record.second},
                   record.type == MapRecordType::data ? UnitState::data : UnitState::zero);
      out_.last_unit_sequence = record.sequence;
      out_.any_units = true;
    }
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
  }

  MapReplay& out_;
  std::vector<MapRecord> waiting_;
};

}  // namespace

Result<MapReplay> replay_map_log(const ReadBytes& read, const MapLogName& name, std::uint64_t size_bytes,
                                 std::string_view boot_id, Replay how) {
  MapReplay replay;
  replay.map.grow(size_bytes);
  Application application(replay);
  const auto boot = boot_halves(boot_id);
  Bytes piece(std::size_t{1} << 20);
  bool good = true;
  for (std::uint64_t at = 0;; at += piece.size()) {
    const auto got = read(at, piece);
    if (!got) return got.error();
    std::size_t used = 0;
    if (at == 0) {
      if (*got < map_record_bytes) return Error(Fault::corrupt, "the map log has no header");
      const auto check = check_header(std::span(piece).first(map_record_bytes), name);
      if (!check) return check.error();
      replay.chain = *check;
      used = map_record_bytes;
    }
    for (; good && *got - used >= map_record_bytes; used += map_record_bytes) {
      MapRecord record;
      good = decode_record(std::span(piece).subspan(used, map_record_bytes), replay.last_sequence + 1, record,
                           replay.chain);
      if (!good) break;
      KILN_TRY(application.take(record, boot));
    }
    replay.good_bytes += used;
    replay.torn_bytes += *got - used;
    if (*got < piece.size()) break;
  }
  application.finish(how == Replay::as_boot_allows && replay.same_boot);
  return replay;
}

Status MapLog::create(base::Files& files, const base::Path& path, const MapLogName& name, std::string_view boot_id) {
  return create_checkpoint(files, path, name, boot_id, GenerationMap());
}

Status MapLog::create_checkpoint(base::Files& files, const base::Path& path, const MapLogName& name,
                                 std::string_view boot_id, const GenerationMap& map) {
  auto file = files.open(path, base::Open::create_or_open);
  if (!file) return file.error();
  auto content = encode_header(name);
  auto chain = check_header(content, name);
  if (!chain) return chain.error();
  std::uint64_t sequence = 0;
  for (std::uint64_t unit = 0; unit < map.units();) {
    const auto end = map.run_end(unit, map.units());
    const auto state = map.state(unit);
    if (state != UnitState::absent) {
      const auto type = state == UnitState::data ? MapRecordType::data : MapRecordType::zero;
      encode_record(content, {type, ++sequence, unit, end - unit}, *chain);
    }
    unit = end;
  }
  if (sequence != 0) {
    const auto through = sequence;
    encode_record(content, {MapRecordType::commit, ++sequence, through, 0}, *chain);
  }
  const auto [first, second] = boot_halves(boot_id);
  encode_record(content, {MapRecordType::session, ++sequence, first, second}, *chain);
  // An earlier try may have left a longer file.
  KILN_TRY((*file)->truncate(0));
  KILN_TRY((*file)->write_at(0, content));
  return (*file)->sync_data();
}

MapLog::MapLog(std::unique_ptr<base::File> file, const MapReplay& replayed)
    : file_(std::move(file)),
      end_(replayed.good_bytes),
      last_sequence_(replayed.last_sequence),
      last_unit_sequence_(replayed.last_unit_sequence),
      chain_(replayed.chain) {}

Status MapLog::append(MapRecordType type, std::uint64_t first, std::uint64_t second) {
  base::Lock lock(mutex_);
  auto chain = chain_;
  Bytes bytes;
  encode_record(bytes, {type, last_sequence_ + 1, first, second}, chain);
  // What a failed write leaves behind the end has no valid checksum, or is this record whole, which then says what is
  // true already; the next append writes over it.
  KILN_TRY(file_->write_at(end_, bytes));
  end_ += bytes.size();
  last_sequence_ += 1;
  chain_ = chain;
  if (type == MapRecordType::data || type == MapRecordType::zero) last_unit_sequence_ = last_sequence_;
  return {};
}

Status MapLog::append_session(std::string_view boot_id) {
  const auto [first, second] = boot_halves(boot_id);
  return append(MapRecordType::session, first, second);
}

Status MapLog::cut_torn_tail() {
  std::uint64_t end;
  {
    base::Lock lock(mutex_);
    end = end_;
  }
  return file_->truncate(end);
}

std::uint64_t MapLog::last_unit_sequence() {
  base::Lock lock(mutex_);
  return last_unit_sequence_;
}

std::uint64_t MapLog::bytes() {
  base::Lock lock(mutex_);
  return end_;
}

}  // namespace kiln::blocks
