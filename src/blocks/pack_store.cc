#include "blocks/pack_store.h"

#include <string_view>

#include "base/ids.h"
#include "base/text.h"

namespace kiln::blocks {
namespace {

using base::Error;
using base::Fault;
using base::Open;
using base::Path;
using base::Result;
using base::Status;

constexpr std::string_view suffix = ".pack";
constexpr std::string_view temporary = ".pack.tmp-";
// Packs are immutable, so an open file stays right for as long as it is kept.
constexpr std::size_t most_open_files = 64;

bool is_fan_out(std::string_view name) {
  return name.size() == 2 && name.find_first_not_of("0123456789abcdef") == name.npos;
}

}  // namespace

DirectoryPackStore::DirectoryPackStore(base::Files& files, Path directory)
    : files_(files), directory_(std::move(directory)) {}

Result<std::unique_ptr<DirectoryPackStore>> DirectoryPackStore::open(base::Files& files, Path directory,
                                                                     Access access) {
  auto store = std::unique_ptr<DirectoryPackStore>(new DirectoryPackStore(files, std::move(directory)));
  if (access == Access::write) {
    KILN_TRY(files.make_directories(store->directory_));
    KILN_TRY(files.sync_directory(store->directory_.parent_path()));
    KILN_TRY(store->remove_temporary_files());
  }
  return store;
}

Path DirectoryPackStore::path_of(const PackId& id) const {
  const auto name = id.text();
  return directory_ / name.substr(name.size() - 2) / (name + std::string(suffix));
}

Status DirectoryPackStore::remove_temporary_files() {
  const auto directories = files_.list(directory_);
  if (!directories) return directories.error();
  for (const auto& fan_out : *directories) {
    if (!is_fan_out(fan_out)) continue;
    const auto names = files_.list(directory_ / fan_out);
    if (!names) return names.error();
    for (const auto& name : *names) {
      if (name.find(temporary) != name.npos) KILN_TRY(files_.remove(directory_ / fan_out / name));
    }
  }
  return {};
}

// A directory that is there may be one that an earlier process made and did not live to sync, so its name is synced
// once by each process that puts a pack into it.
Status DirectoryPackStore::make_fan_out(const Path& directory) {
  const auto name = directory.filename().string();
  {
    base::Lock lock(mutex_);
    if (fan_outs_.contains(name)) return {};
  }
  KILN_TRY(files_.make_directories(directory));
  KILN_TRY(files_.sync_directory(directory_));
  base::Lock lock(mutex_);
  fan_outs_.insert(name);
  return {};
}

Status DirectoryPackStore::put(const PackId& id, std::span<const std::byte> bytes) {
  const Path path = path_of(id);
  KILN_TRY(make_fan_out(path.parent_path()));
  const auto there = files_.exists(path);
  if (!there) return there.error();
  if (*there) return Error(Fault::exists, "pack " + id.text() + " is there already");
  const Path name =
      directory_ / path.parent_path().filename() / (id.text() + std::string(temporary) + base::random_hex(4));
  const auto write = [&]() -> Status {
    auto file = files_.open(name, Open::create_new);
    if (!file) return file.error();
    KILN_TRY((*file)->write_at(0, bytes));
    KILN_TRY((*file)->sync_data());
    KILN_TRY(files_.rename(name, path));
    return {};
  };
  if (const auto written = write(); !written) {
    // A full disk must not stay full of what could not be finished; if this fails too, the next open removes it.
    static_cast<void>(files_.remove(name).ok());
    return written.error().in("pack " + id.text());
  }
  return files_.sync_directory(path.parent_path());
}

Result<std::shared_ptr<base::File>> DirectoryPackStore::file_of(const PackId& id) {
  {
    base::Lock lock(mutex_);
    if (const auto held = open_.find(id); held != open_.end()) {
      used_.splice(used_.begin(), used_, held->second.use);
      return held->second.file;
    }
  }
  auto opened = files_.open(path_of(id), Open::read);
  if (!opened) {
    return opened.error().fault() == Fault::not_found ? Error(Fault::not_found, "there is no pack " + id.text())
                                                      : opened.error();
  }
  std::shared_ptr<base::File> file = *std::move(opened);
  base::Lock lock(mutex_);
  if (open_.contains(id)) return file;  // another thread was faster; this one serves once
  if (open_.size() >= most_open_files) {
    open_.erase(used_.back());
    used_.pop_back();
  }
  used_.push_front(id);
  open_.emplace(id, OpenPack{file, used_.begin()});
  return file;
}

Status DirectoryPackStore::read(const PackId& id, std::uint64_t offset, std::span<std::byte> out) {
  const auto file = file_of(id);
  if (!file) return file.error();
  if (const auto got = (*file)->read_exactly(offset, out); !got) return got.error().in("pack " + id.text());
  return {};
}

Result<std::uint64_t> DirectoryPackStore::size(const PackId& id) {
  const auto file = file_of(id);
  if (!file) return file.error();
  return (*file)->size();
}

Status DirectoryPackStore::remove(const PackId& id) {
  const Path path = path_of(id);
  const auto removed = files_.remove(path);
  if (!removed && removed.error().fault() == Fault::not_found) {
    // Whoever removed it may have ended before that was durable, and the caller will not ask again.
    const auto fan_out = files_.exists(path.parent_path());
    if (!fan_out) return fan_out.error();
    if (*fan_out) KILN_TRY(files_.sync_directory(path.parent_path()));
  }
  KILN_TRY(removed);
  {
    // After the name is gone, so that nobody opens it again; the space comes back when the last reader is done.
    base::Lock lock(mutex_);
    if (const auto held = open_.find(id); held != open_.end()) {
      used_.erase(held->second.use);
      open_.erase(held);
    }
  }
  return files_.sync_directory(path.parent_path());
}

Result<std::vector<PackId>> DirectoryPackStore::list() {
  std::vector<PackId> found;
  const auto directories = files_.list(directory_);
  if (!directories) return directories.error();
  for (const auto& fan_out : *directories) {
    if (!is_fan_out(fan_out)) continue;
    const auto names = files_.list(directory_ / fan_out);
    if (!names) return names.error();
    for (const std::string_view name : *names) {
      if (!name.ends_with(suffix)) continue;
      if (const auto id = PackId::from_text(name.substr(0, name.size() - suffix.size()))) found.push_back(*id);
    }
  }
  return found;
}

}  // namespace kiln::blocks
