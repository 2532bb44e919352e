// kiln-bench-store: the block engine as a backup tool, for ./dev bench store.
//
//   put STORE FILE               stores a raw disk
//   get STORE ROOT SIZE FILE     writes it out again
//   put-encrypted STORE FILE     stores it with the keys of a domain, which all commands have
//   reads STORE ROOT SIZE        decodes every chunk ROUNDS times; times those with bases and those without apart
//
// Every answer is one JSON object on a line. Exit status 1 with a sentence on standard error when something fails.

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/files.h"
#include "blocks/ingest.h"
#include "blocks/restore.h"
#include "blocks/store.h"

namespace kiln::bench {
namespace {

using blocks::chunk_bytes;
using blocks::DiskId;
using Clock = std::chrono::steady_clock;

constexpr int rounds = 3;

template <class T>
T value_of(base::Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  return *std::move(result);
}

void succeed(const base::Status& status) {
  if (!status) throw std::runtime_error(status.error().message());
}

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double cpu_seconds() {
  struct rusage used {};
  ::getrusage(RUSAGE_SELF, &used);
  const auto of = [](const timeval& time) { return static_cast<double>(time.tv_sec) + time.tv_usec / 1e6; };
  return of(used.ru_utime) + of(used.ru_stime);
}

// Always the same, so that what one call stored another one reads.
blocks::DomainPtr bench_domain() {
  blocks::DomainId id;
  id.bytes.fill(std::byte{1});
  return std::make_shared<const blocks::KeyDomain>(id, blocks::DomainSecret{});
}

std::unique_ptr<blocks::Store> open_store(const std::string& directory, blocks::Access access) {
  auto store = value_of(blocks::Store::open(
      {.files = base::posix_files(), .directory = directory, .access = access, .chunk_cache_bytes = 0}));
  store->keys()->add(bench_domain());
  return store;
}

DiskId disk_of(const std::string& root, const std::string& size) {
  return {.root = base::Digest::from_hex(root).value(), .size_bytes = std::stoull(size)};
}

void put(const std::string& directory, const std::string& path, blocks::DomainPtr domain) {
  const auto start = Clock::now();
  const auto store = open_store(directory, blocks::Access::write);
  const base::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw std::runtime_error("cannot open " + path);
  const auto size = static_cast<std::uint64_t>(::lseek(file.get(), 0, SEEK_END));
  blocks::Ingest ingest(*store, {.session = "bench", .domain = std::move(domain)});
  base::Bytes buffer(chunk_bytes);
  for (off_t at = 0; (at = ::lseek(file.get(), at, SEEK_DATA)) >= 0;) {
    const auto index = static_cast<std::uint64_t>(at) / chunk_bytes;
    at = static_cast<off_t>(index * chunk_bytes);
    const auto got = ::pread(file.get(), buffer.data(), buffer.size(), at);
    if (got < 0) throw std::runtime_error("cannot read " + path);
    succeed(ingest.put(index, std::span(buffer).first(static_cast<std::size_t>(got))));
    at += got;
  }
  const auto made = value_of(ingest.finish(size));
  std::printf(
      "{\"root\": \"%s\", \"size\": %llu, \"seconds\": %.4f, \"cpu\": %.4f, \"new\": %llu, \"referenced\": %llu}\n",
      made.disk.root.hex().c_str(), static_cast<unsigned long long>(size), seconds_since(start), cpu_seconds(),
      static_cast<unsigned long long>(made.stats.new_bytes),
      static_cast<unsigned long long>(made.stats.referenced_bytes));
}

void get(const std::string& directory, const DiskId& disk, const std::string& path) {
  const auto start = Clock::now();
  const auto store = open_store(directory, blocks::Access::read);
  const auto file = value_of(base::posix_files().open(path, base::Open::create_or_open));
  succeed(blocks::restore(*store, disk, *file));
  std::printf("{\"seconds\": %.4f, \"cpu\": %.4f}\n", seconds_since(start), cpu_seconds());
}

void reads(const std::string& directory, const DiskId& disk) {
  const auto store = open_store(directory, blocks::Access::read);
  std::vector<std::pair<blocks::Location, blocks::ChunkId>> chunks;
  succeed(blocks::walk_tree(*store, disk.root,
                            {.node = [](const auto&, unsigned, std::uint64_t) -> base::Result<bool> { return true; },
                             .chunk = [&](const blocks::ChunkId& id, std::uint64_t) -> base::Status {
                               chunks.emplace_back(value_of(store->locations(id)).at(0), id);
                               return {};
                             }}));
  struct Class {
    double seconds = 0;
    std::uint64_t chunks = 0;
  } plain, referring;
  for (int round = 0; round < rounds; ++round) {
    for (const auto& [location, id] : chunks) {
      const auto start = Clock::now();
      value_of(store->read_at(location, id));
      auto& counted = location.bases == 0 ? plain : referring;
      counted.seconds += seconds_since(start);
      ++counted.chunks;
    }
  }
  const auto rate = [](const Class& counted) {
    return counted.chunks == 0 ? 0 : static_cast<double>(counted.chunks * chunk_bytes) / 1e6 / counted.seconds;
  };
  std::printf("{\"plain\": %.1f, \"referring\": %.1f, \"plain_chunks\": %llu, \"referring_chunks\": %llu}\n",
              rate(plain), rate(referring), static_cast<unsigned long long>(plain.chunks / rounds),
              static_cast<unsigned long long>(referring.chunks / rounds));
}

int run(const std::vector<std::string>& words) {
  const auto is = [&](const char* command, std::size_t arguments) {
    return words.size() == arguments + 1 && words[0] == command;
  };
  try {
    if (is("put", 2)) return put(words[1], words[2], nullptr), 0;
    if (is("put-encrypted", 2)) return put(words[1], words[2], bench_domain()), 0;
    if (is("get", 4)) return get(words[1], disk_of(words[2], words[3]), words[4]), 0;
    if (is("reads", 3)) return reads(words[1], disk_of(words[2], words[3])), 0;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "kiln-bench-store: %s\n", failure.what());
    return 1;
  }
  std::fprintf(stderr, "usage: kiln-bench-store put|get|reads STORE ...; see bench/store.cc\n");
  return 2;
}

}  // namespace
}  // namespace kiln::bench

int main(int argc, char** argv) { return kiln::bench::run({argv + 1, argv + argc}); }
