#include "blocks/archive.h"

#include <algorithm>
#include <optional>
#include <system_error>
#include <thread>
#include <unordered_map>

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Error;
using base::Fault;
using base::Result;
using base::Status;

// The first work of each of up to this many frames at a time; answers are in order.
template <class Work>
void at_once(std::uint64_t count, const Work& work) {
  std::vector<std::thread> others;
  std::uint64_t started = 1;
  try {
    for (; started < count; ++started) others.emplace_back([&work, started] { work(started); });
  } catch (const std::system_error&) {
    // The system grants no more threads: this one does the rest.
  }
  work(0);
  for (; started < count; ++started) work(started);
  for (auto& other : others) other.join();
}

Result<ArchiveContents> list_chunks(Store& store, const NewArchive& what) {
  ArchiveContents contents;
  contents.header.name = what.name;
  contents.header.disk = what.disk;
  if (what.domain) contents.header.domain = what.domain->id();
  std::unordered_map<ChunkId, std::uint32_t> positions;
  KILN_TRY(walk_tree(store, what.disk.root,
                     {.node = [](const NodeId&, unsigned, std::uint64_t) -> Result<bool> { return true; },
                      .chunk = [&](const ChunkId& id, std::uint64_t chunk_index) -> Status {
                        const auto next = static_cast<std::uint32_t>(contents.ids.size());
                        const auto [found, is_new] = positions.emplace(id, next);
                        if (is_new) contents.ids.push_back(id);
                        contents.places.push_back({.chunk_index = chunk_index, .position = found->second});
                        return {};
                      }}));
  contents.header.chunks = contents.ids.size();
  contents.header.places = contents.places.size();
  if (!contents.header.valid()) return Error(Fault::invalid, "no archive can be made of " + what.name);
  return contents;
}

Result<Bytes> frame_of(Store& store, const ArchiveContents& contents, const KeyDomain* domain, std::uint64_t frame) {
  Bytes plain;
  plain.reserve(contents.header.frame_bytes(frame));
  const auto first = frame * contents.header.frame_chunks;
  for (auto i = first; i < first + contents.header.frame_bytes(frame) / chunk_bytes; ++i) {
    const auto chunk = store.chunk_once(contents.ids[i]);
    if (!chunk) return chunk.error();
    base::append(plain, **chunk);
  }
  return encode_archive_frame(contents.header, frame, plain, domain);
}

Result<Bytes> stored_frame(base::File& file, const ArchiveContents& contents, std::uint64_t frame) {
  Bytes stored(contents.stored_bytes(frame));
  KILN_TRY(file.read_exactly(contents.offsets[frame], stored));
  return stored;
}

Error stopped() { return {Fault::busy, "stopped"}; }

// The SHA-256 of each chunk of a decoded frame; an error names the chunk that is not what its id says.
Result<std::vector<base::Digest>> hashes_of(const ArchiveContents& contents, std::uint64_t frame, const Bytes& plain,
                                            const KeyDomain* domain) {
  std::vector<base::Digest> hashes;
  for (std::size_t at = 0; at < plain.size(); at += chunk_bytes) {
    const auto& hash = hashes.emplace_back(base::sha256(std::span(plain).subspan(at, chunk_bytes)));
    const auto& want = contents.ids[frame * contents.header.frame_chunks + at / chunk_bytes];
    const auto id = domain == nullptr ? hash : domain->mask(hash);
    if (id != want) return Error(Fault::corrupt, "chunk " + id.hex() + " instead of " + want.hex());
  }
  return hashes;
}

// The places of each chunk, one chunk after the other.
std::vector<ArchivePlace> by_position(const ArchiveContents& contents) {
  auto places = contents.places;
  std::ranges::stable_sort(places, {}, &ArchivePlace::position);
  return places;
}

std::uint64_t chunks_until(const ArchiveContents& contents, std::uint64_t frame) {
  return std::min<std::uint64_t>(contents.header.chunks, frame * contents.header.frame_chunks);
}

}  // namespace

Result<ArchiveContents> write_archive(Store& store, const NewArchive& what, base::File& file,
                                      const ArchiveProgress& progress) {
  auto contents = list_chunks(store, what);
  if (!contents) return contents.error();
  KILN_TRY(file.write_at(0, encode_archive_header(contents->header)));
  std::uint64_t end = archive_header_bytes;
  const auto frames = contents->header.frames();
  for (std::uint64_t first = 0; first < frames; first += what.threads) {
    if (progress && !progress(chunks_until(*contents, first), contents->header.chunks)) return stopped();
    std::vector<std::optional<Result<Bytes>>> encoded(std::min<std::uint64_t>(what.threads, frames - first));
    at_once(encoded.size(),
            [&](std::uint64_t i) { encoded[i].emplace(frame_of(store, *contents, what.domain.get(), first + i)); });
    for (const auto& frame : encoded) {
      if (!*frame) return frame->error();
      KILN_TRY(file.write_at(end, **frame));
      contents->offsets.push_back(end);
      end += (*frame)->size();
    }
  }
  const auto tail = encode_archive_tail(*contents);
  KILN_TRY(file.write_at(end, tail));
  KILN_TRY(file.sync_data());
  contents->size_bytes = end + tail.size();
  return contents;
}

Result<ArchiveContents> read_archive_contents(base::File& file) {
  const auto size = file.size();
  if (!size) return size.error();
  return parse_archive(*size,
                       [&](std::uint64_t offset, std::span<std::byte> out) { return file.read_exactly(offset, out); });
}

Result<CheckedArchive> check_archive(base::File& file, const Keyring* keys, const ArchiveProgress& progress) {
  auto contents = read_archive_contents(file);
  if (!contents) return contents.error();
  CheckedArchive checked{.contents = *std::move(contents), .decoded = true, .bad = {}};
  const auto& header = checked.contents.header;
  DomainPtr domain;
  if (!header.domain.is_plain()) {
    const auto found = keys == nullptr ? Result<DomainPtr>(DomainPtr()) : keys->find(header.domain);
    if (found) domain = *found;
    checked.decoded = domain != nullptr;
  }
  const auto places = by_position(checked.contents);
  auto place = places.begin();
  for (std::uint64_t frame = 0; frame < header.frames(); ++frame) {
    if (progress && !progress(chunks_until(checked.contents, frame), header.chunks)) return stopped();
    const auto check = [&]() -> Status {
      const auto stored = stored_frame(file, checked.contents, frame);
      if (!stored) return stored.error();
      if (!checked.decoded) return check_archive_frame(header, frame, *stored);
      const auto plain = decode_archive_frame(header, frame, *stored, domain.get());
      if (!plain) return plain.error();
      const auto hashes = hashes_of(checked.contents, frame, *plain, domain.get());
      return hashes ? Status() : Status(hashes.error());
    };
    while (place->position < frame * header.frame_chunks) ++place;
    if (const auto good = check(); !good) {
      checked.bad.push_back({.frame = frame,
                             .offset = checked.contents.offsets[frame],
                             .chunk_index = place->chunk_index,
                             .why = good.error().message()});
    }
  }
  return checked;
}

Status put_archive(base::File& file, const ArchiveContents& contents, const KeyDomain* domain, Ingest& into,
                   const ArchiveProgress& progress) {
  const auto& header = contents.header;
  const auto places = by_position(contents);
  auto place = places.begin();
  for (std::uint64_t frame = 0; frame < header.frames(); ++frame) {
    if (progress && !progress(chunks_until(contents, frame), header.chunks)) return stopped();
    const auto stored = stored_frame(file, contents, frame);
    if (!stored) return stored.error();
    const auto where = "frame " + std::to_string(frame) + " at byte " + std::to_string(contents.offsets[frame]);
    const auto plain = decode_archive_frame(header, frame, *stored, domain);
    if (!plain) return plain.error().in(where);
    const auto hashes = hashes_of(contents, frame, *plain, domain);
    if (!hashes) return hashes.error().in(where);
    for (std::size_t i = 0; i < hashes->size(); ++i) {
      const auto bytes = std::span(*plain).subspan(i * chunk_bytes, chunk_bytes);
      const auto chunk = std::make_shared<const Bytes>(bytes.begin(), bytes.end());
      for (; place != places.end() && place->position == frame * header.frame_chunks + i; ++place) {
        KILN_TRY(into.put(place->chunk_index, chunk, (*hashes)[i]));
      }
    }
  }
  return {};
}

}  // namespace kiln::blocks
