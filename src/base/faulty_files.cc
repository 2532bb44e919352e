#include "base/faulty_files.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <set>

#include "base/bytes.h"

namespace kiln::base {
namespace {

constexpr std::uint64_t page_bytes = 4096;
constexpr std::uint64_t sector_bytes = 512;
using Page = std::array<std::byte, page_bytes>;
using Pages = std::map<std::uint64_t, Page>;

struct Change {
  enum class Kind { write, punch, truncate } kind = Kind::write;
  std::uint64_t offset = 0;  // truncate: the size
  std::uint64_t length = 0;
  Bytes bytes = {};
};

struct Content {
  Pages pages;
  std::uint64_t size = 0;

  // Reads as zeros where nothing was written; size is the caller's to mind.
  void read(std::uint64_t offset, std::span<std::byte> out) const {
    while (!out.empty()) {
      const auto in_page = offset % page_bytes;
      const auto count = std::min<std::uint64_t>(page_bytes - in_page, out.size());
      const auto page = pages.find(offset / page_bytes);
      if (page == pages.end()) {
        std::memset(out.data(), 0, count);
      } else {
        std::memcpy(out.data(), page->second.data() + in_page, count);
      }
      offset += count;
      out = out.subspan(count);
    }
  }
  void write(std::uint64_t offset, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const auto in_page = offset % page_bytes;
      const auto count = std::min<std::uint64_t>(page_bytes - in_page, bytes.size());
      std::memcpy(pages.try_emplace(offset / page_bytes, Page{}).first->second.data() + in_page, bytes.data(), count);
      offset += count;
      bytes = bytes.subspan(count);
    }
  }
  void zero(std::uint64_t offset, std::uint64_t length) {
    const auto end = offset + length;
    for (auto page = pages.lower_bound(offset / page_bytes); page != pages.end() && page->first * page_bytes < end;) {
      const auto start = page->first * page_bytes;
      if (start >= offset && start + page_bytes <= end) {
        page = pages.erase(page);
        continue;
      }
      const auto from = std::max(start, offset) - start;
      std::memset(page->second.data() + from, 0, std::min(start + page_bytes, end) - start - from);
      ++page;
    }
  }
  void apply(const Change& change) {
    switch (change.kind) {
      case Change::Kind::write:
        write(change.offset, change.bytes);
        size = std::max(size, change.offset + change.bytes.size());
        break;
      case Change::Kind::punch: zero(change.offset, change.length); break;
      case Change::Kind::truncate:
        if (change.offset < size) zero(change.offset, size - change.offset);
        size = change.offset;
        break;
    }
  }
};

// Of a path as normal() makes it: what Path::parent_path() says, which a long simulation would spend a fifth of its
// time in.
std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == path.npos ? "" : slash == 0 ? "/" : path.substr(0, slash);
}
std::string normal(const Path& path) {
  auto text = path.lexically_normal().string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

}  // namespace

struct FaultyFiles::Inode {
  bool is_directory = false;
  Content now, durable;
  std::vector<Change> unsynced;
  const void* locked_by = nullptr;

  void change(Change what) {
    now.apply(what);
    unsynced.push_back(std::move(what));
  }
  void sync() {
    for (const auto& what : unsynced) durable.apply(what);
    unsynced.clear();
  }

  // Every sector ends as it was after some of the writes to it; sizes follow one point in the order of the changes.
  void cut_power(std::mt19937_64& random) {
    const auto metadata_through = random() % (unsynced.size() + 1);
    std::map<std::uint64_t, std::uint64_t> writes_to;  // by sector: how many changes touch it
    for (const auto& what : unsynced) {
      if (what.kind == Change::Kind::truncate) continue;
      const auto end = what.offset + (what.kind == Change::Kind::write ? what.bytes.size() : what.length);
      const auto limit = std::min(end, std::max(now.size, durable.size) + page_bytes);
      for (auto sector = what.offset / sector_bytes; sector * sector_bytes < limit; ++sector) writes_to[sector] += 1;
    }
    Content survived = durable;
    for (std::size_t i = 0; i < metadata_through; ++i) {
      const auto& what = unsynced[i];
      if (what.kind == Change::Kind::truncate) survived.apply(what);
      if (what.kind == Change::Kind::write) survived.size = std::max(survived.size, what.offset + what.bytes.size());
    }
    for (auto& [sector, count] : writes_to) {
      const auto kept = random() % (count + 1);
      Content alone;
      std::array<std::byte, sector_bytes> bytes;
      durable.read(sector * sector_bytes, bytes);
      alone.size = durable.size;
      alone.write(sector * sector_bytes, bytes);
      std::uint64_t touched = 0;
      for (std::size_t i = 0; i < unsynced.size(); ++i) {
        const auto& what = unsynced[i];
        if (what.kind == Change::Kind::truncate) {
          if (i < metadata_through) alone.apply(what);
          continue;
        }
        const auto end = what.offset + (what.kind == Change::Kind::write ? what.bytes.size() : what.length);
        if (what.offset >= (sector + 1) * sector_bytes || end <= sector * sector_bytes) continue;
        if (touched++ >= kept) continue;
        // Only the part of the change that lies in this sector.
        const auto from = std::max(what.offset, sector * sector_bytes);
        const auto to = std::min(end, (sector + 1) * sector_bytes);
        if (what.kind == Change::Kind::write) {
          alone.write(from, std::span(what.bytes).subspan(from - what.offset, to - from));
        } else {
          alone.zero(from, to - from);
        }
      }
      alone.read(sector * sector_bytes, bytes);
      survived.write(sector * sector_bytes, bytes);
    }
    const auto size = survived.size;
    const auto last = survived.pages.empty() ? 0 : (survived.pages.rbegin()->first + 1) * page_bytes;
    if (last > size) survived.zero(size, last - size);
    durable = survived;
    now = std::move(survived);
    unsynced.clear();
  }
};

// What one change of names does, all or nothing: a null inode means that the name goes.
struct FaultyFiles::NameChange {
  std::vector<std::pair<std::string, std::shared_ptr<Inode>>> names;
};

class FaultyFiles::Handle final : public File {
 public:
  Handle(FaultyFiles& files, std::shared_ptr<Inode> inode, std::string path, std::uint64_t life, bool writable)
      : files_(files), inode_(std::move(inode)), path_(std::move(path)), life_(life), writable_(writable) {}
  ~Handle() override {
    Lock lock(files_.mutex_);
    if (inode_->locked_by == this) inode_->locked_by = nullptr;
  }

  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) override {
    Lock lock(files_.mutex_);
    KILN_TRY(alive());
    const auto& content = inode_->now;
    if (offset >= content.size) return std::size_t{0};
    out = out.first(std::min<std::uint64_t>(out.size(), content.size - offset));
    content.read(offset, out);
    return out.size();
  }

  Status write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
    Lock lock(files_.mutex_);
    KILN_TRY(may_change());
    const bool was_dead = files_.dead_;
    if (auto begun = files_.begin_change("write " + path_); !begun) {
      // The process may end in the middle of a write: some of it is done.
      if (files_.dead_ && !was_dead) {
        auto done = files_.random_() % (bytes.size() + 1);
        if (bytes.size() >= sector_bytes) done -= done % sector_bytes;
        if (done > 0) inode_->change(written(offset, bytes.first(done)));
      }
      return begun;
    }
    if (files_.capacity_ != 0) {
      std::uint64_t fresh = 0;
      for (auto page = offset / page_bytes; page * page_bytes < offset + bytes.size(); ++page) {
        fresh += inode_->now.pages.contains(page) ? 0 : page_bytes;
      }
      if (fresh > 0 && files_.used_locked() + fresh > files_.capacity_) {
        return Error::from_errno("write " + path_, ENOSPC);
      }
    }
    inode_->change(written(offset, bytes));
    return {};
  }

  Status sync_data() override {
    Lock lock(files_.mutex_);
    KILN_TRY(alive());
    KILN_TRY(files_.begin_change("fdatasync " + path_));
    files_.syncs_ += 1;
    if (!files_.failing_syncs_.empty() && path_.ends_with(files_.failing_syncs_)) {
      return Error::from_errno("fdatasync " + path_, EIO);
    }
    inode_->sync();
    return {};
  }

  Status truncate(std::uint64_t size_bytes) override {
    Lock lock(files_.mutex_);
    KILN_TRY(may_change());
    KILN_TRY(files_.begin_change("truncate " + path_));
    inode_->change({.kind = Change::Kind::truncate, .offset = size_bytes, .length = 0});
    return {};
  }

  Result<std::uint64_t> size() override {
    Lock lock(files_.mutex_);
    KILN_TRY(alive());
    return inode_->now.size;
  }

  Status punch_hole(Extent range) override {
    Lock lock(files_.mutex_);
    KILN_TRY(may_change());
    KILN_TRY(files_.begin_change("punch a hole in " + path_));
    inode_->change({.kind = Change::Kind::punch, .offset = range.offset, .length = range.length});
    return {};
  }

  Result<std::vector<Extent>> data_extents(Extent range) override {
    Lock lock(files_.mutex_);
    KILN_TRY(alive());
    std::vector<Extent> found;
    const auto end = std::min(range.offset + range.length, inode_->now.size);
    for (const auto& [index, page] : inode_->now.pages) {
      const auto from = std::max(index * page_bytes, range.offset);
      const auto to = std::min((index + 1) * page_bytes, end);
      if (from >= to) continue;
      if (!found.empty() && found.back().offset + found.back().length == from) {
        found.back().length += to - from;
      } else {
        found.push_back({from, to - from});
      }
    }
    return found;
  }

  Status lock() override {
    Lock guard(files_.mutex_);
    KILN_TRY(alive());
    if (inode_->locked_by != nullptr && inode_->locked_by != this) {
      return Error(Fault::busy, path_ + " is locked by another process");
    }
    inode_->locked_by = this;
    return {};
  }

  Result<std::uint64_t> allocated() override {
    Lock lock(files_.mutex_);
    KILN_TRY(alive());
    return inode_->now.pages.size() * page_bytes;
  }

 private:
  static Change written(std::uint64_t offset, std::span<const std::byte> bytes) {
    return {.kind = Change::Kind::write, .offset = offset, .length = 0, .bytes = Bytes(bytes.begin(), bytes.end())};
  }
  Status alive() const KILN_REQUIRES(files_.mutex_) {
    if (files_.life_ != life_) return Error(Fault::io, path_ + ": was open before a crash");
    return files_.begin_look(path_);
  }
  Status may_change() const KILN_REQUIRES(files_.mutex_) {
    if (files_.life_ != life_) return Error(Fault::io, path_ + ": was open before a crash");
    if (!writable_) return Error::from_errno("change " + path_, EBADF);
    return {};
  }

  FaultyFiles& files_;
  const std::shared_ptr<Inode> inode_;
  const std::string path_;
  const std::uint64_t life_;
  const bool writable_;
};

FaultyFiles::FaultyFiles(std::uint64_t seed) : random_(seed) {}
FaultyFiles::~FaultyFiles() = default;

void FaultyFiles::die_before(std::uint64_t nth) {
  Lock lock(mutex_);
  die_at_ = calls_ + nth;
}

bool FaultyFiles::died() {
  Lock lock(mutex_);
  return dead_;
}

void FaultyFiles::restart(Crash crash) {
  Lock lock(mutex_);
  life_ += 1;
  dead_ = false;
  die_at_ = fail_at_ = 0;
  failing_syncs_.clear();
  for (auto& [path, inode] : names_) inode->locked_by = nullptr;
  if (crash == Crash::power) cut_power();
}

void FaultyFiles::cut_power() {
  boot_ += 1;
  for (auto& [directory, changes] : unsynced_) {
    const auto kept = random_() % (changes.size() + 1);
    for (std::size_t i = 0; i < kept; ++i) {
      for (auto& [path, inode] : changes[i].names) {
        if (inode) {
          durable_[path] = inode;
        } else {
          durable_.erase(path);
        }
      }
    }
  }
  unsynced_.clear();
  // A file is gone with its directory. Paths are sorted, so a directory is looked at before what is in it.
  for (auto name = durable_.begin(); name != durable_.end();) {
    const auto parent = parent_of(name->first);
    const bool reachable = parent == "/" || parent.empty() || durable_.contains(parent);
    name = reachable ? std::next(name) : durable_.erase(name);
  }
  names_ = durable_;
  std::set<Inode*> done;
  for (auto& [path, inode] : names_) {
    if (done.insert(inode.get()).second) inode->cut_power(random_);
  }
}

void FaultyFiles::fail_call(std::uint64_t nth, int error_number) {
  Lock lock(mutex_);
  fail_at_ = calls_ + nth;
  fail_errno_ = error_number;
}

void FaultyFiles::fail_syncs(std::string suffix) {
  Lock lock(mutex_);
  failing_syncs_ = std::move(suffix);
}

void FaultyFiles::repair_syncs() { fail_syncs({}); }

void FaultyFiles::set_capacity(std::uint64_t capacity_bytes) {
  Lock lock(mutex_);
  capacity_ = capacity_bytes;
}

std::uint64_t FaultyFiles::used_locked() {
  std::uint64_t used = 0;
  for (const auto& [path, inode] : names_) used += inode->now.pages.size() * page_bytes;
  return used;
}

std::uint64_t FaultyFiles::used_bytes() {
  Lock lock(mutex_);
  return used_locked();
}

std::uint64_t FaultyFiles::changing_calls() {
  Lock lock(mutex_);
  return calls_;
}

std::uint64_t FaultyFiles::syncs() {
  Lock lock(mutex_);
  return syncs_;
}

Status FaultyFiles::begin_look(const std::string& what) {
  if (dead_) return Error(Fault::io, what + ": the process has ended");
  return {};
}

Status FaultyFiles::begin_change(const std::string& what) {
  KILN_TRY(begin_look(what));
  calls_ += 1;
  if (die_at_ != 0 && calls_ >= die_at_) {
    dead_ = true;
    return Error(Fault::io, what + ": the process ends here");
  }
  if (fail_at_ != 0 && calls_ == fail_at_) {
    fail_at_ = 0;
    return Error::from_errno(what, fail_errno_);
  }
  return {};
}

void FaultyFiles::change_name(const std::string& path, std::shared_ptr<Inode> inode) {
  if (inode) {
    names_[path] = inode;
  } else {
    names_.erase(path);
  }
  unsynced_[parent_of(path)].push_back({{{path, std::move(inode)}}});
}

Result<std::unique_ptr<File>> FaultyFiles::open(const Path& path, Open how) {
  Lock lock(mutex_);
  const auto name = normal(path);
  KILN_TRY(begin_look("open " + name));
  const auto parent = parent_of(name);
  auto found = names_.find(name);
  const bool creates = how == Open::create_new || how == Open::create_private || how == Open::create_or_open;
  if (found == names_.end()) {
    const bool has_parent = parent == "/" || parent.empty() || names_.contains(parent);
    if (!creates || !has_parent) return Error::from_errno("open " + name, ENOENT);
    KILN_TRY(begin_change("create " + name));
    change_name(name, std::make_shared<Inode>());
    found = names_.find(name);
  } else if (how == Open::create_new || how == Open::create_private) {
    return Error::from_errno("open " + name, EEXIST);
  }
  if (found->second->is_directory) return Error::from_errno("open " + name, EISDIR);
  return std::unique_ptr<File>(std::make_unique<Handle>(*this, found->second, name, life_, how != Open::read));
}

Status FaultyFiles::rename(const Path& from, const Path& to) {
  Lock lock(mutex_);
  KILN_TRY(begin_change("rename " + normal(from)));
  const auto found = names_.find(normal(from));
  if (found == names_.end()) return Error::from_errno("rename " + normal(from), ENOENT);
  const auto inode = found->second;
  names_.erase(found);
  names_[normal(to)] = inode;
  unsynced_[parent_of(normal(to))].push_back({{{normal(from), nullptr}, {normal(to), inode}}});
  return {};
}

Status FaultyFiles::remove(const Path& path) {
  Lock lock(mutex_);
  const auto name = normal(path);
  KILN_TRY(begin_change("remove " + name));
  if (!names_.contains(name)) return Error::from_errno("remove " + name, ENOENT);
  for (const auto& [other, inode] : names_) {
    if (parent_of(other) == name) return Error::from_errno("remove " + name, ENOTEMPTY);
  }
  change_name(name, nullptr);
  return {};
}

Status FaultyFiles::make_directories(const Path& path) {
  Lock lock(mutex_);
  KILN_TRY(begin_look("create directory " + normal(path)));
  std::vector<std::string> missing;
  for (auto name = normal(path); name != "/" && !name.empty() && !names_.contains(name); name = parent_of(name)) {
    missing.push_back(name);
  }
  for (auto name = missing.rbegin(); name != missing.rend(); ++name) {
    KILN_TRY(begin_change("create directory " + *name));
    auto inode = std::make_shared<Inode>();
    inode->is_directory = true;
    change_name(*name, std::move(inode));
  }
  return {};
}

Status FaultyFiles::sync_directory(const Path& path) {
  Lock lock(mutex_);
  const auto name = normal(path);
  KILN_TRY(begin_change("fsync " + name));
  if (name != "/" && !names_.contains(name)) return Error::from_errno("open " + name, ENOENT);
  for (auto& change : unsynced_[name]) {
    for (auto& [changed, inode] : change.names) {
      if (inode) {
        durable_[changed] = inode;
      } else {
        durable_.erase(changed);
      }
    }
  }
  unsynced_.erase(name);
  return {};
}

Result<std::vector<std::string>> FaultyFiles::list(const Path& directory) {
  Lock lock(mutex_);
  const auto name = normal(directory);
  KILN_TRY(begin_look("list " + name));
  if (name != "/" && !names_.contains(name)) return Error::from_errno("list " + name, ENOENT);
  std::vector<std::string> found;
  for (const auto& [path, inode] : names_) {
    if (parent_of(path) == name) found.push_back(path.substr(path.rfind('/') + 1));
  }
  return found;
}

Result<bool> FaultyFiles::exists(const Path& path) {
  Lock lock(mutex_);
  KILN_TRY(begin_look("stat " + normal(path)));
  return names_.contains(normal(path));
}

Result<std::string> FaultyFiles::boot_id() {
  Lock lock(mutex_);
  KILN_TRY(begin_look("boot id"));
  return "boot-" + std::to_string(boot_);
}

}  // namespace kiln::base
