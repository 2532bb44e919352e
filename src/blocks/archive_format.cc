#include "blocks/archive_format.h"

#include <zstd.h>

#include <algorithm>
#include <cassert>
#include <memory>
#include <new>

#include "blocks/chunk_payload.h"
#include "blocks/manifest.h"

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Digest;
using base::Error;
using base::Fault;
using base::Result;
using base::Status;

constexpr std::string_view header_magic = "KILNARCH", frame_magic = "KFRM", trailer_magic = "KILNAEND";
constexpr std::uint64_t feature_encrypted = 1;
constexpr std::size_t place_bytes = 12;
// Of a frame's header: what is authenticated and what the checksum is seeded with.
constexpr std::size_t sealed_part = 20, checked_part = 32;
// What is written: the search goes over the whole of a frame, which is 8 MiB.
constexpr std::pair<ZSTD_cParameter, int> parameters[] = {
    {ZSTD_c_compressionLevel, 15}, {ZSTD_c_windowLog, 23}, {ZSTD_c_enableLongDistanceMatching, 1}};

Error corrupt(std::string message) { return {Fault::corrupt, std::move(message)}; }

// The nodes of a tree that has no parent: nobody asks for them.
class NoNodes final : public NodeSource {
 public:
  Result<NodePtr> node(const NodeId&, unsigned) override { return Error(Fault::not_found, "no node"); }
};

Result<NodeId> root_of(const ArchiveContents& contents) {
  NoNodes none;
  TreeBuilder tree(none, {});
  for (const auto& place : contents.places) tree.set(place.chunk_index, contents.ids[place.position]);
  return tree.finish([](const NodeId&, const Node&) { return Status(); });
}

std::uint64_t footer_bytes(const ArchiveHeader& header) {
  return header.chunks * sizeof(ChunkId) + header.places * place_bytes + header.frames() * sizeof(std::uint64_t);
}

Digest seal_of(std::span<const std::byte> header, std::span<const std::byte> footer) {
  base::Sha256 hash;
  hash.add(header);
  hash.add(footer);
  return hash.finish();
}

// What a frame's key is made of, in place of the id of a chunk: no other frame of any archive has the same, and no
// chunk, whose id is a SHA-256 of other bytes.
Digest frame_id(const ArchiveHeader& header, std::uint64_t frame) {
  Bytes text;
  base::append(text, base::as_bytes("kiln archive frame"));
  base::append(text, header.disk.root.bytes);
  base::append_int(text, frame);
  return base::sha256(text);
}

struct FrameHeader {
  std::uint32_t stored_bytes = 0;
  std::uint64_t number = 0;
  std::uint32_t plain_bytes = 0;
  Nonce nonce{};
  std::uint64_t checksum = 0;
};

Bytes encode(const FrameHeader& frame) {
  Bytes out;
  base::append(out, base::as_bytes(frame_magic));
  base::append_int(out, frame.stored_bytes);
  base::append_int(out, frame.number);
  base::append_int(out, frame.plain_bytes);
  base::append(out, frame.nonce);
  base::append_int(out, frame.checksum);
  assert(out.size() == archive_frame_header_bytes);
  return out;
}

std::uint64_t checksum_of(std::span<const std::byte> header, std::span<const std::byte> payload) {
  return base::xxh3_64(payload, base::xxh3_64(header.first(checked_part)));
}

Result<FrameHeader> checked_frame(const ArchiveHeader& header, std::uint64_t frame, std::span<const std::byte> stored) {
  if (stored.size() < archive_frame_header_bytes)
    return corrupt("a frame of " + std::to_string(stored.size()) + " bytes");
  base::Reader reader(stored);
  if (base::as_text(reader.read(4)) != frame_magic) return corrupt("it does not begin as a frame does");
  FrameHeader found;
  found.stored_bytes = reader.read_int<std::uint32_t>();
  found.number = reader.read_int<std::uint64_t>();
  found.plain_bytes = reader.read_int<std::uint32_t>();
  std::ranges::copy(reader.read(found.nonce.size()), found.nonce.begin());
  found.checksum = reader.read_int<std::uint64_t>();
  const auto payload = stored.subspan(archive_frame_header_bytes);
  if (found.stored_bytes != payload.size() || found.checksum != checksum_of(stored, payload)) {
    return corrupt("the frame is not what its checksum was taken of");
  }
  if (found.number != frame || found.plain_bytes != header.frame_bytes(frame)) {
    return corrupt("it is frame " + std::to_string(found.number) + " of " + std::to_string(found.plain_bytes) +
                   " bytes");
  }
  if ((found.nonce == Nonce{}) != header.domain.is_plain()) return corrupt("it does not agree on its encryption");
  return found;
}

Result<Bytes> compressed(std::span<const std::byte> plain) {
  struct Free {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };
  const std::unique_ptr<ZSTD_CCtx, Free> context(ZSTD_createCCtx());
  if (context == nullptr) throw std::bad_alloc();
  for (const auto& [parameter, value] : parameters) ZSTD_CCtx_setParameter(context.get(), parameter, value);
  Bytes out(ZSTD_compressBound(plain.size()));
  const auto size = ZSTD_compress2(context.get(), out.data(), out.size(), plain.data(), plain.size());
  if (ZSTD_isError(size) != 0) return Error(Fault::io, std::string("zstd: ") + ZSTD_getErrorName(size));
  // As it is when that is no longer, which is also how a reader tells the two.
  if (size >= plain.size()) return Bytes(plain.begin(), plain.end());
  out.resize(size);
  return out;
}

Result<ArchiveHeader> parse_header(std::span<const std::byte> bytes) {
  base::Reader reader(bytes);
  if (base::as_text(reader.read(8)) != header_magic) return corrupt("it does not begin as an archive does");
  if (const auto version = reader.read_int<std::uint32_t>(); version != archive_version) {
    return Error(Fault::unsupported, "archive format " + std::to_string(version) + "; this program reads format " +
                                         std::to_string(archive_version));
  }
  ArchiveHeader header;
  header.frame_chunks = reader.read_int<std::uint32_t>();
  const auto features = reader.read_int<std::uint64_t>();
  if ((features & ~feature_encrypted) != 0) {
    return Error(Fault::unsupported, "an archive with incompatible features " + std::to_string(features) +
                                         ", of which this program knows " + std::to_string(feature_encrypted));
  }
  std::ranges::copy(reader.read(16), header.domain.bytes.begin());
  std::ranges::copy(reader.read(32), header.disk.root.bytes.begin());
  header.disk.size_bytes = reader.read_int<std::uint64_t>();
  header.chunks = reader.read_int<std::uint64_t>();
  header.places = reader.read_int<std::uint64_t>();
  const auto name = base::as_text(reader.read(max_archive_name_bytes));
  header.name = name.substr(0, std::min(name.find('\0'), name.size()));
  const bool padded = name.substr(header.name.size()).find_first_not_of('\0') == std::string_view::npos;
  const auto checksum = reader.read_int<std::uint64_t>();
  if (checksum != base::xxh3_64(bytes.first(archive_header_bytes - sizeof checksum))) {
    return corrupt("the header is not what its checksum was taken of");
  }
  if (!padded || header.domain.is_plain() != (features == 0) || !header.valid()) {
    return corrupt("a header that does not agree with itself");
  }
  return header;
}

ArchiveContents parse_footer(const ArchiveHeader& header, std::span<const std::byte> footer) {
  ArchiveContents contents{.header = header, .ids = {}, .places = {}, .offsets = {}};
  base::Reader reader(footer);
  contents.ids.resize(header.chunks);
  for (auto& id : contents.ids) std::ranges::copy(reader.read(sizeof(ChunkId)), id.bytes.begin());
  contents.places.resize(header.places);
  for (auto& place : contents.places) {
    place.chunk_index = reader.read_int<std::uint64_t>();
    place.position = reader.read_int<std::uint32_t>();
  }
  contents.offsets.resize(header.frames());
  for (auto& offset : contents.offsets) offset = reader.read_int<std::uint64_t>();
  return contents;
}

}  // namespace

bool ArchiveHeader::valid() const {
  return !name.empty() && name.size() <= max_archive_name_bytes && frame_chunks >= 1 &&
         frame_chunks <= max_archive_frame_chunks && disk.size_bytes > 0 && disk.size_bytes <= max_disk_bytes &&
         chunks <= places && places <= (disk.size_bytes + chunk_bytes - 1) / chunk_bytes &&
         (chunks == 0) == (places == 0) && (places == 0) == disk.root.is_null();
}

std::size_t ArchiveHeader::frame_bytes(std::uint64_t frame) const {
  return std::min<std::uint64_t>(frame_chunks, chunks - frame * frame_chunks) * chunk_bytes;
}

bool ArchiveContents::valid() const {
  if (!header.valid() || ids.size() != header.chunks || places.size() != header.places ||
      offsets.size() != header.frames()) {
    return false;
  }
  std::uint64_t known = 0;
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (i > 0 && places[i].chunk_index <= places[i - 1].chunk_index) return false;
    // A content that has not come before is the next one.
    if (places[i].position > known) return false;
    known += places[i].position == known ? 1 : 0;
  }
  if (known != header.chunks) return false;
  if (!places.empty() && places.back().chunk_index * chunk_bytes >= header.disk.size_bytes) return false;
  std::uint64_t least = archive_header_bytes;
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    if (i == 0 ? offsets[i] != least : offsets[i] <= least) return false;
    least = offsets[i] + archive_frame_header_bytes;
  }
  const auto root = root_of(*this);
  return root && *root == header.disk.root;
}

std::uint64_t ArchiveContents::stored_bytes(std::uint64_t frame) const {
  const auto end =
      frame + 1 < offsets.size() ? offsets[frame + 1] : size_bytes - archive_trailer_bytes - footer_bytes(header);
  return end - offsets[frame];
}

Bytes encode_archive_header(const ArchiveHeader& header) {
  assert(header.valid());
  Bytes out;
  base::append(out, base::as_bytes(header_magic));
  base::append_int(out, archive_version);
  base::append_int(out, header.frame_chunks);
  base::append_int(out, header.domain.is_plain() ? 0 : feature_encrypted);
  base::append(out, header.domain.bytes);
  base::append(out, header.disk.root.bytes);
  base::append_int(out, header.disk.size_bytes);
  base::append_int(out, header.chunks);
  base::append_int(out, header.places);
  base::append(out, base::as_bytes(header.name));
  out.resize(archive_header_bytes - sizeof(std::uint64_t));
  base::append_int(out, base::xxh3_64(out));
  return out;
}

Bytes encode_archive_tail(const ArchiveContents& contents) {
  assert(contents.valid());
  Bytes out;
  out.reserve(footer_bytes(contents.header) + archive_trailer_bytes);
  for (const auto& id : contents.ids) base::append(out, id.bytes);
  for (const auto& place : contents.places) {
    base::append_int(out, place.chunk_index);
    base::append_int(out, place.position);
  }
  for (const auto offset : contents.offsets) base::append_int(out, offset);
  const auto length = static_cast<std::uint64_t>(out.size());
  base::append(out, seal_of(encode_archive_header(contents.header), out).bytes);
  base::append_int(out, length);
  base::append(out, base::as_bytes(trailer_magic));
  return out;
}

Result<ArchiveContents> parse_archive(std::uint64_t size_bytes, const ReadArchivePart& read) {
  if (size_bytes < archive_header_bytes) return corrupt("only " + std::to_string(size_bytes) + " bytes");
  Bytes head(archive_header_bytes), trailer(archive_trailer_bytes);
  KILN_TRY(read(0, head));
  const auto header = parse_header(head);
  if (!header) return header.error();
  const auto length = footer_bytes(*header);
  if (size_bytes < archive_header_bytes + length + archive_trailer_bytes) {
    return corrupt("only " + std::to_string(size_bytes) + " bytes, and its footer has " + std::to_string(length));
  }
  KILN_TRY(read(size_bytes - archive_trailer_bytes, trailer));
  base::Reader reader(trailer);
  const auto seal = reader.read(sizeof(Digest));
  const auto said = reader.read_int<std::uint64_t>();
  if (base::as_text(reader.read(8)) != trailer_magic || said != length) {
    return corrupt("it does not end as an archive of its header does");
  }
  Bytes footer(length);
  KILN_TRY(read(size_bytes - archive_trailer_bytes - length, footer));
  if (!std::ranges::equal(seal_of(head, footer).bytes, seal)) {
    return corrupt("header and footer are not what their digest was taken of");
  }
  auto contents = parse_footer(*header, footer);
  contents.size_bytes = size_bytes;
  const auto frames_end = size_bytes - archive_trailer_bytes - length;
  const auto last_end = contents.offsets.empty() ? archive_header_bytes : contents.offsets.back();
  if (!contents.valid() ||
      (contents.offsets.empty() ? last_end != frames_end : last_end + archive_frame_header_bytes >= frames_end)) {
    return corrupt("a footer that does not agree with itself, or with the root of its disk");
  }
  return contents;
}

Result<Bytes> encode_archive_frame(const ArchiveHeader& header, std::uint64_t frame, std::span<const std::byte> plain,
                                   const KeyDomain* domain) {
  assert(plain.size() == header.frame_bytes(frame) && (domain == nullptr) == header.domain.is_plain());
  auto payload = compressed(plain);
  if (!payload) return payload.error();
  const auto overhead = domain == nullptr ? 0 : sealed_overhead_bytes;
  FrameHeader head{.stored_bytes = static_cast<std::uint32_t>(payload->size() + overhead),
                   .number = frame,
                   .plain_bytes = static_cast<std::uint32_t>(plain.size())};
  if (domain != nullptr) {
    Bytes sealed;
    const auto about = encode(head);
    head.nonce = domain->seal(frame_id(header, frame), std::span(about).first(sealed_part), *payload, sealed);
    payload = std::move(sealed);
  }
  head.checksum = checksum_of(encode(head), *payload);
  auto out = encode(head);
  base::append(out, *payload);
  return out;
}

Status check_archive_frame(const ArchiveHeader& header, std::uint64_t frame, std::span<const std::byte> stored) {
  const auto checked = checked_frame(header, frame, stored);
  return checked ? Status() : Status(checked.error());
}

Result<Bytes> decode_archive_frame(const ArchiveHeader& header, std::uint64_t frame, std::span<const std::byte> stored,
                                   const KeyDomain* domain) {
  const auto checked = checked_frame(header, frame, stored);
  if (!checked) return checked.error();
  auto payload = stored.subspan(archive_frame_header_bytes);
  Bytes opened;
  if (!header.domain.is_plain()) {
    if (domain == nullptr) return Error(Fault::no_key, "the key of domain " + header.domain.hex() + " is not at hand");
    auto plain = domain->open(frame_id(header, frame), checked->nonce, stored.first(sealed_part), payload);
    if (!plain) return plain.error();
    opened = *std::move(plain);
    payload = opened;
  }
  Bytes out(checked->plain_bytes);
  KILN_TRY(decompress(payload, out));
  return out;
}

}  // namespace kiln::blocks
