// qcow2, versions 2 and 3, as QEMU's docs/interop/qcow2.txt describes it. Numbers are big-endian.

#include <algorithm>
#include <bit>

#include "images/inspect.h"
#include "images/places.h"

namespace kiln::images {
namespace {

using base::Bytes;
using base::Result;
using base::Status;

constexpr std::size_t v2_header_bytes = 72;
constexpr std::size_t v3_header_bytes = 104;
constexpr std::uint64_t corrupt = 1 << 1, external_data = 1 << 2, compression_type = 1 << 3, extended_l2 = 1 << 4;
constexpr std::uint64_t known_incompatible = 0b11111;  // the four above and dirty
constexpr std::uint32_t extension_end = 0;
constexpr std::uint32_t extension_backing_format = 0xe2792aca;
constexpr std::uint32_t extension_data_file = 0x44415441;
constexpr std::uint32_t extension_full_disk_encryption = 0x0537be77;
constexpr std::uint64_t most_table_bytes = 32 << 20;  // of the first table: QEMU's own limit
constexpr std::uint64_t most_refcount_table_bytes = 8 << 20;
constexpr std::uint64_t most_snapshots = 65536;
constexpr std::uint64_t offset_mask = 0x00fffffffffffe00;
constexpr std::uint64_t compressed_flag = std::uint64_t{1} << 62;

struct Header {
  std::uint64_t cluster_bytes = 0, virtual_bytes = 0;
  unsigned cluster_bits = 0;
  std::uint64_t tables = 0, tables_at = 0;
  std::uint64_t refcounts_at = 0, refcount_clusters = 0;
  bool wide = false;  // entries of 16 bytes, with a bit for each subcluster
};

Status check_features(std::uint64_t features) {
  if (features & external_data) return refused("the qcow2 file keeps its data in another file");
  if (features & corrupt) return refused("the qcow2 file is marked corrupt");
  const auto unknown = features & ~known_incompatible;
  for (unsigned bit = 0; bit < 64; ++bit) {
    if (unknown >> bit & 1) {
      return refused("the qcow2 file has the unknown incompatible feature " + std::to_string(bit));
    }
  }
  return {};
}

// Header extensions lie between the header and the end of the first cluster. Unknown ones may be ignored, by the
// format's own rule.
Status check_extensions(const Fields& head, std::size_t at) {
  const auto end = head.bytes().size();
  while (at + 8 <= end) {
    const auto type = head.big(at, 4), length = head.big(at + 4, 4);
    if (type == extension_end) return {};
    if (type == extension_data_file) return refused("the qcow2 file names a data file");
    if (type == extension_backing_format) return refused("the qcow2 file names the format of a backing file");
    if (type == extension_full_disk_encryption) return refused("the qcow2 file is encrypted");
    if (length > end - at - 8) return malformed("a qcow2 header extension is longer than its cluster");
    at += 8 + (length + 7) / 8 * 8;
  }
  return {};
}

// The version decides what the header has, and the features what its fields mean: both before anything else.
Result<std::size_t> check_kind(const Window& file) {
  auto read = file.read(0, v2_header_bytes, "its qcow2 header");
  if (!read) return read.error();
  const auto version = Fields(*read).big(4, 4);
  if (version != 2 && version != 3) {
    return refused("qcow2 version " + std::to_string(version) + "; versions 2 and 3 are read");
  }
  std::size_t header_bytes = v2_header_bytes;
  if (version == 3) {
    read = file.read(0, v3_header_bytes, "its qcow2 header");
    if (!read) return read.error();
    KILN_TRY(check_features(Fields(*read).big(72, 8)));
    header_bytes = Fields(*read).big(100, 4);
    if (header_bytes < v3_header_bytes) header_bytes = 0;
  }
  const Fields head(*read);
  if (head.big(8, 8) != 0 || head.big(16, 4) != 0) return refused("the qcow2 file has a backing file");
  if (head.big(32, 4) != 0) return refused("the qcow2 file is encrypted");
  const auto cluster_bits = head.big(20, 4);
  if (cluster_bits < 9 || cluster_bits > 21) {
    return malformed("the qcow2 file has clusters of 2^" + std::to_string(cluster_bits) + " bytes");
  }
  if (header_bytes == 0 || header_bytes > std::size_t{1} << cluster_bits || header_bytes % 8 != 0) {
    return malformed("the qcow2 file has a header of " + std::to_string(head.big(100, 4)) + " bytes");
  }
  return header_bytes;
}

Status check_version_3(const Fields& head, std::size_t header_bytes) {
  const bool has_type = header_bytes > v3_header_bytes;
  const auto type = has_type ? head.big(104, 1) : 0;
  if (type > 1) return refused("the qcow2 file is compressed in an unknown way");
  if ((type != 0) != ((head.big(72, 8) & compression_type) != 0)) {
    return malformed("the qcow2 file contradicts itself about its compression");
  }
  if (head.big(96, 4) > 6) return malformed("the qcow2 file has reference counts of an impossible width");
  return {};
}

Result<Header> read_header(const Window& file) {
  const auto header_bytes = check_kind(file);
  if (!header_bytes) return header_bytes.error();
  const auto start = file.read(0, v2_header_bytes, "its qcow2 header");
  if (!start) return start.error();
  Header header{.cluster_bits = static_cast<unsigned>(Fields(*start).big(20, 4))};
  header.cluster_bytes = std::uint64_t{1} << header.cluster_bits;
  const auto cluster = file.read(0, header.cluster_bytes, "its first cluster");
  if (!cluster) return cluster.error();
  const Fields head(*cluster);
  if (*header_bytes >= v3_header_bytes) {
    KILN_TRY(check_version_3(head, *header_bytes));
    header.wide = (head.big(72, 8) & extended_l2) != 0;
  }
  KILN_TRY(check_extensions(head, *header_bytes));
  header.virtual_bytes = head.big(24, 8);
  header.tables = head.big(36, 4);
  header.tables_at = head.big(40, 8);
  header.refcounts_at = head.big(48, 8);
  header.refcount_clusters = head.big(56, 4);
  if (head.big(60, 4) > most_snapshots || (head.big(60, 4) != 0 && !file.holds(head.big(64, 8), 40))) {
    return malformed("the qcow2 file has a table of snapshots that is not in it");
  }
  return header;
}

// The clusters that hold reference counts, none of which may be beyond the end.
Status check_refcounts(const Window& file, const Header& header) {
  if (header.refcount_clusters > most_refcount_table_bytes / header.cluster_bytes ||
      header.refcounts_at % header.cluster_bytes != 0) {
    return malformed("the qcow2 file has an impossible table of reference counts");
  }
  const auto table =
      file.read(header.refcounts_at, header.refcount_clusters * header.cluster_bytes, "its table of reference counts");
  if (!table) return table.error();
  Places places(file, "block of reference counts");
  for (std::size_t at = 0; at < table->size(); at += 8) {
    const auto entry = Fields(*table).big(at, 8);
    if (entry != 0) KILN_TRY(places.add(entry & ~std::uint64_t{511}, header.cluster_bytes));
  }
  return places.check_distinct();
}

// How many bytes of a cluster must be in the file. Whoever writes to a new cluster fills it; with subclusters, up to
// the last that was written to.
std::uint64_t filled_bytes(const Header& header, const Fields& entry) {
  if (!header.wide) return header.cluster_bytes;
  const auto written = static_cast<std::uint32_t>(entry.big(8, 8));
  return static_cast<std::uint64_t>(std::bit_width(written)) * (header.cluster_bytes / 32);
}

Status check_clusters(const Header& header, const Bytes& table, Places& places, std::uint64_t& compressed) {
  const std::size_t entry_bytes = header.wide ? 16 : 8;
  const unsigned size_bits = header.cluster_bits - 8;
  for (std::size_t at = 0; at < table.size(); at += entry_bytes) {
    const Fields fields{std::span(table).subspan(at, entry_bytes)};
    const auto entry = fields.big(0, 8);
    if (entry & compressed_flag) {
      ++compressed;
      const auto offset = entry & ((std::uint64_t{1} << (62 - size_bits)) - 1);
      const auto sectors = (entry >> (62 - size_bits) & ((std::uint64_t{1} << size_bits) - 1)) + 1;
      // Only the number of sectors that it touches is known, so one byte of the last.
      const auto end = offset / 512 * 512 + (sectors - 1) * 512 + 1;
      KILN_TRY(places.add(offset, std::max(end, offset + 1) - offset));
    } else if (const auto offset = entry & offset_mask; offset != 0) {
      if (offset % header.cluster_bytes != 0) return malformed("a cluster of the qcow2 file does not begin at one");
      KILN_TRY(places.add(offset, filled_bytes(header, fields)));
    }
  }
  return {};
}

// Walks the tables of the disk as it is, not those of its snapshots, which nobody reads. Beyond the window's budget
// the walk ends unfinished: the converter's limits are what is left for disks that large.
Result<bool> check_tables(const Window& file, const Header& header) {
  const auto per_table = header.cluster_bytes / (header.wide ? 16 : 8) * header.cluster_bytes;
  if (header.tables > most_table_bytes / 8 || header.tables < (header.virtual_bytes + per_table - 1) / per_table ||
      header.tables_at % header.cluster_bytes != 0) {
    return malformed("the qcow2 file has a first table of " + std::to_string(header.tables) +
                     " entries, which is not what its disk needs");
  }
  const auto first = file.read(header.tables_at, header.tables * 8, "its first table");
  if (!first) return first.error();
  Places tables(file, "second table"), clusters(file, "cluster");
  for (std::size_t at = 0; at < first->size(); at += 8) {
    const auto offset = Fields(*first).big(at, 8) & offset_mask;
    if (offset == 0) continue;
    if (offset % header.cluster_bytes != 0) return malformed("a table of the qcow2 file does not begin at a cluster");
    KILN_TRY(tables.add(offset, header.cluster_bytes));
  }
  KILN_TRY(tables.check_distinct());
  std::uint64_t compressed = 0;
  for (std::size_t at = 0; at < first->size(); at += 8) {
    const auto offset = Fields(*first).big(at, 8) & offset_mask;
    if (offset == 0) continue;
    if (file.budget() < header.cluster_bytes) return true;
    const auto second = file.read(offset, header.cluster_bytes, "a second table");
    if (!second) return second.error();
    KILN_TRY(check_clusters(header, *second, clusters, compressed));
  }
  KILN_TRY(clusters.check_distinct());
  KILN_TRY(check_growth(compressed * header.cluster_bytes, file.size()));
  return compressed != 0;
}

}  // namespace

Result<Disk> inspect_qcow2(const Window& file, const Inspect& what) {
  const auto header = read_header(file);
  if (!header) return header.error();
  KILN_TRY(check_virtual_bytes(header->virtual_bytes, what));
  KILN_TRY(check_refcounts(file, *header));
  const auto compressed = check_tables(file, *header);
  if (!compressed) return compressed.error();
  return Disk{.format = Format::qcow2,
              .offset = file.offset(),
              .length = file.size(),
              .virtual_bytes = header->virtual_bytes,
              .compressed = *compressed};
}

}  // namespace kiln::images
