#include "control/exports.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <stdexcept>

#include "base/api_error.h"
#include "base/fd.h"
#include "base/ids.h"
#include "blocks/restore.h"
#include "catalog/blocks.h"
#include "catalog/images.h"
#include "control/image_conversion.h"
#include "control/images.h"
#include "control/snapshots.h"
#include "control/unnamed_file.h"
#include "control/upload_session.h"

namespace kiln::control {
namespace {

using base::ApiError;

// The largest that VHD knows.
constexpr std::uint64_t most_vhd_bytes = std::uint64_t{2040} << 30;

[[noreturn]] void given_up() { throw ApiError("OperationCanceled", "The export was given up."); }

catalog::Snapshot find_source(catalog::Txn& txn, Region& region, const Principal& caller, const std::string& id) {
  if (!id.starts_with("ami-")) return snapshot_of(txn, region, caller.account, id);
  const auto image = own_image(txn, region, caller, id);
  if (image.state != "available" && image.state != "disabled") {
    throw ApiError("InvalidAMIID.Unavailable", "AMI '" + id + "' is " + image.state + ", and cannot be exported");
  }
  for (const auto& device : catalog::image_devices(txn, region.name, id)) {
    if (device.device_name == image.root_device_name && !device.snapshot_id.empty()) {
      return snapshot_of(txn, region, caller.account, device.snapshot_id);
    }
  }
  throw ApiError("InvalidAMIID.Unavailable", "AMI '" + id + "' has no root snapshot");
}

// The disk of a snapshot, kept from garbage collection by a session of its own for as long as this lives.
class KeptDisk {
 public:
  KeptDisk(Region& region, const Principal& caller, const std::string& id) : region_(region) {
    region.catalog.run_in_txn([&](catalog::Txn& txn) {
      const auto snapshot = find_source(txn, region, caller, id);
      snapshot_id_ = snapshot.id;
      disk_ = snapshot_disk(txn, region, snapshot);
      session_ = std::to_string(catalog::current_epoch(txn, region.name)) + "-" + base::new_uuid();
      catalog::insert(txn, catalog::Session{.region = region.name, .id = session_, .heartbeat = region.clock.now()});
      if (disk_.root.is_null()) return;
      catalog::insert(txn, catalog::Root{.region = region.name,
                                         .kind = "session",
                                         .owner = session_,
                                         .digest = disk_.root.hex(),
                                         .size_bytes = static_cast<std::int64_t>(disk_.size_bytes)});
    });
  }
  ~KeptDisk() {
    try {
      region_.catalog.run_in_txn([&](catalog::Txn& txn) { end_session(txn, region_, session_); });
    } catch (const std::exception&) {
      // The next start ends it.
    }
  }
  KeptDisk(const KeptDisk&) = delete;
  KeptDisk& operator=(const KeptDisk&) = delete;

  const blocks::DiskId& disk() const { return disk_; }
  const std::string& snapshot_id() const { return snapshot_id_; }

 private:
  Region& region_;
  std::string session_, snapshot_id_;
  blocks::DiskId disk_;
};

// Tells the caller how far it is, a few times a second, and remembers when it wants no more.
class Teller {
 public:
  Teller(Region& region, std::uint64_t total, const std::function<bool(const ExportProgress&)>& progress)
      : region_(region), total_(total), progress_(progress) {}
  bool tell(std::string_view step, std::uint64_t done) {
    const auto now = region_.clock.monotonic();
    if (!progress_ || stopped_ || (step == step_ && now - last_ < base::seconds(1) / 4)) return !stopped_;
    step_ = step;
    last_ = now;
    stopped_ = !progress_({.step = step, .done_bytes = done, .total_bytes = total_});
    return !stopped_;
  }

 private:
  Region& region_;
  const std::uint64_t total_;
  const std::function<bool(const ExportProgress&)>& progress_;
  std::string_view step_;
  base::Micros last_ = 0;
  bool stopped_ = false;
};

void read_into(Region& region, const blocks::DiskId& disk, int fd, Teller& teller) {
  const auto file = base::file_of(base::Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 3)), "the file");
  std::uint64_t done = 0;
  const auto restored = blocks::restore(
      region.store, disk, *file,
      {.progress = [&](std::uint64_t bytes) { done = bytes; }, .go_on = [&] { return teller.tell("reading", done); }});
  if (!teller.tell("reading", done)) given_up();
  if (!restored) throw std::runtime_error("reading the snapshot: " + restored.error().message());
}

}  // namespace

Exported export_disk(Region& region, const Principal& caller, int fd, const ExportRequest& what,
                     const std::function<bool(const ExportProgress&)>& progress) {
  struct stat about {};
  if (::fstat(fd, &about) != 0 || !S_ISREG(about.st_mode) || about.st_size != 0) {
    throw ApiError("InvalidParameterValue", "An export is written to a new, empty file.");
  }
  const KeptDisk kept(region, caller, what.id);
  const auto& disk = kept.disk();
  if (what.format == images::Format::vhd && disk.size_bytes > most_vhd_bytes) {
    throw ApiError("InvalidParameterValue", "A VHD holds at most 2040 GiB; this disk has more.");
  }
  Teller teller(region, disk.size_bytes, progress);
  if (what.format == images::Format::raw) {
    read_into(region, disk, fd, teller);
  } else {
    const auto raw = unnamed_file(region, OthersMay::read);
    read_into(region, disk, raw.get(), teller);
    const auto made = converted_disk(region, raw.get(), disk.size_bytes, what.format,
                                     [&] { return teller.tell("converting", disk.size_bytes); });
    if (::fstat(made.get(), &about) != 0) throw std::runtime_error("stat of the export failed");
    const auto length = static_cast<std::uint64_t>(about.st_size);
    if (!copy_sparse(made.get(), 0, length, fd, [&] { return teller.tell("writing", disk.size_bytes); })) given_up();
  }
  if (::fdatasync(fd) != 0) throw std::runtime_error(base::Error::from_errno("syncing the export").message());
  if (::fstat(fd, &about) != 0) throw std::runtime_error("stat of the export failed");
  return {.snapshot_id = kept.snapshot_id(),
          .disk_bytes = disk.size_bytes,
          .file_bytes = static_cast<std::uint64_t>(about.st_size),
          .allocated_bytes = static_cast<std::uint64_t>(about.st_blocks) * 512};
}

}  // namespace kiln::control
