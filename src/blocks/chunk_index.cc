#include "blocks/chunk_index.h"

#include "base/ids.h"
#include "base/log.h"

namespace kiln::blocks {
namespace {

using base::Error;
using base::Fault;
using base::Path;
using base::Result;
using base::Status;

constexpr std::string_view current_prefix = "kiln-index 2 ";
constexpr std::string_view generation_prefix = "gen-";
// A generation may be replaced between reading its name and opening it, hardly ever twice in a row.
constexpr int most_attempts = 4;

// Random names are never used again: a reader that compares them cannot take another generation for its own, not even
// when somebody removed the whole index in between.
bool is_generation(std::string_view name) {
  if (!name.starts_with(generation_prefix)) return false;
  name.remove_prefix(generation_prefix.size());
  return name.size() == 16 && name.find_first_not_of("0123456789abcdef") == name.npos;
}

bool is_damage(Fault fault) {
  return fault == Fault::corrupt || fault == Fault::not_found || fault == Fault::unsupported;
}

}  // namespace

ChunkIndex::ChunkIndex(base::Files& files, Path directory, Access access)
    : files_(files), directory_(std::move(directory)), access_(access) {}

ChunkIndex::~ChunkIndex() = default;

Result<std::unique_ptr<ChunkIndex>> ChunkIndex::open(base::Files& files, Path directory, Access access,
                                                     PackStore& packs) {
  auto index = std::unique_ptr<ChunkIndex>(new ChunkIndex(files, std::move(directory), access));
  if (access == Access::write) KILN_TRY(files.make_directories(index->directory_));
  auto generation = index->open_current();
  if (generation) {
    base::Lock lock(index->mutex_);
    index->generation_ = *generation;
    return index;
  }
  if (access == Access::read || !is_damage(generation.error().fault())) return generation.error();
  if (const auto had = files.exists(index->directory_ / "CURRENT"); had && *had) {
    base::log_warning("blocks", "{}; rebuilding it from the packs", generation.error().message());
  }
  const auto rebuilt = index->rebuild(packs);
  if (!rebuilt) return rebuilt.error();
  return index;
}

Result<std::string> ChunkIndex::current_name() {
  auto text = files_.read_all(directory_ / "CURRENT", 4096);
  if (!text) return text.error();
  if (!text->starts_with("kiln-index ") || !text->ends_with('\n')) {
    return Error(Fault::corrupt, (directory_ / "CURRENT").string() + " names no generation of an index");
  }
  text->pop_back();
  if (!text->starts_with(current_prefix)) {
    return Error(Fault::unsupported, "\"" + *text + "\"; this program reads \"kiln-index 2\"");
  }
  auto name = text->substr(current_prefix.size());
  if (!is_generation(name)) return Error(Fault::corrupt, "\"" + name + "\" is no generation of an index");
  return name;
}

Result<std::shared_ptr<IndexGeneration>> ChunkIndex::open_current() {
  for (int attempt = 1;; ++attempt) {
    const auto name = current_name();
    if (!name) return name.error();
    auto opened = IndexGeneration::open(directory_ / *name, access_);
    if (opened || opened.error().fault() != Fault::not_found || attempt == most_attempts) return opened;
  }
}

std::shared_ptr<IndexGeneration> ChunkIndex::current() {
  base::Lock lock(mutex_);
  return generation_;
}

Result<std::vector<Location>> ChunkIndex::find(const base::Digest& id) { return current()->find(id); }
Result<std::vector<std::vector<base::Digest>>> ChunkIndex::similar(std::span<const Feature> features) {
  return current()->similar(features);
}

Result<std::vector<IndexedPack>> ChunkIndex::packs() { return current()->packs(); }

Result<std::vector<IndexedRecord>> ChunkIndex::records_in(const PackId& pack) { return current()->records_in(pack); }

Result<bool> ChunkIndex::reopen() {
  const auto name = current_name();
  if (!name) return name.error();
  if (*name == current()->name()) return false;
  auto opened = open_current();
  if (!opened) return opened.error();
  base::Lock lock(mutex_);
  generation_ = *std::move(opened);
  return true;
}

Status ChunkIndex::add(const PackContents& pack) {
  base::Lock lock(writer_);
  return current()->add(pack);
}

Status ChunkIndex::forget(const PackId& pack, const PackContents* contents) {
  base::Lock lock(writer_);
  return current()->forget(pack, contents);
}

Result<IndexRebuild> ChunkIndex::rebuild(PackStore& packs) {
  if (access_ != Access::write) return Error(Fault::invalid, "the chunk index is open for reading only");
  base::Lock lock(writer_);
  return rebuild_locked(packs);
}

Result<IndexRebuild> ChunkIndex::rebuild_locked(PackStore& packs) {
  const std::string name = std::string(generation_prefix) + base::random_hex(8);
  const Path path = directory_ / name;
  KILN_TRY(files_.make_directories(path));
  auto opened = IndexGeneration::open(path, Access::write);
  if (!opened) return opened.error();
  KILN_TRY((*opened)->set_sync(false));
  IndexRebuild rebuilt;
  const auto listed = packs.list();
  if (!listed) return listed.error();
  for (const auto& id : *listed) {
    const auto contents = read_pack_contents(packs, id);
    if (!contents && contents.error().fault() == Fault::not_found) continue;  // deleted meanwhile
    if (!contents) {
      rebuilt.unreadable.push_back({id, contents.error()});
      base::log_warning("blocks", "left out of the chunk index: {}", contents.error().message());
      continue;
    }
    KILN_TRY((*opened)->add(*contents));
    ++rebuilt.packs;
    rebuilt.records += contents->entries.size();
  }
  KILN_TRY((*opened)->set_sync(true));
  KILN_TRY(files_.sync_directory(path));
  KILN_TRY(files_.sync_directory(directory_));
  const std::string text = std::string(current_prefix) + name + "\n";
  KILN_TRY(files_.replace(directory_ / "CURRENT", base::as_bytes(text)));
  {
    base::Lock lock(mutex_);
    generation_ = *std::move(opened);
  }
  remove_other_generations(name);
  return rebuilt;
}

void ChunkIndex::remove_other_generations(const std::string& keep) {
  const auto names = files_.list(directory_);
  if (!names) return;
  for (const auto& name : *names) {
    if (name == keep || !is_generation(name)) continue;
    // Readers that still have it mapped go on. What cannot be removed is tried again by the next rebuild.
    for (const auto* file : {"data.mdb", "lock.mdb"}) static_cast<void>(files_.remove(directory_ / name / file).ok());
    if (const auto gone = files_.remove(directory_ / name); !gone) {
      base::log_warning("blocks", "an old chunk index stays: {}", gone.error().message());
    }
  }
}

}  // namespace kiln::blocks
