#include "blocks/pack.h"

#include <algorithm>
#include <cassert>
#include <functional>
#include <string>

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Digest;
using base::Error;
using base::Fault;
using base::Result;
using base::Status;

constexpr std::string_view header_magic = "KILNPACK";
constexpr std::string_view trailer_magic = "KILNFOOT";
constexpr std::uint64_t feature_encrypted = 1;
constexpr std::size_t entry_bytes = 48;  // without bases and features

std::size_t bytes_of_entry(std::size_t bases, std::size_t features) {
  return entry_bytes + bases * 32 + features * sizeof(Feature);
}
// A pack that is longer is not one of ours; bounds what a damaged length can make a reader allocate.
constexpr std::uint64_t max_pack_bytes = 1 << 30;

Error corrupt(std::string message) { return {Fault::corrupt, std::move(message)}; }

Bytes encode_header(const PackHeader& header) {
  Bytes out;
  base::append(out, base::as_bytes(header_magic));
  base::append_int(out, pack_version);
  base::append_int(out, static_cast<std::uint32_t>(header.kind));
  base::append_int(out, header.domain.is_plain() ? 0 : feature_encrypted);
  base::append(out, header.id.bytes);
  base::append(out, header.domain.bytes);
  base::append_int(out, header.epoch);
  assert(out.size() == pack_header_bytes);
  return out;
}

Result<PackHeader> parse_header(std::span<const std::byte> bytes) {
  base::Reader reader(bytes);
  if (base::as_text(reader.read(8)) != header_magic) return corrupt("it does not begin as a pack does");
  if (const auto version = reader.read_int<std::uint32_t>(); version != pack_version) {
    return Error(Fault::unsupported, "pack format " + std::to_string(version) + "; this program reads format " +
                                         std::to_string(pack_version));
  }
  PackHeader header;
  const auto kind = reader.read_int<std::uint32_t>();
  const auto features = reader.read_int<std::uint64_t>();
  if ((features & ~feature_encrypted) != 0) {
    return Error(Fault::unsupported, "a pack with incompatible features " + std::to_string(features) +
                                         ", of which this program knows " + std::to_string(feature_encrypted));
  }
  std::ranges::copy(reader.read(16), header.id.bytes.begin());
  std::ranges::copy(reader.read(16), header.domain.bytes.begin());
  header.epoch = reader.read_int<std::uint64_t>();
  if (kind != 1 && kind != 2) return corrupt("a pack of kind " + std::to_string(kind));
  header.kind = static_cast<PackKind>(kind);
  if (header.domain.is_plain() != (features == 0) || (!header.domain.is_plain() && header.kind != PackKind::data)) {
    return corrupt("the header does not say clearly whether records are encrypted");
  }
  return header;
}

Bytes encode_footer(const std::vector<PackEntry>& entries) {
  Bytes out;
  base::append_int(out, static_cast<std::uint32_t>(entries.size()));
  for (const auto& entry : entries) {
    base::append(out, entry.id.bytes);
    base::append_int(out, entry.offset);
    base::append_int(out, entry.length);
    base::append_int(out, static_cast<std::uint16_t>(entry.bases.size()));
    base::append_int(out, static_cast<std::uint16_t>(entry.features.size()));
    for (const auto& base_id : entry.bases) base::append(out, base_id.bytes);
    for (const auto feature : entry.features) base::append_int(out, feature);
  }
  return out;
}

Result<std::vector<PackEntry>> parse_footer(std::span<const std::byte> bytes) {
  base::Reader reader(bytes);
  const auto count = reader.read_int<std::uint32_t>();
  if (count > max_pack_records || count > bytes.size() / entry_bytes) {
    return corrupt("a footer of " + std::to_string(bytes.size()) + " bytes with " + std::to_string(count) + " entries");
  }
  std::vector<PackEntry> entries(count);
  for (auto& entry : entries) {
    const auto id = reader.read(32);
    std::ranges::copy(id, entry.id.bytes.begin());
    entry.offset = reader.read_int<std::uint64_t>();
    entry.length = reader.read_int<std::uint32_t>();
    const auto bases = reader.read_int<std::uint16_t>();
    const auto features = reader.read_int<std::uint16_t>();
    if (!reader.ok() || bases > max_bases || features > units_per_chunk)
      return corrupt("a damaged entry in the footer");
    for (unsigned i = 0; i < bases; ++i) {
      std::ranges::copy(reader.read(32), entry.bases.emplace_back().bytes.begin());
    }
    for (unsigned i = 0; i < features; ++i) entry.features.push_back(reader.read_int<Feature>());
  }
  if (!reader.ok() || reader.remaining() != 0) return corrupt("a footer that is not as long as its entries");
  return entries;
}

Digest seal_of(std::span<const std::byte> header, std::span<const std::byte> footer) {
  base::Sha256 hash;
  hash.add(header);
  hash.add(footer);
  return hash.finish();
}

// Reads so many bytes from an offset that lies inside the pack.
using ReadPart = std::function<Status(std::uint64_t offset, std::span<std::byte> out)>;

Result<PackContents> read_contents(std::uint64_t size_bytes, const ReadPart& read) {
  if (size_bytes < pack_header_bytes) return corrupt("only " + std::to_string(size_bytes) + " bytes");
  Bytes raw_header(pack_header_bytes);
  KILN_TRY(read(0, raw_header));
  // The version is looked at before anything else, because everything else may differ in another one.
  const auto header = parse_header(raw_header);
  if (!header) return header.error();
  if (size_bytes < pack_header_bytes + pack_trailer_bytes || size_bytes > max_pack_bytes) {
    return corrupt("a pack of " + std::to_string(size_bytes) + " bytes");
  }
  Bytes raw_trailer(pack_trailer_bytes);
  KILN_TRY(read(size_bytes - pack_trailer_bytes, raw_trailer));
  base::Reader trailer(raw_trailer);
  Digest seal;
  std::ranges::copy(trailer.read(32), seal.bytes.begin());
  const auto footer_bytes = trailer.read_int<std::uint32_t>();
  if (base::as_text(trailer.read(8)) != trailer_magic) return corrupt("it does not end as a pack does");
  if (footer_bytes > size_bytes - pack_header_bytes - pack_trailer_bytes) {
    return corrupt("a footer of " + std::to_string(footer_bytes) + " bytes in " + std::to_string(size_bytes));
  }
  Bytes footer(footer_bytes);
  KILN_TRY(read(size_bytes - pack_trailer_bytes - footer_bytes, footer));
  if (seal_of(raw_header, footer) != seal) return corrupt("the checksum of header and footer does not match");
  auto entries = parse_footer(footer);
  if (!entries) return entries.error();
  PackContents contents{.header = *header, .entries = *std::move(entries), .size_bytes = size_bytes};
  if (!contents.valid()) return corrupt("the footer contradicts itself");
  return contents;
}

// The bases that an encoded record names, without a look at the rest of it.
std::vector<Digest> bases_of(std::span<const std::byte> record) {
  base::Reader reader(record);
  reader.read(52);
  const auto count = reader.read_int<std::uint16_t>();
  reader.read(record_header_bytes - 54);
  std::vector<Digest> bases;
  for (unsigned i = 0; reader.ok() && i < count && i < max_bases; ++i) {
    std::ranges::copy(reader.read(32), bases.emplace_back().bytes.begin());
  }
  return bases;
}

}  // namespace

RecordKind record_kind(PackKind kind) { return kind == PackKind::nodes ? RecordKind::node : RecordKind::chunk; }

bool PackContents::valid() const {
  std::vector<std::pair<std::uint64_t, std::uint32_t>> extents;
  std::uint64_t footer_bytes = 4;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const auto& entry = entries[i];
    if (entry.id.is_null() || (i > 0 && !(entries[i - 1].id < entry.id))) return false;
    if (entry.length <= record_header_bytes || entry.length > max_record_bytes) return false;
    if (entry.bases.size() > max_bases || entry.features.size() > units_per_chunk) return false;
    extents.emplace_back(entry.offset, entry.length);
    footer_bytes += bytes_of_entry(entry.bases.size(), entry.features.size());
  }
  std::ranges::sort(extents);
  std::uint64_t end = pack_header_bytes;
  for (const auto& [offset, length] : extents) {
    if (offset != end) return false;
    end += length;
  }
  return end + footer_bytes + pack_trailer_bytes == size_bytes;
}

const PackEntry* PackContents::find(const Digest& id) const {
  const auto at = std::ranges::lower_bound(entries, id, {}, &PackEntry::id);
  return at != entries.end() && at->id == id ? &*at : nullptr;
}

PackWriter::PackWriter(const PackHeader& header, Bytes memory) : bytes_(std::move(memory)) {
  contents_.header = header;
  bytes_.clear();
  bytes_.reserve(pack_target_bytes);  // address space; memory is taken as it fills
  base::append(bytes_, encode_header(header));
}

bool PackWriter::fits(std::span<const std::byte> record, std::size_t features) const {
  if (contents_.entries.empty()) return true;
  if (contents_.entries.size() >= max_pack_records) return false;
  const auto footer_bytes = footer_bytes_ + bytes_of_entry(bases_of(record).size(), features);
  return bytes_.size() + record.size() + footer_bytes + pack_trailer_bytes <= pack_target_bytes;
}

void PackWriter::add(const Digest& id, std::span<const std::byte> record, std::vector<Feature> features) {
  auto bases = bases_of(record);
  footer_bytes_ += bytes_of_entry(bases.size(), features.size());
  contents_.entries.push_back({.id = id,
                               .offset = bytes_.size(),
                               .length = static_cast<std::uint32_t>(record.size()),
                               .bases = std::move(bases),
                               .features = std::move(features)});
  base::append(bytes_, record);
}

bool PackWriter::holds(const Digest& id) const {
  return std::ranges::find(contents_.entries, id, &PackEntry::id) != contents_.entries.end();
}

WrittenPack PackWriter::finish() && {
  std::ranges::sort(contents_.entries, {}, &PackEntry::id);
  const auto footer = encode_footer(contents_.entries);
  const auto seal = seal_of(std::span(bytes_).first(pack_header_bytes), footer);
  base::append(bytes_, footer);
  base::append(bytes_, seal.bytes);
  base::append_int(bytes_, static_cast<std::uint32_t>(footer.size()));
  base::append(bytes_, base::as_bytes(trailer_magic));
  contents_.size_bytes = bytes_.size();
  assert(contents_.valid());
  return {.contents = std::move(contents_), .bytes = std::move(bytes_)};
}

Result<PackContents> parse_pack(std::span<const std::byte> pack) {
  return read_contents(pack.size(), [&](std::uint64_t offset, std::span<std::byte> out) -> Status {
    std::ranges::copy(pack.subspan(offset, out.size()), out.begin());
    return {};
  });
}

Result<PackContents> read_pack_contents(PackStore& packs, const PackId& id) {
  const auto size = packs.size(id);
  if (!size) return size.error();
  auto contents =
      read_contents(*size, [&](std::uint64_t offset, std::span<std::byte> out) { return packs.read(id, offset, out); });
  const auto where = "pack " + id.text();
  if (!contents) return contents.error().in(where);
  if (contents->header.id != id) return corrupt(where + ": its header names pack " + contents->header.id.text());
  return contents;
}

}  // namespace kiln::blocks
