#include "images/tar.h"

#include <algorithm>
#include <optional>

namespace kiln::images {
namespace {

using base::Result;
using base::Status;

constexpr std::uint64_t most_extended_bytes = 64 << 10;

// Octal digits between spaces and NULs, or, with the top bit of the first byte set, a big-endian number.
std::optional<std::uint64_t> number(const Fields& block, std::size_t offset, std::size_t length) {
  const auto first = block.big(offset, 1);
  if (first & 0x80) {
    if (first != 0x80 || !block.zero(offset + 1, length - 9)) return {};
    return block.big(offset + length - 8, 8);
  }
  std::uint64_t value = 0;
  auto text = block.text(offset, length);
  text = text.substr(0, text.find('\0'));
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  for (const char c : text) {
    if (c < '0' || c > '7') return {};
    value = value << 3 | static_cast<std::uint64_t>(c - '0');
  }
  return value;
}

std::string text(const Fields& block, std::size_t offset, std::size_t length) {
  const auto field = block.text(offset, length);
  return std::string(field.substr(0, field.find('\0')));
}

// "<length> <key>=<value>\n", again and again.
Status check_extended(std::string_view records) {
  while (!records.empty()) {
    std::size_t length = 0, at = 0;
    while (at < records.size() && at < 6 && records[at] >= '0' && records[at] <= '9') {
      length = length * 10 + static_cast<std::size_t>(records[at++] - '0');
    }
    if (at == 0 || at >= records.size() || records[at] != ' ' || length > records.size() || length < at + 3) {
      return malformed("the archive has an extended header that cannot be read");
    }
    const auto record = records.substr(at + 1, length - at - 1);
    const auto key = record.substr(0, record.find('='));
    if (key == "path" || key == "size" || key == "linkpath" || key.starts_with("GNU.sparse")) {
      return refused("the archive has an extended header that changes the " + std::string(key) + " of a member");
    }
    records.remove_prefix(length);
  }
  return {};
}

Status check_name(const std::string& name, const std::vector<TarMember>& before) {
  const bool plain = !name.empty() && name != "." && name != ".." &&
                     std::ranges::all_of(name, [](char c) { return c >= ' ' && c != '/' && c != '\\' && c != 0x7f; });
  if (!plain) return refused("the archive has a member whose name is no plain file name");
  if (std::ranges::find(before, name, &TarMember::name) != before.end()) {
    return refused("the archive has two members named " + name);
  }
  return {};
}

}  // namespace

Result<TarMember> parse_tar_header(std::span<const std::byte> block) {
  const Fields fields(block);
  const auto magic = fields.text(257, 5);
  if (magic != "ustar") return malformed("the archive has a header that is no ustar header");
  std::uint64_t sum = 8 * ' ';  // the checksum counts as spaces in itself
  for (std::size_t i = 0; i < tar_block_bytes; ++i) {
    if (i < 148 || i >= 156) sum += std::to_integer<std::uint64_t>(block[i]);
  }
  if (number(fields, 148, 8) != sum) return malformed("the archive has a header whose checksum is wrong");
  const auto length = number(fields, 124, 12);
  if (!length) return malformed("the archive has a member of no length");
  TarMember member{.name = text(fields, 0, 100), .type = fields.text(156, 1)[0], .length = *length};
  // GNU archives keep times where ustar has a prefix.
  const auto prefix = fields.text(262, 1)[0] == '\0' ? text(fields, 345, 155) : std::string();
  if (!prefix.empty()) member.name = prefix + "/" + member.name;
  return member;
}

Result<std::vector<TarMember>> tar_members(const Window& archive) {
  std::vector<TarMember> members;
  std::uint64_t at = 0;
  for (std::size_t headers = 0; at < archive.size(); ++headers) {
    const auto block = archive.read(at, tar_block_bytes, "a header of the archive");
    if (!block) return block.error();
    if (Fields(*block).zero(0, tar_block_bytes)) return members;
    if (headers == 2 * most_tar_members) return refused("the archive has too many members");
    auto member = parse_tar_header(*block);
    if (!member) return member.error();
    at += tar_block_bytes;
    if (!archive.holds(at, member->length)) return cut_short("the member " + member->name + " of the archive");
    member->offset = at;
    at += (member->length + tar_block_bytes - 1) / tar_block_bytes * tar_block_bytes;
    if (member->type == 'x' || member->type == 'g') {
      if (member->length > most_extended_bytes) return refused("the archive has a huge extended header");
      const auto records = archive.read(member->offset, member->length, "an extended header of the archive");
      if (!records) return records.error();
      KILN_TRY(check_extended(base::as_text(*records)));
      continue;
    }
    if (member->type != '0' && member->type != '\0') {
      return refused("the archive has a member that is no regular file: " + member->name);
    }
    KILN_TRY(check_name(member->name, members));
    if (members.size() == most_tar_members) return refused("the archive has too many members");
    members.push_back(*std::move(member));
  }
  return cut_short("the archive's end mark");
}

}  // namespace kiln::images
