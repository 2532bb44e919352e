#include "blocks/volume_file.h"

#include <algorithm>
#include <cassert>
#include <cctype>
#include <optional>

#include "base/digest.h"

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Error;
using base::Fault;
using base::Reader;
using base::Result;
using base::Status;

constexpr std::string_view magic = "KILNVOL\n";
constexpr std::size_t header_bytes = 24;
constexpr std::size_t max_generations = 64;
constexpr std::size_t max_text_bytes = 4096;
constexpr std::uint32_t cipher_none = 0, cipher_xts = 1;

void append_text(Bytes& out, std::string_view text) {
  base::append_int(out, static_cast<std::uint16_t>(text.size()));
  base::append(out, base::as_bytes(text));
}

std::string read_text(Reader& reader) {
  const auto size = reader.read_int<std::uint16_t>();
  return std::string(base::as_text(reader.read(size)));
}

// A plain one is an empty text.
void append_domain(Bytes& out, const DomainId& domain) {
  append_text(out, domain.is_plain() ? std::string() : domain.hex());
}

std::optional<DomainId> read_domain(Reader& reader) {
  const auto text = read_text(reader);
  return text.empty() ? DomainId{} : DomainId::from_hex(text);
}

base::Digest read_digest(Reader& reader) {
  base::Digest digest;
  const auto bytes = reader.read(digest.bytes.size());
  std::copy(bytes.begin(), bytes.end(), digest.bytes.begin());
  return digest;
}

bool plain_name(std::string_view name) {
  const auto plain = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_'; };
  return !name.empty() && name.size() <= 64 && name.front() != '.' && std::all_of(name.begin(), name.end(), plain);
}

bool disk_size(std::uint64_t size_bytes) {
  return size_bytes > 0 && size_bytes <= max_disk_bytes && size_bytes % 512 == 0;
}

Status valid_generation(const GenerationEntry& entry, const VolumeFile& volume) {
  const auto wrong = [&](std::string_view what) {
    return Error(Fault::corrupt,
                 "generation " + std::to_string(entry.number) + " of " + volume.volume + ": " + std::string(what));
  };
  if (entry.state < GenerationState::sealed || entry.state > GenerationState::next)
    return wrong("its state is unknown");
  const bool sealed = entry.state == GenerationState::sealed;
  if (sealed != !entry.snapshot.empty()) return wrong("only a sealed one has a snapshot, and each of them");
  if (entry.snapshot.size() > max_text_bytes) return wrong("the name of its snapshot is too long");
  if (sealed ? !disk_size(entry.size_bytes) || entry.size_bytes > volume.size_bytes : entry.size_bytes != 0) {
    return wrong("it has an impossible size");
  }
  if (!plain_name(entry.data_file) || !plain_name(entry.map_file) || entry.data_file == entry.map_file) {
    return wrong("its file names are not names");
  }
  return {};
}

}  // namespace

const GenerationEntry& VolumeFile::current() const {
  const auto found = std::find_if(generations.begin(), generations.end(),
                                  [](const auto& entry) { return entry.state == GenerationState::current; });
  assert(found != generations.end());
  return *found;
}

const GenerationEntry* VolumeFile::next() const {
  const bool there = !generations.empty() && generations.back().state == GenerationState::next;
  return there ? &generations.back() : nullptr;
}

const GenerationEntry* VolumeFile::sealed_as(const std::string& snapshot) const {
  const auto found = std::find_if(generations.begin(), generations.end(), [&](const auto& entry) {
    return entry.state == GenerationState::sealed && entry.snapshot == snapshot;
  });
  return found == generations.end() ? nullptr : &*found;
}

Status VolumeFile::valid() const {
  if (!plain_name(volume)) return Error(Fault::corrupt, "VOLUME has no proper volume id");
  if (!disk_size(size_bytes)) return Error(Fault::corrupt, volume + ": impossible size " + std::to_string(size_bytes));
  if (base.size_bytes > size_bytes) return Error(Fault::corrupt, volume + ": its base is larger than it is");
  if (domain.is_plain() && !base_domain.is_plain()) {
    return Error(Fault::corrupt, volume + ": its base is encrypted and it is not");
  }
  if (generations.empty() || generations.size() > max_generations) {
    return Error(Fault::corrupt, volume + ": " + std::to_string(generations.size()) + " generations");
  }
  const auto with_next = next() != nullptr ? 1U : 0U;
  for (std::size_t i = 0; i < generations.size(); ++i) {
    KILN_TRY(valid_generation(generations[i], *this));
    if (i > 0 && generations[i].number <= generations[i - 1].number) {
      return Error(Fault::corrupt, volume + ": generations are not in order");
    }
    const auto state = generations[i].state;
    const auto above = generations.size() - 1 - i;
    if ((state == GenerationState::next) != (with_next == 1 && above == 0) ||
        (state == GenerationState::current) != (above == with_next)) {
      return Error(Fault::corrupt, volume + ": not exactly one generation takes the writes");
    }
  }
  return {};
}

Bytes encode(const VolumeFile& volume) {
  assert(volume.valid().ok());
  Bytes body;
  append_text(body, volume.volume);
  base::append_int(body, volume.size_bytes);
  base::append(body, volume.base.root.bytes);
  base::append_int(body, volume.base.size_bytes);
  base::append_int(body, volume.epoch);
  base::append_int(body, volume.domain.is_plain() ? cipher_none : cipher_xts);
  append_domain(body, volume.domain);
  append_domain(body, volume.base_domain);
  base::append_int(body, static_cast<std::uint32_t>(volume.generations.size()));
  for (const auto& entry : volume.generations) {
    base::append_int(body, entry.number);
    base::append_int(body, static_cast<std::uint8_t>(entry.state));
    base::append_int(body, entry.size_bytes);
    append_text(body, entry.snapshot);
    append_text(body, entry.data_file);
    append_text(body, entry.map_file);
  }
  Bytes out;
  base::append(out, base::as_bytes(magic));
  base::append_int(out, volume_format);
  base::append_int(out, std::uint32_t{0});
  base::append_int(out, static_cast<std::uint64_t>(body.size()));
  base::append(out, body);
  base::append(out, base::sha256(out).bytes);
  return out;
}

Result<VolumeFile> decode_volume_file(std::span<const std::byte> bytes) {
  Reader header(bytes);
  if (base::as_text(header.read(magic.size())) != magic) return Error(Fault::corrupt, "not a VOLUME file");
  const auto version = header.read_int<std::uint32_t>();
  const auto incompatible = header.read_int<std::uint32_t>();
  const auto body_size = header.read_int<std::uint64_t>();
  if (!header.ok()) return Error(Fault::corrupt, "VOLUME is cut short");
  if (version > volume_format || incompatible != 0) {
    return Error(Fault::unsupported,
                 "VOLUME of version " + std::to_string(version) + ", features " + std::to_string(incompatible));
  }
  const auto body = header.read(std::min<std::uint64_t>(body_size, bytes.size()));
  const auto check = read_digest(header);
  if (!header.ok() || header.remaining() != 0) return Error(Fault::corrupt, "VOLUME has not the size that it says");
  if (check != base::sha256(bytes.first(header_bytes + body.size()))) {
    return Error(Fault::corrupt, "VOLUME fails its checksum");
  }
  Reader reader(body);
  VolumeFile volume;
  volume.volume = read_text(reader);
  volume.size_bytes = reader.read_int<std::uint64_t>();
  volume.base.root = read_digest(reader);
  volume.base.size_bytes = reader.read_int<std::uint64_t>();
  volume.epoch = reader.read_int<std::uint64_t>();
  const auto cipher = reader.read_int<std::uint32_t>();
  const auto domain = read_domain(reader);
  const auto base_domain = read_domain(reader);
  if (reader.ok() && cipher > cipher_xts) {
    return Error(Fault::unsupported, volume.volume + " is encrypted with cipher " + std::to_string(cipher));
  }
  if (!domain || !base_domain || domain->is_plain() != (cipher == cipher_none)) {
    return Error(Fault::corrupt, "VOLUME does not say clearly whose keys it is encrypted with");
  }
  volume.domain = *domain;
  volume.base_domain = *base_domain;
  const auto count = reader.read_int<std::uint32_t>();
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    GenerationEntry entry;
    entry.number = reader.read_int<std::uint64_t>();
    entry.state = static_cast<GenerationState>(reader.read_int<std::uint8_t>());
    entry.size_bytes = reader.read_int<std::uint64_t>();
    entry.snapshot = read_text(reader);
    entry.data_file = read_text(reader);
    entry.map_file = read_text(reader);
    volume.generations.push_back(std::move(entry));
  }
  if (!reader.ok() || reader.remaining() != 0) return Error(Fault::corrupt, "the fields of VOLUME do not fill it");
  KILN_TRY(volume.valid());
  return volume;
}

base::Path volume_file_path(const base::Path& directory) { return directory / "VOLUME"; }

Result<VolumeFile> read_volume_file(base::Files& files, const base::Path& directory) {
  const auto path = volume_file_path(directory);
  const auto content = files.read_all(path, 1 << 20);
  if (!content) return content.error();
  auto volume = decode_volume_file(base::as_bytes(*content));
  if (!volume) return volume.error().in(path.string());
  return volume;
}

Status write_volume_file(base::Files& files, const base::Path& directory, const VolumeFile& volume) {
  return files.replace(volume_file_path(directory), encode(volume));
}

}  // namespace kiln::blocks
