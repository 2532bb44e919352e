#include "cli/inspect.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <iterator>
#include <stdexcept>

#include "base/digest.h"
#include "base/text.h"
#include "blocks/archive.h"
#include "blocks/data_file.h"
#include "blocks/index_generation.h"
#include "blocks/manifest.h"
#include "blocks/map_log.h"
#include "blocks/pack.h"
#include "blocks/slot_cache.h"
#include "blocks/volume_file.h"
#include "cli/commands.h"
#include "cli/units.h"
#include "keys/key_file.h"

namespace kiln::cli {
namespace {

constexpr std::uint64_t most_bytes = 256 << 20;

[[noreturn]] void fail(const base::Path& path, const std::string& what) {
  throw std::runtime_error(path.string() + ": " + what);
}

template <class T>
T must(base::Result<T> result, const base::Path& path) {
  if (!result) fail(path, result.error().message());
  return std::move(*result);
}

template <class... Arguments>
void say(Description& out, fmt::format_string<Arguments...> form, Arguments&&... arguments) {
  fmt::format_to(std::back_inserter(out.text), form, std::forward<Arguments>(arguments)...);
}

std::string content_of(const base::Path& path) { return must(base::posix_files().read_all(path, most_bytes), path); }

const char* name_of(blocks::GenerationState state) {
  switch (state) {
    case blocks::GenerationState::sealed: return "sealed";
    case blocks::GenerationState::merged: return "merged";
    case blocks::GenerationState::current: return "current";
    case blocks::GenerationState::next: return "next";
  }
  return "unknown";
}

std::string domain_text(const blocks::DomainId& domain) { return domain.is_plain() ? "plain" : domain.hex(); }

blocks::VolumeFile volume_beside(const base::Path& path) {
  const auto volume_path = path.parent_path() / "VOLUME";
  const auto text = content_of(volume_path);
  return must(blocks::decode_volume_file(base::as_bytes(text)), volume_path);
}

Description describe_volume(const base::Path& path) {
  const auto text = content_of(path);
  const auto volume = must(blocks::decode_volume_file(base::as_bytes(text)), path);
  Description out;
  say(out,
      "volume       {}\nsize         {} ({})\nbase root    {}\nbase size    {}\nepoch        {}\ndomain       {}\nbase "
      "domain  {}\n",
      volume.volume, volume.size_bytes, bytes(volume.size_bytes), volume.base.root.hex(), volume.base.size_bytes,
      volume.epoch, domain_text(volume.domain), domain_text(volume.base_domain));
  for (const auto& generation : volume.generations) {
    say(out, "generation   {} {:<8} {} {}{}\n", generation.number, name_of(generation.state), generation.data_file,
        generation.map_file, generation.snapshot.empty() ? "" : "  cut of " + generation.snapshot);
  }
  return out;
}

// The records of a log are chained with the names of its volume, which VOLUME beside it tells, and of its generation.
blocks::MapReplay replay_log(const base::Path& path, const blocks::VolumeFile& volume, std::uint64_t generation) {
  const auto file = must(base::posix_files().open(path, base::Open::read), path);
  const auto boot_id = must(base::posix_files().boot_id(), "boot_id");
  return must(
      blocks::replay_map_log([&](std::uint64_t offset, std::span<std::byte> out) { return file->read_at(offset, out); },
                             {.volume = volume.volume, .generation = generation}, volume.size_bytes, boot_id,
                             blocks::Replay::as_boot_allows),
      path);
}

void say_units(Description& out, const blocks::MapReplay& log) {
  const auto data = log.map.count(blocks::UnitState::data), zero = log.map.count(blocks::UnitState::zero);
  say(out, "data         {} units of 4 KiB ({})\nzero         {} units\n", data, bytes(data * blocks::unit_bytes),
      zero);
}

Description describe_map_log(const base::Path& path) {
  const auto volume = volume_beside(path);
  // The header says which generation it is of: gen-3.map and gen-3.b.map take turns.
  std::uint64_t generation = 0;
  const auto stem = path.stem().string();
  const auto dash = stem.find('-');
  std::from_chars(stem.data() + (dash == std::string::npos ? 0 : dash + 1), stem.data() + stem.size(), generation);
  const auto log = replay_log(path, volume, generation);
  Description out;
  say(out, "map log      of generation {} of {}\nrecords      up to sequence {}, {} bytes\ntorn tail    {} bytes\n",
      generation, volume.volume, log.last_sequence, log.good_bytes, log.torn_bytes);
  say(out, "sealed       {}\nthis boot    {}\nuncommitted  {}\n", log.sealed, log.same_boot, log.uncommitted);
  say_units(out, log);
  if (log.torn_bytes > blocks::map_record_bytes) {
    out.damage.push_back(
        fmt::format("at byte {}: no valid record, and {} bytes behind it, which are lost unless a "
                    "power cut tore them",
                    log.good_bytes, log.torn_bytes));
  }
  return out;
}

Description describe_generation(const base::Path& path) {
  const auto volume = volume_beside(path);
  // Of a disk of more than 8 TiB gen-1.data.1 and so on hold the further parts.
  const auto name = path.filename().string();
  const auto found = std::ranges::find_if(volume.generations, [&](const auto& entry) {
    return name == entry.data_file || name.starts_with(entry.data_file + ".");
  });
  if (found == volume.generations.end())
    fail(path, "VOLUME names no such generation: a leftover that the next open removes");
  const auto file = must(base::posix_files().open(path, base::Open::read), path);
  const auto length = must(file->size(), path), allocated = must(file->allocated(), path);
  Description out;
  say(out, "generation   {} of {}, {}\nlength       {} ({} on disk)\n", found->number, volume.volume,
      name_of(found->state), length, bytes(allocated));
  const auto log = replay_log(path.parent_path() / found->map_file, volume, found->number);
  say_units(out, log);
  std::uint64_t data_end = 0;
  for (std::uint64_t unit = 0; unit < log.map.units();) {
    const auto end = log.map.run_end(unit, log.map.units());
    if (log.map.state(unit) == blocks::UnitState::data) data_end = end;
    unit = end;
  }
  const auto needed = std::min({data_end * blocks::unit_bytes, volume.size_bytes, blocks::data_part_bytes});
  if (name == found->data_file && needed > length) {
    out.damage.push_back(fmt::format("it ends at byte {}, its log names data up to {}", length, needed));
  }
  return out;
}

Description describe_pack(const base::Path& path) {
  const auto text = content_of(path);
  const auto pack = must(blocks::parse_pack(base::as_bytes(text)), path);
  const bool nodes = pack.header.kind == blocks::PackKind::nodes;
  Description out;
  say(out,
      "pack         {}\nkind         {}\ndomain       {}\nepoch        {}\nsize         {} ({})\nrecords      {}\n",
      pack.header.id.text(), nodes ? "nodes" : "data", domain_text(pack.header.domain), pack.header.epoch,
      pack.size_bytes, bytes(pack.size_bytes), pack.entries.size());
  for (const auto& entry : pack.entries) {
    const auto stored = base::as_bytes(text).subspan(entry.offset, entry.length);
    say(out, "  {} at {:>9}, {:>7} bytes", entry.id.hex(), entry.offset, entry.length);
    const auto wrong = [&](const base::Error& error) {
      out.damage.push_back(fmt::format("record {} at byte {}: {}", entry.id.hex(), entry.offset, error.message()));
    };
    if (const auto record = blocks::parse_record(stored); !record) {
      wrong(record.error());
    } else if (nodes) {
      const auto plain = blocks::decode_record(stored, blocks::RecordKind::node, entry.id);
      const auto node = plain ? blocks::decode_node(*plain) : base::Result<blocks::Node>(plain.error());
      if (!node) {
        wrong(node.error());
      } else {
        say(out, ", level {}, {} entries", node->level,
            std::ranges::count_if(node->entries, [](const auto& id) { return !id.is_null(); }));
      }
    }
    say(out, "\n");
    for (const auto& base : entry.bases) say(out, "    refers to {}\n", base.hex());
  }
  return out;
}

Description describe_archive(const base::Path& path) {
  const auto file = must(base::posix_files().open(path, base::Open::read), path);
  const auto checked = must(blocks::check_archive(*file, nullptr), path);
  const auto& header = checked.contents.header;
  Description out;
  say(out, "archive      of {}\nroot         {}\ndisk         {} ({})\ndomain       {}\nsize         {} ({})\n",
      header.name, header.disk.root.hex(), header.disk.size_bytes, bytes(header.disk.size_bytes),
      domain_text(header.domain), checked.contents.size_bytes, bytes(checked.contents.size_bytes));
  say(out, "chunks       {} in {} places, in {} frames{}\n", header.chunks, header.places, header.frames(),
      checked.decoded ? "" : " (their checksums only: no key)");
  for (std::uint64_t frame = 0; frame < header.frames(); ++frame) {
    say(out, "  frame {:>6} at {:>12}, {:>8} bytes of {}\n", frame, checked.contents.offsets[frame],
        checked.contents.stored_bytes(frame), bytes(header.frame_bytes(frame)));
  }
  for (const auto& bad : checked.bad) {
    out.damage.push_back(fmt::format("frame {} at byte {}: {}", bad.frame, bad.offset, bad.why));
  }
  return out;
}

// The secret itself is not shown.
Description describe_root_key(const base::Path& path) {
  const auto text = content_of(path);
  const auto root = must(keys::decode_root(base::as_bytes(text)), path);
  Description out;
  say(out, "root key     {}\n", root.id.text());
  return out;
}

Description describe_key(const base::Path& path) {
  const auto text = content_of(path);
  const auto file = must(keys::decode_key_file(base::as_bytes(text)), path);
  Description out;
  say(out, "key          {}\nencrypted by {}\nfile         SHA-256 {}\n", file.key.text(), file.root.text(),
      base::sha256(text).hex());
  // Only its root key can tell whether it is sound; by default that lies beside it.
  const auto root_path = path.parent_path() / "root";
  if (std::filesystem::exists(root_path)) {
    const auto root_text = content_of(root_path);
    const auto opened = keys::open_key(file, must(keys::decode_root(base::as_bytes(root_text)), root_path));
    if (!opened) out.damage.push_back(opened.error().message());
    if (opened) say(out, "opens        with the root key beside it\n");
  }
  return out;
}

Description describe_slot(const base::Path& path) {
  const auto text = content_of(path);
  const auto all = base::as_bytes(text);
  const auto head = must(blocks::decode_slot_head(all.first(std::min(all.size(), blocks::slot_head_bytes))), path);
  Description out;
  say(out, "slot         of chunk {}\ndomain       {}\n", head.id.hex(), domain_text(head.domain));
  const auto data = all.subspan(blocks::slot_head_bytes);
  if (data.size() != blocks::chunk_bytes) {
    out.damage.push_back(fmt::format("it has {} bytes of data instead of {}", data.size(), blocks::chunk_bytes));
    return out;
  }
  for (std::size_t unit = 0; unit < head.sums.size(); ++unit) {
    if (base::xxh3_64(data.subspan(unit * blocks::unit_bytes, blocks::unit_bytes)) == head.sums[unit]) continue;
    out.damage.push_back(fmt::format("unit {} at byte {}: not what its checksum was taken of", unit,
                                     blocks::slot_head_bytes + unit * blocks::unit_bytes));
  }
  if (out.damage.empty() && base::sha256(data) != head.id)
    out.damage.emplace_back("its data is not the chunk it names");
  say(out, "data         {} units of 4 KiB, {} of them damaged\n", head.sums.size(), out.damage.size());
  return out;
}

Description describe_index(const base::Path& directory) {
  const auto index = must(blocks::IndexGeneration::open(directory, blocks::Access::read), directory);
  const auto packs = must(index->packs(), directory);
  Description out;
  std::uint64_t records = 0;
  for (const auto& pack : packs) records += pack.records;
  say(out, "chunk index  {}\npacks        {}\nrecords      {}\n", index->name(), packs.size(), records);
  for (const auto& pack : packs) {
    say(out, "  {} {:<5} epoch {:>4}, {:>6} records, {}\n", pack.id.text(),
        pack.kind == blocks::PackKind::nodes ? "nodes" : "data", pack.epoch, pack.records, bytes(pack.size_bytes));
  }
  return out;
}

Description describe_current(const base::Path& path, const std::string& head) {
  constexpr std::string_view prefix = "kiln-index 2 ";
  const auto line = head.substr(0, head.find('\n'));
  if (!line.starts_with(prefix)) fail(path, "\"" + line + "\"; this program reads \"kiln-index 2\"");
  const auto name = line.substr(prefix.size());
  if (!name.starts_with("gen-") || name.find('/') != std::string::npos) fail(path, "it names no generation: " + name);
  return describe_index(path.parent_path() / name);
}

Description describe_open_volumes(const base::Path& path) {
  const auto text = content_of(path);
  const auto lines = base::split(text, '\n');
  if (lines.front() != "kiln-open-volumes 1") {
    fail(path, "\"" + std::string(lines.front()) + "\"; this program reads \"kiln-open-volumes 1\"");
  }
  Description out;
  say(out, "open volumes of a disk server\n");
  for (std::size_t i = 1; i < lines.size() && lines[i] != "end"; ++i) {
    const auto words = base::split(lines[i], ' ');
    if (words.size() == 2) say(out, "  {} at epoch {}\n", words[0], words[1]);
    if (words.size() != 2) out.damage.push_back(fmt::format("line {}: not a volume and an epoch", i + 1));
  }
  if (lines.size() < 2 || lines[lines.size() - 2] != "end") out.damage.emplace_back("it does not end with \"end\"");
  return out;
}

// The head of SQLite's own format (https://sqlite.org/fileformat.html), whose numbers are big-endian.
Description describe_catalog(const base::Path& path, const std::string& head) {
  const auto number = [&](std::size_t at, std::size_t count) {
    std::uint64_t value = 0;
    for (std::size_t i = at; i < at + count && i < head.size(); ++i)
      value = value << 8 | static_cast<unsigned char>(head[i]);
    return value;
  };
  if (head.size() < 100) fail(path, "a SQLite database of less than 100 bytes");
  const auto page_bytes = number(16, 2) == 1 ? 65536 : number(16, 2), pages = number(28, 4);
  Description out;
  say(out, "catalog      a SQLite 3 database\nsize         {} pages of {} bytes ({})\n", pages, page_bytes,
      bytes(pages * page_bytes));
  say(out, "content      sqlite3 -readonly {} \"SELECT * FROM schema_version\"\n", path.string());
  const auto length = must(must(base::posix_files().open(path, base::Open::read), path)->size(), path);
  if (length < pages * page_bytes) {
    out.damage.push_back(fmt::format("it ends at byte {} of {}", length, pages * page_bytes));
  }
  return out;
}

}  // namespace

Description describe_file(const base::Path& path) {
  if (std::filesystem::is_directory(path)) {
    for (const auto* inside : {"CURRENT", "VOLUME"}) {
      if (std::filesystem::exists(path / inside)) return describe_file(path / inside);
    }
    if (std::filesystem::exists(path / "data.mdb")) return describe_index(path);
    fail(path, "a directory, of neither a volume nor an index");
  }
  std::string head(4096, '\0');
  {
    const auto file = must(base::posix_files().open(path, base::Open::read), path);
    head.resize(must(file->read_at(0, std::as_writable_bytes(std::span(head))), path));
  }
  const auto name = path.filename().string();
  if (head.starts_with("KILNPACK") || path.extension() == ".pack") return describe_pack(path);
  if (head.starts_with("KILNARCH") || path.extension() == ".archive") return describe_archive(path);
  if (head.starts_with("KILNVOL\n") || name == "VOLUME") return describe_volume(path);
  if (head.starts_with("KILNMAP\n") || path.extension() == ".map") return describe_map_log(path);
  if (head.starts_with("KILNSLOT")) return describe_slot(path);
  if (head.starts_with("KILNROOT")) return describe_root_key(path);
  if (head.starts_with("KILNKEY\n") || path.extension() == ".key") return describe_key(path);
  if (head.starts_with("SQLite format 3")) return describe_catalog(path, head);
  if (head.starts_with("kiln-index ") || name == "CURRENT") return describe_current(path, head);
  if (head.starts_with("kiln-open-volumes ")) return describe_open_volumes(path);
  if (name == "data.mdb") return describe_index(path.parent_path());
  if (name.starts_with("gen-") && name.find(".data") != std::string::npos) return describe_generation(path);
  fail(path,
       "not a file of ours: no pack, archive, VOLUME, map log, generation, slot, index, catalog, key or list of open "
       "volumes");
}

int inspect(const std::string& file) {
  const auto found = describe_file(file);
  fmt::print("{}", found.text);
  for (const auto& damage : found.damage) fmt::print(stderr, "kiln: {}: damaged: {}\n", file, damage);
  return found.damage.empty() ? 0 : 1;
}

}  // namespace kiln::cli
