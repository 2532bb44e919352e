#include "blocks/suspect_packs.h"

#include "base/log.h"

namespace kiln::blocks {

using base::Fault;
using base::Result;
using base::Status;

void SuspectPacks::report(const PackId& pack) {
  {
    base::Lock lock(mutex_);
    if (!reported_.insert(pack).second) return;
  }
  auto noted = files_.make_directories(directory_);
  if (noted) {
    const auto made = files_.open(directory_ / pack.text(), base::Open::create_or_open);
    if (!made) noted = made.error();
  }
  if (!noted) base::log_error("blocks", "pack {} could not be reported: {}", pack.text(), noted.error().message());
}

Result<std::vector<PackId>> SuspectPacks::list() {
  const auto names = files_.list(directory_);
  if (!names && names.error().fault() == Fault::not_found) return std::vector<PackId>{};
  if (!names) return names.error();
  std::vector<PackId> packs;
  for (const auto& name : *names) {
    if (const auto id = PackId::from_text(name)) packs.push_back(*id);
  }
  return packs;
}

Status SuspectPacks::remove(const PackId& pack) {
  const auto removed = files_.remove(directory_ / pack.text());
  return removed || removed.error().fault() == Fault::not_found ? Status{} : removed;
}

}  // namespace kiln::blocks
