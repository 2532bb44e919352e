#include "images/vmdk_descriptor.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "images/window.h"

namespace kiln::images {
namespace {

using base::Result;
using base::Status;

constexpr std::array<std::string_view, 6> known_keys{"version",   "encoding",   "CID",
                                                     "parentCID", "createType", "isNativeSnapshot"};

constexpr std::size_t most_leftover_bytes = 8;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

std::string_view unquoted(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') return text.substr(1, text.size() - 2);
  return text;
}

std::size_t count_of(std::string_view text, std::string_view word) {
  std::size_t count = 0;
  for (auto at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) ++count;
  return count;
}

std::string shown(std::string_view line) {
  std::string out(line.substr(0, 80));
  std::ranges::replace_if(
      out, [](char c) { return c < ' ' || c > '~'; }, '?');
  return out;
}

bool is_extent(std::string_view line) {
  return line.starts_with("RW ") || line.starts_with("RDONLY ") || line.starts_with("NOACCESS ");
}

// RW 204800 SPARSE "disk.vmdk"
Status read_extent(std::string_view line, VmdkDescriptor& into) {
  if (into.sectors != 0) return refused("the VMDK has more than one extent");
  if (line.find('/') != std::string_view::npos || line.find('\\') != std::string_view::npos) {
    return refused("the VMDK names a path: " + shown(line));
  }
  auto rest = trimmed(line.substr(line.find(' ')));
  const auto [end, failure] = std::from_chars(rest.data(), rest.data() + rest.size(), into.sectors);
  rest = trimmed(rest.substr(static_cast<std::size_t>(end - rest.data())));
  if (failure != std::errc() || into.sectors == 0 || line.starts_with("NOACCESS ")) {
    return malformed("the VMDK has an extent that cannot be read: " + shown(line));
  }
  if (!rest.starts_with("SPARSE ")) return refused("the VMDK has an extent of another kind: " + shown(line));
  const auto name = trimmed(rest.substr(7));
  const auto inner = unquoted(name);
  if (inner.empty() || inner.size() + 2 != name.size() || inner.find('"') != std::string_view::npos) {
    return malformed("the VMDK has an extent that cannot be read: " + shown(line));
  }
  return {};
}

Status read_setting(std::string_view line, VmdkDescriptor& into) {
  const auto equals = line.find('=');
  if (equals == std::string_view::npos) return refused("the VMDK has a line that is not known: " + shown(line));
  const auto key = trimmed(line.substr(0, equals));
  const auto value = unquoted(trimmed(line.substr(equals + 1)));
  if (key.starts_with("ddb.")) return {};  // geometry, adapter, versions: nothing that is followed
  if (std::ranges::find(known_keys, key) == known_keys.end()) {
    return refused("the VMDK has a line that is not known: " + shown(line));
  }
  if (key == "parentCID" && value != "ffffffff") return refused("the VMDK has a parent, another file");
  if (key == "createType") {
    if (value != "monolithicSparse" && value != "streamOptimized") {
      return refused("the VMDK is of type " + shown(value) + "; monolithicSparse and streamOptimized are read");
    }
    into.create_type = value;
  }
  return {};
}

}  // namespace

Result<VmdkDescriptor> parse_vmdk_descriptor(std::string_view text) {
  const auto end = std::min(text.find('\0'), text.size());
  // QEMU writes a new CID, without leading zeros, over an old one, and leaves of a text that became shorter what was
  // its end: at most 7 bytes, in which nothing can be named.
  if (text.find_first_not_of('\0', std::min(end + most_leftover_bytes, text.size())) != std::string_view::npos) {
    return refused("the VMDK hides something behind its descriptor");
  }
  text = text.substr(0, end);
  if (!text.starts_with("# Disk DescriptorFile")) return malformed("the VMDK has no descriptor");
  // Found wherever they are, a comment included, by a reader that searches instead of parsing.
  if (text.find("parentFileNameHint") != std::string_view::npos)
    return refused("the VMDK names a parent, another file");
  for (const auto* const word : {"parentCID", "createType"}) {
    if (count_of(text, word) != 1) return malformed("the VMDK does not say " + std::string(word) + " exactly once");
  }
  VmdkDescriptor found;
  while (!text.empty()) {
    const auto line_end = std::min(text.find('\n'), text.size());
    const auto line = trimmed(text.substr(0, line_end));
    text.remove_prefix(std::min(line_end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    if (std::ranges::any_of(line, [](char c) { return c < ' ' && c != '\t'; })) {
      return refused("the VMDK has a line that is not text");
    }
    KILN_TRY(is_extent(line) ? read_extent(line, found) : read_setting(line, found));
  }
  if (found.sectors == 0 || found.create_type.empty()) return malformed("the VMDK's descriptor describes no disk");
  return found;
}

}  // namespace kiln::images
