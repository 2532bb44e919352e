#include "blocks/record.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <string>

#include "blocks/manifest.h"

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Digest;
using base::Error;
using base::Fault;
using base::Result;
using base::Status;

constexpr std::uint32_t record_magic = 0x4345524b;  // "KREC"
constexpr std::ptrdiff_t authenticated_bytes = 40;  // magic to id
constexpr std::ptrdiff_t fields_bytes = 64;         // all but the checksum

Error corrupt(std::string message) { return {Fault::corrupt, std::move(message)}; }

// Everything of the header but the checksum, with the bases that follow it.
Bytes encode_fields(const RecordHeader& header) {
  Bytes out;
  out.reserve(record_header_bytes + header.bases.size() * 32);
  base::append_int(out, record_magic);
  base::append_int(out, static_cast<std::uint8_t>(header.kind));
  base::append_int(out, static_cast<std::uint8_t>(header.hash));
  base::append_int(out, static_cast<std::uint8_t>(header.codec));
  base::append_int(out, header.frame_log2);
  base::append(out, header.id.bytes);
  base::append(out, header.nonce);
  base::append_int(out, static_cast<std::uint16_t>(header.bases.size()));
  base::append_int(out, std::uint16_t{0});
  base::append_int(out, header.plain_bytes);
  base::append_int(out, header.stored_bytes);
  for (const auto& id : header.bases) base::append(out, id.bytes);
  return out;
}

std::uint64_t checksum(std::span<const std::byte> fields, std::span<const std::byte> payload) {
  return base::xxh3_64(payload, base::xxh3_64(fields));
}

Error unsupported(std::string what) { return {Fault::unsupported, std::move(what)}; }

// What of a header this program cannot decode, or that it is not the record that was asked for.
Status check_decodable(const RecordHeader& header, RecordKind kind, const Digest& want) {
  if (header.hash != HashAlgorithm::sha256) {
    return unsupported("a record with hash algorithm " + std::to_string(static_cast<int>(header.hash)));
  }
  if (header.codec > Codec::units) {
    return unsupported("a record with codec " + std::to_string(static_cast<int>(header.codec)));
  }
  if (header.kind != kind || header.id != want) return corrupt("found the record of " + header.id.hex());
  return {};
}

// The units of a chunk that are references to its bases.
Status fill_from_bases(const ChunkPayload& payload, std::span<const Digest> bases, std::span<std::byte> chunk,
                       BaseUnits* units) {
  if (bases.empty()) return {};
  if (units == nullptr) return unsupported("a record that refers to " + std::to_string(bases.size()) + " bases");
  std::vector<std::vector<UnitRead>> wanted(bases.size());
  for (std::size_t unit = 0; unit < units_per_chunk; ++unit) {
    const auto& source = payload.map[unit];
    if (source.kind != UnitSource::Kind::base) continue;
    wanted[source.base].push_back({.unit = source.unit, .to = chunk.data() + unit * unit_bytes});
  }
  for (std::size_t i = 0; i < bases.size(); ++i) {
    if (wanted[i].empty()) continue;
    // Ascending, so that each frame of the base is decoded once.
    std::ranges::stable_sort(wanted[i], {}, &UnitRead::unit);
    if (const auto got = units->read(bases[i], wanted[i]); !got) return got.error().in("its base " + bases[i].hex());
  }
  return {};
}

// What the tag of an encrypted record covers beside the payload: the record's first 40 bytes and its bases.
Bytes authenticated(const RecordHeader& header) {
  const auto fields = encode_fields(header);
  Bytes out(fields.begin(), fields.begin() + authenticated_bytes);
  out.insert(out.end(), fields.begin() + fields_bytes, fields.end());
  return out;
}

// A record that was asked for, and its payload, decrypted where it was encrypted.
struct Opened {
  RecordHeader header;
  DomainPtr domain;  // null: plain
  Bytes decrypted;
  std::span<const std::byte> payload;
};

Status open_record(std::span<const std::byte> stored, RecordKind kind, const Digest& want, const Keyring* keys,
                   Opened& opened) {
  auto record = parse_record(stored);
  if (!record) return record.error();
  KILN_TRY(check_decodable(record->header, kind, want));
  const auto id = domain_of(*record);
  opened.header = std::move(record->header);
  opened.payload = record->payload;
  if (!opened.header.encrypted()) return {};
  if (keys == nullptr) return Error(Fault::no_key, "the key of domain " + id.hex() + " is not available");
  auto domain = keys->find(id);
  if (!domain) return domain.error();
  opened.domain = *std::move(domain);
  auto plain = opened.domain->open(want, opened.header.nonce, authenticated(opened.header),
                                   opened.payload.subspan(sizeof(DomainId)));
  if (!plain) return plain.error();
  opened.decrypted = *std::move(plain);
  opened.payload = opened.decrypted;
  return {};
}

Status decode_chunk(const Opened& record, std::span<std::byte> chunk, BaseUnits* bases) {
  const auto& header = record.header;
  const auto payload = parse_chunk_payload(record.payload, header.frame_log2, header.bases.size());
  if (!payload) return payload.error();
  KILN_TRY(fill_chunk(*payload, chunk));
  return fill_from_bases(*payload, header.bases, chunk, bases);
}

Status decode_opened(const Opened& record, std::span<std::byte> out, BaseUnits* bases) {
  return record.header.kind == RecordKind::chunk ? decode_chunk(record, out, bases) : decompress(record.payload, out);
}

}  // namespace

std::size_t plain_bytes_of(RecordKind kind) { return kind == RecordKind::node ? node_bytes : chunk_bytes; }

bool RecordHeader::valid() const {
  if (id.is_null() || plain_bytes != plain_bytes_of(kind) || stored_bytes == 0 || bases.size() > max_bases)
    return false;
  if (frame_log2 < min_frame_log2 || frame_log2 > max_frame_log2) return false;
  const bool of_a_node = codec == Codec::raw || codec == Codec::zstd;
  const auto overhead = encrypted() ? encrypted_overhead_bytes : 0;
  if (kind == RecordKind::chunk) {
    return !of_a_node && stored_bytes > overhead && stored_bytes <= max_chunk_payload_bytes + overhead;
  }
  if (kind != RecordKind::node || codec == Codec::units || !bases.empty() || encrypted()) return false;
  return codec == Codec::raw ? stored_bytes == plain_bytes : stored_bytes <= plain_bytes;
}

Result<Record> parse_record(std::span<const std::byte> stored) {
  base::Reader reader(stored);
  if (reader.read_int<std::uint32_t>() != record_magic) return corrupt("no record begins here");
  Record record;
  auto& header = record.header;
  header.kind = static_cast<RecordKind>(reader.read_int<std::uint8_t>());
  header.hash = static_cast<HashAlgorithm>(reader.read_int<std::uint8_t>());
  header.codec = static_cast<Codec>(reader.read_int<std::uint8_t>());
  header.frame_log2 = reader.read_int<std::uint8_t>();
  std::ranges::copy(reader.read(32), header.id.bytes.begin());
  std::ranges::copy(reader.read(12), header.nonce.begin());
  const auto bases = reader.read_int<std::uint16_t>();
  const auto reserved = reader.read_int<std::uint16_t>();
  header.plain_bytes = reader.read_int<std::uint32_t>();
  header.stored_bytes = reader.read_int<std::uint32_t>();
  header.checksum = reader.read_int<std::uint64_t>();
  if (!reader.ok() || bases > max_bases || reserved != 0) return corrupt("the record's header is damaged");
  for (unsigned i = 0; i < bases; ++i) {
    std::ranges::copy(reader.read(32), header.bases.emplace_back().bytes.begin());
  }
  if (!reader.ok() || reader.remaining() != header.stored_bytes) {
    return corrupt("the record is not as long as its header says");
  }
  record.payload = reader.read(header.stored_bytes);
  // The checksum comes first: a field that rotted is damage, not a feature of a later version.
  if (checksum(encode_fields(header), record.payload) != header.checksum) {
    return corrupt("the checksum of the stored bytes does not match");
  }
  if (!header.valid()) return corrupt("the record's header contradicts itself");
  return record;
}

DomainId domain_of(const Record& record) {
  DomainId domain;
  if (record.header.encrypted()) {
    std::ranges::copy(record.payload.first(domain.bytes.size()), domain.bytes.begin());
  }
  return domain;
}

Bytes encode_record(RecordHeader header, std::span<const std::byte> payload, const KeyDomain* domain) {
  header.plain_bytes = static_cast<std::uint32_t>(plain_bytes_of(header.kind));
  Bytes encrypted;
  if (domain != nullptr) {
    base::append(encrypted, domain->id().bytes);
    header.nonce = domain->seal(header.id, authenticated(header), payload, encrypted);
    payload = encrypted;
  }
  header.stored_bytes = static_cast<std::uint32_t>(payload.size());
  assert(header.valid());
  const auto fields = encode_fields(header);
  const auto sum = checksum(fields, payload);
  Bytes out;
  out.reserve(fields.size() + sizeof sum + payload.size());
  const std::span<const std::byte> all = fields;
  base::append(out, all.first(fields_bytes));
  base::append_int(out, sum);
  base::append(out, all.subspan(fields_bytes));  // the bases
  base::append(out, payload);
  return out;
}

Status decode_unhashed(std::span<const std::byte> stored, RecordKind kind, const Digest& want, std::span<std::byte> out,
                       BaseUnits* bases, const Keyring* keys) {
  Opened record;
  KILN_TRY(open_record(stored, kind, want, keys, record));
  return decode_opened(record, out, bases);
}

Result<Bytes> decode_record(std::span<const std::byte> stored, RecordKind kind, const Digest& want, BaseUnits* bases,
                            const Keyring* keys) {
  auto decoded = decode(stored, kind, want, bases, keys);
  if (!decoded) return decoded.error();
  return std::move(decoded->bytes);
}

Result<Decoded> decode(std::span<const std::byte> stored, RecordKind kind, const Digest& want, BaseUnits* bases,
                       const Keyring* keys) {
  Opened record;
  KILN_TRY(open_record(stored, kind, want, keys, record));
  Bytes plain(plain_bytes_of(kind));
  KILN_TRY(decode_opened(record, plain, bases));
  const auto hash = base::sha256(plain);
  if (const auto found = record.domain ? record.domain->mask(hash) : hash; found != want) {
    return corrupt("the content hashes to " + found.hex());
  }
  return Decoded{.bytes = std::move(plain), .domain = std::move(record.domain)};
}

Status decode_units(std::span<const std::byte> stored, const Digest& want, std::span<const UnitRead> units,
                    const Keyring* keys) {
  Opened record;
  KILN_TRY(open_record(stored, RecordKind::chunk, want, keys, record));
  const auto payload = parse_chunk_payload(record.payload, record.header.frame_log2, record.header.bases.size());
  if (!payload) return payload.error();
  return read_units(*payload, units);
}

Result<Literals> decode_literals(std::span<const std::byte> stored, const Digest& want, const Keyring* keys) {
  Opened record;
  KILN_TRY(open_record(stored, RecordKind::chunk, want, keys, record));
  const auto payload = parse_chunk_payload(record.payload, record.header.frame_log2, record.header.bases.size());
  if (!payload) return payload.error();
  Literals held;
  if (record.domain) held.domain = record.domain->id();
  for (std::size_t unit = 0; unit < units_per_chunk; ++unit) {
    if (payload->map[unit].kind == UnitSource::Kind::literal) held.units.push_back(static_cast<std::uint8_t>(unit));
  }
  held.bytes.resize(held.units.size() * unit_bytes);
  std::vector<UnitRead> reads;
  for (std::size_t i = 0; i < held.units.size(); ++i) {
    reads.push_back({.unit = held.units[i], .to = held.bytes.data() + i * unit_bytes});
  }
  KILN_TRY(read_units(*payload, reads));
  return held;
}

}  // namespace kiln::blocks
