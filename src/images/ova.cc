// OVA: a tar archive of a descriptor (.ovf), perhaps a manifest (.mf) with digests and a certificate, and disks.
// Nothing is unpacked: the disk is inspected, and read later, as the part of the archive that it is.

#include <openssl/evp.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "images/inspect.h"
#include "images/ovf.h"
#include "images/tar.h"

namespace kiln::images {
namespace {

using base::Bytes;
using base::Result;
using base::Status;

constexpr std::uint64_t most_manifest_bytes = 64 << 10;

struct Line {
  std::string_view algorithm, name, digest;
};

// SHA256(disk1.vmdk)= 0f3e...
std::optional<Line> parse_line(std::string_view line) {
  const auto open = line.find('('), close = line.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return {};
  auto digest = line.substr(close + 1);
  const auto skip = [&](char c) {
    if (digest.starts_with(c)) digest.remove_prefix(1);
  };
  skip(' ');
  if (!digest.starts_with('=')) return {};
  skip('=');
  skip(' ');
  while (digest.ends_with('\r') || digest.ends_with(' ')) digest.remove_suffix(1);
  return Line{line.substr(0, open), line.substr(open + 1, close - open - 1), digest};
}

const EVP_MD* algorithm_of(std::string_view name) {
  if (name == "SHA1") return EVP_sha1();
  if (name == "SHA256") return EVP_sha256();
  if (name == "SHA384") return EVP_sha384();
  if (name == "SHA512") return EVP_sha512();
  return nullptr;
}

// Read past the budget of the window, which is for tables.
Result<std::string> digest_of(const Window& file, const TarMember& member, const EVP_MD* algorithm) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_DigestInit_ex(context.get(), algorithm, nullptr);
  Bytes buffer(1 << 20);
  for (std::uint64_t done = 0; done < member.length;) {
    const auto piece = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), member.length - done));
    KILN_TRY(file.read_data(member.offset + done, piece));
    EVP_DigestUpdate(context.get(), piece.data(), piece.size());
    done += piece.size();
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  EVP_DigestFinal_ex(context.get(), digest, &length);
  std::string hex;
  for (unsigned i = 0; i < length; ++i) {
    hex += "0123456789abcdef"[digest[i] >> 4];
    hex += "0123456789abcdef"[digest[i] & 15];
  }
  return hex;
}

bool same_hex(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return (x | 0x20) == (y | 0x20); });
}

Result<Bytes> content(const Window& file, const TarMember& member, std::uint64_t at_most) {
  if (member.length > at_most) return refused("the member " + member.name + " of the OVA is too long");
  return file.read(member.offset, member.length, "the member " + member.name);
}

// Of the members that matter here; a manifest must name both when there is one.
Status check_manifest(const Window& file, const TarMember& manifest, std::vector<const TarMember*> members) {
  const auto read = content(file, manifest, most_manifest_bytes);
  if (!read) return read.error();
  for (auto text = base::as_text(*read); !text.empty();) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto written = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (written.find_first_not_of(" \r") == std::string_view::npos) continue;
    const auto line = parse_line(written);
    if (!line) return malformed("the OVA has a manifest that cannot be read");
    const auto member = std::ranges::find(members, line->name, [](const TarMember* each) { return each->name; });
    if (member == members.end()) continue;
    const auto* const algorithm = algorithm_of(line->algorithm);
    if (algorithm == nullptr) return refused("the OVA's manifest uses a digest that is not known");
    const auto digest = digest_of(file, **member, algorithm);
    if (!digest) return digest.error();
    if (!same_hex(*digest, line->digest)) {
      return malformed("the member " + (*member)->name + " of the OVA has another digest than its manifest says");
    }
    members.erase(member);
  }
  if (!members.empty()) return malformed("the OVA's manifest does not name its descriptor and its disk");
  return {};
}

const TarMember* only_with_ending(const std::vector<TarMember>& members, std::string_view ending, bool& several) {
  const TarMember* found = nullptr;
  for (const auto& member : members) {
    if (!member.name.ends_with(ending)) continue;
    several = several || found != nullptr;
    found = &member;
  }
  return found;
}

}  // namespace

Result<Disk> inspect_ova(const Window& file, const Inspect& what) {
  const auto members = tar_members(file);
  if (!members) return members.error();
  bool several = false;
  const auto* const descriptor = only_with_ending(*members, ".ovf", several);
  const auto* const manifest = only_with_ending(*members, ".mf", several);
  if (several) return refused("the OVA has more than one descriptor or manifest");
  if (descriptor == nullptr) return malformed("the OVA has no descriptor");
  const auto xml = content(file, *descriptor, most_ovf_bytes);
  if (!xml) return xml.error();
  const auto named = disk_of_ovf(base::as_text(*xml));
  if (!named) return named.error();
  const auto member = std::ranges::find(*members, named->file, &TarMember::name);
  if (member == members->end()) return malformed("the OVA does not hold the disk that its descriptor names");
  auto disk = inspect(file.part(member->offset, member->length),
                      {.declared = named->format, .most_virtual_bytes = what.most_virtual_bytes});
  if (!disk) return disk.error().in("the disk in the OVA");
  // Last, as it reads the whole disk.
  if (manifest != nullptr) KILN_TRY(check_manifest(file, *manifest, {descriptor, &*member}));
  return disk;
}

}  // namespace kiln::images
