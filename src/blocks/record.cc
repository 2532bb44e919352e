#include "blocks/record.h"

#include <zstd.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <new>
#include <string>

#include "blocks/manifest.h"

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Digest;
using base::Error;
using base::Fault;
using base::Result;

constexpr std::uint32_t record_magic = 0x4345524b;  // "KREC"

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

Result<Bytes> decompress(std::span<const std::byte> payload, std::size_t plain_bytes) {
  if (ZSTD_getFrameContentSize(payload.data(), payload.size()) != plain_bytes) {
    return corrupt("the zstd frame does not hold " + std::to_string(plain_bytes) + " bytes");
  }
  Bytes plain(plain_bytes);
  const auto got = ZSTD_decompress(plain.data(), plain.size(), payload.data(), payload.size());
  if (ZSTD_isError(got) != 0) return corrupt(std::string("zstd: ") + ZSTD_getErrorName(got));
  if (got != plain_bytes) return corrupt("the zstd frame ends early");
  return plain;
}

}  // namespace

std::size_t plain_bytes_of(RecordKind kind) { return kind == RecordKind::node ? node_bytes : chunk_bytes; }

bool RecordHeader::valid() const {
  if (kind != RecordKind::chunk && kind != RecordKind::node) return false;
  if (plain_bytes != plain_bytes_of(kind) || stored_bytes == 0 || stored_bytes > plain_bytes) return false;
  if (codec == Codec::raw && stored_bytes != plain_bytes) return false;
  if (frame_log2 < 12 || frame_log2 > whole_frame_log2 || bases.size() > max_bases) return false;
  return !id.is_null();
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

Result<Bytes> decode_record(std::span<const std::byte> stored, RecordKind kind, const Digest& want) {
  const auto record = parse_record(stored);
  if (!record) return record.error();
  const auto& header = record->header;
  const auto unsupported = [](std::string what) { return Error(Fault::unsupported, std::move(what)); };
  if (header.hash != HashAlgorithm::sha256) {
    return unsupported("a record with hash algorithm " + std::to_string(static_cast<int>(header.hash)));
  }
  if (header.nonce != decltype(header.nonce){}) return unsupported("an encrypted record");
  if (!header.bases.empty())
    return unsupported("a record that refers to " + std::to_string(header.bases.size()) + " bases");
  if (header.frame_log2 != whole_frame_log2)
    return unsupported("a record in frames of 2^" + std::to_string(header.frame_log2));
  if (header.kind != kind || header.id != want) return corrupt("found the record of " + header.id.hex());
  Bytes plain;
  if (header.codec == Codec::raw) {
    plain.assign(record->payload.begin(), record->payload.end());
  } else if (header.codec == Codec::zstd) {
    auto decoded = decompress(record->payload, header.plain_bytes);
    if (!decoded) return decoded.error();
    plain = *std::move(decoded);
  } else {
    return unsupported("a record with codec " + std::to_string(static_cast<int>(header.codec)));
  }
  if (const auto found = base::sha256(plain); found != want) {
    return corrupt("the content hashes to " + found.hex());
  }
  return plain;
}

RecordEncoder::RecordEncoder(int level)
    : context_(ZSTD_createCCtx()), level_(std::clamp(level, min_zstd_level, max_zstd_level)) {
  if (context_ == nullptr) throw std::bad_alloc();
}

RecordEncoder::~RecordEncoder() { ZSTD_freeCCtx(static_cast<ZSTD_CCtx*>(context_)); }

Result<Bytes> RecordEncoder::encode(RecordKind kind, const Digest& id, std::span<const std::byte> plain) {
  if (plain.size() != plain_bytes_of(kind)) {
    return Error(Fault::invalid, "a record of " + std::to_string(plain.size()) + " bytes of plaintext");
  }
  RecordHeader header{.kind = kind, .id = id, .plain_bytes = static_cast<std::uint32_t>(plain.size())};
  compressed_.resize(ZSTD_compressBound(chunk_bytes));
  const auto size = ZSTD_compressCCtx(static_cast<ZSTD_CCtx*>(context_), compressed_.data(), compressed_.size(),
                                      plain.data(), plain.size(), level_);
  if (ZSTD_isError(size) != 0) return Error(Fault::io, std::string("zstd: ") + ZSTD_getErrorName(size));
  const bool smaller = size <= plain.size() - plain.size() * 6 / 100;
  header.codec = smaller ? Codec::zstd : Codec::raw;
  const auto payload = smaller ? std::span<const std::byte>(compressed_).first(size) : plain;
  header.stored_bytes = static_cast<std::uint32_t>(payload.size());
  assert(header.valid());

  Bytes out = encode_fields(header);
  const auto sum = checksum(out, payload);
  std::byte raw[sizeof sum];
  std::memcpy(raw, &sum, sizeof sum);
  out.insert(out.end(), raw, raw + sizeof sum);  // after the fields: there are no bases yet, so this is offset 64
  base::append(out, payload);
  if (const auto again = decode_record(out, kind, id); !again) {
    return again.error().in("a record does not decode after it was encoded");
  }
  return out;
}

}  // namespace kiln::blocks
