// What kind of file it is follows from its name: VOLUME, gen-N.map, and packs, which are named by their id.
#include <fmt/format.h>

#include <charconv>
#include <stdexcept>

#include "base/files.h"
#include "blocks/map_log.h"
#include "blocks/pack.h"
#include "blocks/record.h"
#include "blocks/volume_file.h"
#include "cli/commands.h"
#include "cli/units.h"

namespace kiln::cli {
namespace {

constexpr std::uint64_t most_bytes = 256 << 20;

template <class T>
T must(base::Result<T> result, const base::Path& path) {
  if (!result) throw std::runtime_error(path.string() + ": " + result.error().message());
  return std::move(*result);
}

const char* name_of(blocks::GenerationState state) {
  switch (state) {
    case blocks::GenerationState::sealed: return "sealed";
    case blocks::GenerationState::merged: return "merged";
    case blocks::GenerationState::current: return "current";
    case blocks::GenerationState::next: return "next";
  }
  return "unknown";
}

void inspect_volume(const base::Path& path) {
  const auto text = must(base::posix_files().read_all(path, most_bytes), path);
  const auto volume = must(blocks::decode_volume_file(base::as_bytes(text)), path);
  fmt::print(
      "volume       {}\nsize         {} ({})\nbase root    {}\nbase size    {}\nepoch        {}\ncipher       {}\n",
      volume.volume, volume.size_bytes, bytes(volume.size_bytes), volume.base.root.hex(), volume.base.size_bytes,
      volume.epoch, volume.cipher == 0 ? "none" : std::to_string(volume.cipher));
  for (const auto& generation : volume.generations) {
    fmt::print("generation   {} {:<8} {} {}{}\n", generation.number, name_of(generation.state), generation.data_file,
               generation.map_file, generation.snapshot.empty() ? "" : "  cut of " + generation.snapshot);
  }
}

// The records of a log are chained with the names of its volume and generation, which its path tells.
void inspect_map_log(const base::Path& path) {
  auto file = must(base::posix_files().open(path, base::Open::read), path);
  const auto stem = path.stem().string();
  blocks::MapLogName name{.volume = base::Path(std::filesystem::absolute(path)).parent_path().filename(),
                          .generation = 0};
  const auto dash = stem.find('-');
  std::from_chars(stem.data() + (dash == std::string::npos ? 0 : dash + 1), stem.data() + stem.size(), name.generation);
  const auto volume_path = path.parent_path() / "VOLUME";
  const auto volume_text = must(base::posix_files().read_all(volume_path, most_bytes), volume_path);
  const auto volume = must(blocks::decode_volume_file(base::as_bytes(volume_text)), volume_path);
  const auto boot_id = must(base::posix_files().boot_id(), "boot_id");
  const auto log = must(
      blocks::replay_map_log([&](std::uint64_t offset, std::span<std::byte> out) { return file->read_at(offset, out); },
                             name, volume.size_bytes, boot_id, blocks::Replay::as_boot_allows),
      path);
  fmt::print(
      "map log      of generation {} of {}\nrecords      up to sequence {}, {} bytes\ntorn tail    {} bytes\n"
      "sealed       {}\nthis boot    {}\nuncommitted  {}\n",
      name.generation, name.volume, log.last_sequence, log.good_bytes, log.torn_bytes, log.sealed, log.same_boot,
      log.uncommitted);
}

void inspect_pack(const base::Path& path) {
  const auto text = must(base::posix_files().read_all(path, most_bytes), path);
  const auto pack = must(blocks::parse_pack(base::as_bytes(text)), path);
  fmt::print("pack         {}\nkind         {}\nepoch        {}\nsize         {} ({})\nrecords      {}\n",
             pack.header.id.text(), pack.header.kind == blocks::PackKind::data ? "data" : "nodes", pack.header.epoch,
             pack.size_bytes, bytes(pack.size_bytes), pack.entries.size());
  for (const auto& entry : pack.entries) {
    fmt::print("  {} at {:>9}, {:>7} bytes\n", entry.id.hex(), entry.offset, entry.length);
    for (const auto& base : entry.bases) fmt::print("    refers to {}\n", base.hex());
  }
}

}  // namespace

int inspect(const std::string& file) {
  const base::Path path = file;
  if (path.filename() == "VOLUME") {
    inspect_volume(path);
  } else if (path.extension() == ".map") {
    inspect_map_log(path);
  } else {
    inspect_pack(path);
  }
  return 0;
}

}  // namespace kiln::cli
