#include "blocks/failure_mark.h"

#include "base/bytes.h"

namespace kiln::blocks {
namespace {

using base::Fault;
using base::Path;
using base::Result;
using base::Status;

constexpr std::string_view name = "FAILED";
constexpr std::size_t most_bytes = 64 << 10;

}  // namespace

Status write_failure_mark(base::Files& files, const Path& directory, const std::string& why) {
  const auto boot = files.boot_id();
  if (!boot) return boot.error();
  auto file = files.open(directory / name, base::Open::create_or_open);
  if (!file) return file.error();
  return (*file)->write_at(0, base::as_bytes(*boot + "\n" + why + "\n"));
}

Result<std::string> read_failure_mark(base::Files& files, const Path& directory) {
  const auto there = files.exists(directory / name);
  if (!there) return there.error();
  if (!*there) return std::string();
  const auto boot = files.boot_id();
  if (!boot) return boot.error();
  const auto content = files.read_all(directory / name, most_bytes);
  if (!content) return content.error();
  if (!content->starts_with(*boot + "\n")) return std::string();
  const auto why = content->substr(boot->size() + 1);
  return why.empty() ? std::string("a sync failed") : why.substr(0, why.find('\n'));
}

Status remove_failure_mark(base::Files& files, const Path& directory) {
  const auto removed = files.remove(directory / name);
  return !removed && removed.error().fault() != Fault::not_found ? removed : Status();
}

}  // namespace kiln::blocks
