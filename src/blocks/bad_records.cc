#include "blocks/bad_records.h"

#include <algorithm>
#include <sstream>

#include "base/log.h"

namespace kiln::blocks {
namespace {

using base::Status;

constexpr std::string_view first_line = "kiln-bad 1";
constexpr std::uint64_t most_bytes = 64 << 20;

// One line; a sentence with a line break in it would end the entry early.
std::string line_of(const BadPlace& bad) {
  std::string why = bad.why;
  std::ranges::replace(why, '\n', ' ');
  return bad.location.pack.text() + " " + std::to_string(bad.location.offset) + " " +
         std::to_string(bad.location.length) + " " + (bad.location.kind == RecordKind::node ? "node " : "chunk ") +
         bad.id.hex() + " " + why + "\n";
}

bool parse(const std::string& line, BadPlace& bad) {
  std::istringstream words(line);
  std::string pack, kind, id;
  words >> pack >> bad.location.offset >> bad.location.length >> kind >> id;
  std::getline(words >> std::ws, bad.why);
  const auto pack_id = PackId::from_text(pack);
  const auto digest = base::Digest::from_hex(id);
  if (!pack_id || !digest || (kind != "node" && kind != "chunk")) return false;
  bad.location.pack = *pack_id;
  bad.location.kind = kind == "node" ? RecordKind::node : RecordKind::chunk;
  bad.id = *digest;
  return true;
}

}  // namespace

BadRecords::BadRecords(base::Files& files, base::Path file) : files_(files), file_(std::move(file)) { read(); }

void BadRecords::read() {
  const auto text = files_.read_all(file_, most_bytes);
  if (!text) {
    if (text.error().fault() != base::Fault::not_found) {
      base::log_warning("blocks", "the list of bad records is begun anew: {}", text.error().message());
    }
    return;
  }
  std::istringstream lines(*text);
  std::string line;
  std::getline(lines, line);
  bool good = line == first_line;
  base::Lock lock(mutex_);
  while (good && std::getline(lines, line)) {
    BadPlace bad;
    good = parse(line, bad);
    if (good) places_[{bad.location.pack, bad.location.offset}] = bad;
  }
  if (!good) base::log_warning("blocks", "{} is damaged; the next scrub makes it anew", file_.string());
}

Status BadRecords::write() {
  std::string text = std::string(first_line) + "\n";
  {
    base::Lock lock(mutex_);
    for (const auto& [key, bad] : places_) text += line_of(bad);
  }
  return files_.replace(file_, base::as_bytes(text));
}

Status BadRecords::add(std::span<const BadPlace> found) {
  base::Lock writing(writer_);
  bool changed = false;
  {
    base::Lock lock(mutex_);
    for (const auto& bad : found) {
      changed = places_.try_emplace({bad.location.pack, bad.location.offset}, bad).second || changed;
    }
  }
  return changed ? write() : Status{};
}

Status BadRecords::remove(std::span<const Location> good) {
  base::Lock writing(writer_);
  bool changed = false;
  {
    base::Lock lock(mutex_);
    for (const auto& place : good) changed = places_.erase({place.pack, place.offset}) > 0 || changed;
  }
  return changed ? write() : Status{};
}

Status BadRecords::forget_pack(const PackId& pack) {
  base::Lock writing(writer_);
  bool changed = false;
  {
    base::Lock lock(mutex_);
    changed = std::erase_if(places_, [&](const auto& entry) { return entry.first.first == pack; }) > 0;
  }
  return changed ? write() : Status{};
}

bool BadRecords::contains(const Location& location) {
  base::Lock lock(mutex_);
  return !places_.empty() && places_.contains({location.pack, location.offset});
}

std::vector<BadPlace> BadRecords::list() {
  std::vector<BadPlace> found;
  base::Lock lock(mutex_);
  for (const auto& [key, bad] : places_) found.push_back(bad);
  return found;
}

}  // namespace kiln::blocks
