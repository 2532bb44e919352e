#include "blocks/condemned_packs.h"

#include <string_view>

#include "base/log.h"

namespace kiln::blocks {
namespace {

using base::Fault;
using base::Open;
using base::Result;
using base::Status;

constexpr std::string_view read_suffix = ".read";

Status unless_missing(const Status& removed) {
  return removed || removed.error().fault() == Fault::not_found ? Status{} : removed;
}

}  // namespace

Result<std::vector<std::string>> CondemnedPacks::names() {
  auto found = files_.list(directory_);
  if (!found && found.error().fault() == Fault::not_found) return std::vector<std::string>{};
  return found;
}

Status CondemnedPacks::set(const std::set<PackId>& condemned) {
  const auto there = names();
  if (!there) return there.error();
  std::set<PackId> known;
  for (const auto& name : *there) {
    const auto id =
        PackId::from_text(name.ends_with(read_suffix) ? name.substr(0, name.size() - read_suffix.size()) : name);
    if (!id || !condemned.contains(*id)) {
      KILN_TRY(unless_missing(files_.remove(directory_ / name)));
    } else if (!name.ends_with(read_suffix)) {
      known.insert(*id);
    }
  }
  for (const auto& id : condemned) {
    if (!known.contains(id)) KILN_TRY(add(id));
  }
  return {};
}

Status CondemnedPacks::add(const PackId& pack) {
  KILN_TRY(files_.make_directories(directory_));
  const auto made = files_.open(path_of(pack), Open::create_or_open);
  return made ? Status{} : made.error();
}

Status CondemnedPacks::remove(const PackId& pack) {
  KILN_TRY(unless_missing(files_.remove(path_of(pack))));
  return unless_missing(files_.remove(directory_ / (pack.text() + std::string(read_suffix))));
}

Result<std::set<PackId>> CondemnedPacks::read_ones() {
  const auto there = names();
  if (!there) return there.error();
  std::set<PackId> found;
  for (const auto& name : *there) {
    if (!name.ends_with(read_suffix)) continue;
    if (const auto id = PackId::from_text(name.substr(0, name.size() - read_suffix.size()))) found.insert(*id);
  }
  return found;
}

bool CondemnedPacks::contains(const PackId& pack) {
  const auto there = files_.exists(path_of(pack));
  return there && *there;
}

void CondemnedPacks::report_read(const PackId& pack) {
  ++reads_;
  base::log_error("blocks", "pack {} was read although it is condemned", pack.text());
  const auto made = files_.open(directory_ / (pack.text() + std::string(read_suffix)), Open::create_or_open);
  if (!made) base::log_error("blocks", "which could not be noted: {}", made.error().message());
}

}  // namespace kiln::blocks
