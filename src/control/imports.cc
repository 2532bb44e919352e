#include "control/imports.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <stdexcept>

#include "base/api_error.h"
#include "base/fd.h"
#include "base/ids.h"
#include "blocks/usage.h"
#include "catalog/blocks.h"
#include "catalog/snapshots.h"
#include "control/encryption.h"
#include "control/image_conversion.h"
#include "control/images.h"
#include "control/key_domains.h"
#include "control/partition_table.h"
#include "control/tags.h"
#include "control/upload_session.h"

namespace kiln::control {
namespace {

using base::ApiError;
using base::Bytes;

constexpr std::uint64_t gib = std::uint64_t{1} << 30;

[[noreturn]] void refuse(const std::string& why) { throw ApiError("InvalidParameterValue", why); }

std::uint64_t size_of(int fd) {
  struct stat about {};
  if (::fstat(fd, &about) != 0) refuse("The file cannot be read: " + base::Error::from_errno("fstat").message());
  if (S_ISREG(about.st_mode)) return static_cast<std::uint64_t>(about.st_size);
  if (S_ISBLK(about.st_mode)) {
    const auto end = ::lseek(fd, 0, SEEK_END);
    if (end >= 0) return static_cast<std::uint64_t>(end);
  }
  refuse("Only a regular file or a block device can be imported.");
}

// Fewer bytes than out holds only at the end of the file.
std::size_t read_at(int fd, std::uint64_t offset, std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const auto got = ::pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) refuse("The file cannot be read: " + base::Error::from_errno("pread").message());
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

// The next offset at or after the given one where there may be data; nothing when only a hole follows.
std::optional<std::uint64_t> next_data(int fd, std::uint64_t offset) {
  const auto found = ::lseek(fd, static_cast<off_t>(offset), SEEK_DATA);
  if (found >= 0) return static_cast<std::uint64_t>(found);
  if (errno == ENXIO) return {};
  return offset;  // a file system or device that does not know its holes
}

class Meter {
 public:
  Meter(Region& region, UploadSession& session, std::uint64_t total,
        const std::function<bool(const ImportProgress&)>& progress)
      : region_(region), session_(session), progress_(progress), start_(region.clock.monotonic()), last_(start_) {
    so_far_.total_bytes = total;
  }
  void at(std::uint64_t done) {
    const auto now = region_.clock.monotonic();
    if (done < so_far_.total_bytes && now - last_ < base::seconds(1) / 4) return;
    last_ = now;
    session_.heartbeat();
    if (progress_ && !progress_(count(done))) throw ApiError("OperationCanceled", "The import was given up.");
  }
  ImportProgress count(std::uint64_t done) {
    const auto ingested = session_.ingest().progress();
    const auto elapsed = region_.clock.monotonic() - start_;
    so_far_.done_bytes = done;
    so_far_.new_bytes = ingested.new_bytes;
    so_far_.known_bytes = done > ingested.new_bytes ? done - ingested.new_bytes : 0;
    so_far_.stored_bytes = ingested.stored_bytes;
    so_far_.bytes_per_second = elapsed > 0 ? static_cast<double>(done) * 1e6 / static_cast<double>(elapsed) : 0;
    return so_far_;
  }

 private:
  Region& region_;
  UploadSession& session_;
  const std::function<bool(const ImportProgress&)>& progress_;
  const base::Micros start_;
  base::Micros last_;
  ImportProgress so_far_;
};

struct RawDisk {
  int fd;
  std::uint64_t offset, size_bytes;  // of the disk in the file
};

void stream(const RawDisk& disk, UploadSession& session, Meter& meter) {
  Bytes buffer(blocks::chunk_bytes);
  std::uint64_t offset = 0;
  while (offset < disk.size_bytes) {
    const auto data = next_data(disk.fd, disk.offset + offset);
    if (!data || *data >= disk.offset + disk.size_bytes) break;
    offset = (*data - disk.offset) / blocks::chunk_bytes * blocks::chunk_bytes;
    const auto wanted = static_cast<std::size_t>(std::min(blocks::chunk_bytes, disk.size_bytes - offset));
    const auto chunk = std::span(buffer).first(wanted);
    if (read_at(disk.fd, disk.offset + offset, chunk) != wanted) refuse("The file became shorter while it was read.");
    if (auto put = session.ingest().put(offset / blocks::chunk_bytes, chunk); !put) {
      throw std::runtime_error("storing: " + put.error().message());
    }
    offset += wanted;
    meter.at(offset);
  }
  meter.at(disk.size_bytes);
}

// Looks at the file as what it was declared to be.
images::Disk inspect(int fd, std::uint64_t file_bytes, const ImportRequest& what) {
  if (file_bytes == 0) refuse("The file is empty.");
  if (what.expected_bytes != 0 && what.expected_bytes != file_bytes) {
    refuse("The file has " + std::to_string(file_bytes) + " bytes, " + std::to_string(what.expected_bytes) +
           " were announced: it is truncated, or still being written.");
  }
  const images::FileSource source(fd, file_bytes);
  const auto disk =
      images::inspect(images::Window(source), {.declared = what.format, .most_virtual_bytes = what.most_bytes});
  if (!disk) refuse("The file is refused: " + disk.error().message() + ".");
  if (disk->virtual_bytes % 512 != 0) {
    refuse("The disk has " + std::to_string(disk->virtual_bytes) +
           " bytes, which is no multiple of 512: is the file truncated?");
  }
  return *disk;
}

// A partition that ends after the disk does tells a download that broke off from a disk.
void check_complete(const RawDisk& disk) {
  Bytes head(std::min<std::uint64_t>(partition_head_bytes, disk.size_bytes));
  head.resize(read_at(disk.fd, disk.offset, head));
  const auto needed = partitioned_bytes(head);
  if (needed > disk.size_bytes) {
    refuse("The disk is truncated: it has " + std::to_string(disk.size_bytes) +
           " bytes, and its partition table needs " + std::to_string(needed) + ".");
  }
}

struct Rows {
  catalog::Image image;
  catalog::ImageDevice device;
  catalog::Snapshot snapshot;
};

Rows rows_for(Region& region, const Principal& caller, const ImportRequest& what, std::uint64_t disk_bytes,
              const std::string& key_arn) {
  const auto now = region.clock.now();
  const auto size_gib = static_cast<std::int64_t>((disk_bytes + gib - 1) / gib);
  Rows rows;
  rows.snapshot = {.region = region.name,
                   .id = base::new_id("snap"),
                   .account = caller.account,
                   .volume_id = "vol-ffffffff",
                   .state = "completed",
                   .description = "Imported as " + what.name,
                   .progress = "100%",
                   .size_gib = size_gib,
                   .size_bytes = static_cast<std::int64_t>(disk_bytes),
                   .encrypted = !key_arn.empty(),
                   .started = now,
                   .completed = now,
                   .kms_key_arn = key_arn};
  rows.image = {.region = region.name,
                .id = base::new_id("ami"),
                .account = caller.account,
                .name = what.name,
                .description = what.description,
                .architecture = what.architecture,
                .state = "available",
                .root_device_name = "/dev/sda1",
                .boot_mode = what.boot_mode,
                .location = caller.account + "/" + what.name,
                .created = now};
  rows.device = {.region = region.name,
                 .image_id = rows.image.id,
                 .position = 0,
                 .device_name = "/dev/sda1",
                 .snapshot_id = rows.snapshot.id,
                 .size_gib = size_gib,
                 .encrypted = rows.snapshot.encrypted};
  return rows;
}

void insert_rows(catalog::Txn& txn, Region& region, const Rows& rows, const ImportRequest& what,
                 const blocks::DiskId& disk) {
  check_image_name(txn, region, rows.image.account, what.name);
  catalog::insert(txn, catalog::Root{.region = region.name,
                                     .kind = "snapshot",
                                     .owner = rows.snapshot.id,
                                     .digest = disk.root.hex(),
                                     .size_bytes = static_cast<std::int64_t>(disk.size_bytes)});
  catalog::insert(txn, rows.snapshot);
  catalog::insert(txn, rows.image);
  catalog::insert(txn, rows.device);
  add_tags(txn, region, rows.image.account, rows.image.id, what.tags);
}

void check_request(Region& region, const Principal& caller, const ImportRequest& what) {
  if (what.architecture != "x86_64" && what.architecture != "arm64") {
    refuse("Value (" + what.architecture + ") for parameter architecture is invalid. Expected: 'x86_64' or 'arm64'.");
  }
  if (!what.boot_mode.empty() && what.boot_mode != "legacy-bios" && what.boot_mode != "uefi" &&
      what.boot_mode != "uefi-preferred") {
    refuse("Value (" + what.boot_mode +
           ") for parameter bootMode is invalid. Expected: 'legacy-bios', 'uefi' or 'uefi-preferred'.");
  }
  // Asked again in the commit; known now, it spares the reading of the whole file.
  catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    check_image_name(txn, region, caller.account, what.name);
    return true;
  });
}

// By the account's default key when it wants all new disks encrypted.
std::string key_for(Region& region, const Principal& caller) {
  return with_ebs_key(region, caller.account, [&] {
    return catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
      return choose_key(txn, region, {.account = caller.account, .wish = {}, .source_key = {}});
    });
  });
}

}  // namespace

Imported import_image(Region& region, const Principal& caller, int fd, const ImportRequest& what,
                      const std::function<bool(const ImportProgress&)>& progress) {
  check_request(region, caller, what);
  const auto found = inspect(fd, size_of(fd), what);
  const auto disk_bytes = found.virtual_bytes;
  std::optional<ConvertedImage> converted;
  RawDisk raw{.fd = fd, .offset = found.offset, .size_bytes = disk_bytes};
  if (found.format != images::Format::raw) {
    base::Micros last = 0;
    converted.emplace(region, fd, found, [&] {
      const auto now = region.clock.monotonic();
      if (!progress || now - last < base::seconds(1) / 4) return true;
      last = now;
      return progress({.total_bytes = disk_bytes});
    });
    raw = {.fd = converted->fd(), .offset = 0, .size_bytes = disk_bytes};
  }
  check_complete(raw);

  const auto key_arn = key_for(region, caller);
  const auto domain = keys_of_domain(region, domain_for_new(region, caller.account, key_arn));
  UploadSession session(region, {.domain = domain});
  Meter meter(region, session, disk_bytes, progress);
  stream(raw, session, meter);
  const auto disk = session.store(disk_bytes);
  auto rows = rows_for(region, caller, what, disk_bytes, key_arn);
  const auto bytes = blocks::data_bytes(region.store, disk);
  if (!bytes) throw std::runtime_error("counting: " + bytes.error().message());
  rows.snapshot.full_bytes = static_cast<std::int64_t>(*bytes);
  session.commit([&](const auto& body) { region.catalog.run_in_txn(body); },
                 [&](catalog::Txn& txn) { insert_rows(txn, region, rows, what, disk); });
  return {.image_id = rows.image.id, .snapshot_id = rows.snapshot.id, .total = meter.count(disk_bytes)};
}

}  // namespace kiln::control
