#include "control/volumes.h"

#include <algorithm>
#include <array>
#include <stdexcept>

#include "base/api_error.h"
#include "base/ids.h"
#include "base/log.h"
#include "blocks/volume.h"
#include "catalog/blocks.h"
#include "control/fast_restores.h"
#include "control/key_domains.h"
#include "control/recycle_bin.h"
#include "control/snapshot_sharing.h"
#include "control/snapshots.h"
#include "control/tags.h"

namespace kiln::control {
namespace {

using base::ApiError;
using base::Fault;
using catalog::Volume;

constexpr std::int64_t gib = std::int64_t{1} << 30;

struct VolumeType {
  std::string_view name;
  std::int64_t least_gib, most_gib;
  int least_iops, most_iops;  // 0: the type takes no iops
};
// Bounds as CreateVolume in the EC2 API Reference states them.
constexpr std::array volume_types{
    VolumeType{"gp3", 1, 65'536, 3'000, 80'000}, VolumeType{"gp2", 1, 16'384, 0, 0},
    VolumeType{"io1", 4, 16'384, 100, 64'000},   VolumeType{"io2", 4, 65'536, 100, 256'000},
    VolumeType{"st1", 125, 16'384, 0, 0},        VolumeType{"sc1", 125, 16'384, 0, 0},
    VolumeType{"standard", 1, 1'024, 0, 0},
};

void check_type(const VolumeRequest& what, std::int64_t size_gib) {
  const auto type = std::find_if(volume_types.begin(), volume_types.end(),
                                 [&](const VolumeType& t) { return t.name == what.volume_type; });
  if (type == volume_types.end()) {
    throw ApiError("UnknownVolumeType", "Unsupported volume type '" + what.volume_type + "' for volume creation.");
  }
  if (size_gib < type->least_gib || size_gib > type->most_gib) {
    const bool small = size_gib < type->least_gib;
    throw ApiError("InvalidParameterValue", "Volume of " + std::to_string(size_gib) + "GiB is too " +
                                                (small ? "small" : "large") + " for volume type " + what.volume_type +
                                                "; " + (small ? "minimum" : "maximum") + " is " +
                                                std::to_string(small ? type->least_gib : type->most_gib) + "GiB.");
  }
  if (what.iops && type->most_iops == 0) {
    throw ApiError("InvalidParameterCombination",
                   "The parameter iops is not supported for " + what.volume_type + " volumes.");
  }
  if (!what.iops && (what.volume_type == "io1" || what.volume_type == "io2")) {
    throw ApiError("MissingParameter", "The request must contain the parameter iops");
  }
  if (what.iops && (*what.iops < type->least_iops || *what.iops > type->most_iops)) {
    throw ApiError("InvalidParameterValue", "Volume iops of " + std::to_string(*what.iops) + " is out of range for " +
                                                what.volume_type + " volumes: " + std::to_string(type->least_iops) +
                                                " to " + std::to_string(type->most_iops));
  }
  if (what.throughput && what.volume_type != "gp3") {
    throw ApiError("InvalidParameterCombination",
                   "The parameter throughput is not supported for " + what.volume_type + " volumes.");
  }
  if (what.throughput && (*what.throughput < 125 || *what.throughput > 2'000)) {
    throw ApiError("InvalidParameterValue", "Throughput of " + std::to_string(*what.throughput) +
                                                " MiB/s is out of range for gp3 volumes: 125 to 2000");
  }
  if (what.initialization_rate && what.snapshot_id.empty()) {
    throw ApiError("InvalidParameterCombination",
                   "The parameter volumeInitializationRate is supported only for volumes created from snapshots.");
  }
  if (what.initialization_rate && (*what.initialization_rate < 100 || *what.initialization_rate > 300)) {
    throw ApiError("InvalidParameterValue", "Volume initialization rate of " +
                                                std::to_string(*what.initialization_rate) +
                                                " MiB/s is out of range: 100 to 300");
  }
}

catalog::Snapshot granted_snapshot(catalog::Txn& txn, Region& region, const VolumeRequest& what) {
  if (what.grant == SnapshotGrant::own) return readable_snapshot(txn, region, what.account, what.snapshot_id);
  const auto snapshot = catalog::find_snapshot(txn, region.name, what.snapshot_id);
  if (!snapshot) {
    throw ApiError("InvalidSnapshot.NotFound", "The snapshot '" + what.snapshot_id + "' does not exist.");
  }
  return *snapshot;
}

blocks::DiskId disk_below(Region& region, const std::string& volume_id) {
  const auto roots = catalog::in_read(
      region.catalog, [&](catalog::Txn& txn) { return catalog::roots_of(txn, region.name, volume_id); });
  if (roots.empty()) throw std::runtime_error("volume " + volume_id + " has no root row");
  const auto digest = base::Digest::from_hex(roots.front().digest);
  if (!digest) throw std::runtime_error("root of " + volume_id + ": '" + roots.front().digest + "' is no digest");
  return {.root = *digest, .size_bytes = static_cast<std::uint64_t>(roots.front().size_bytes)};
}

void set_state(catalog::Txn& txn, const Region& region, const std::string& id, const std::string& from,
               const std::string& to) {
  txn.execute("UPDATE volume SET state = $4 WHERE region = $1 AND id = $2 AND state = $3", {region.name, id, from, to});
}

void remove_rows(catalog::Txn& txn, const Region& region, const std::string& volume_id) {
  catalog::drop_roots(txn, region.name, "volume", volume_id);
  txn.execute("DELETE FROM attachment WHERE region = $1 AND volume_id = $2", {region.name, volume_id});
  txn.execute("DELETE FROM volume WHERE region = $1 AND id = $2", {region.name, volume_id});
  remove_all_tags(txn, region, volume_id);
}

void remove_files(Region& region, const std::string& volume_id) {
  // A snapshot's cut may still be open here for a moment.
  auto removed = blocks::Volume::remove(region.files, region.volume_directory(volume_id));
  if (removed) return;
  if (removed.error().fault() == Fault::busy) throw jobs::Retry(removed.error().message(), base::seconds(1) / 5);
  throw jobs::Retry("removing " + volume_id + ": " + removed.error().message(), base::seconds(5));
}

}  // namespace

Volume volume_of(catalog::Txn& txn, const Region& region, const std::string& account, const std::string& id) {
  if (!base::is_id("vol", id)) {
    throw ApiError("InvalidParameterValue",
                   "Value (" + id + ") for parameter volumeId is invalid. Expected: 'vol-...'.");
  }
  const auto volume = catalog::find_volume(txn, region.name, id);
  if (!volume || volume->account != account || volume->state == "recoverable") {
    throw ApiError("InvalidVolume.NotFound", "The volume '" + id + "' does not exist.");
  }
  return *volume;
}

Volume add_volume(catalog::Txn& txn, Region& region, const VolumeRequest& what) {
  Volume volume{.region = region.name,
                .id = what.id.empty() ? base::new_id("vol") : what.id,
                .account = what.account,
                .zone = what.zone,
                .host = region.host.name(),
                .state = "creating",
                .size_gib = what.size_gib,
                .volume_type = what.volume_type,
                .snapshot_id = what.snapshot_id,
                .iops = what.iops,
                .throughput = what.throughput,
                .epoch = 1,
                .created = region.clock.now(),
                .initialization_rate = what.initialization_rate};
  catalog::Root root{.region = region.name, .kind = "volume", .owner = volume.id, .digest = base::Digest{}.hex()};
  EncryptionChoice encryption{.account = what.account, .wish = what.encryption};
  if (what.snapshot_id.empty()) {
    if (volume.size_gib == 0) {
      throw ApiError("MissingParameter", "The request must contain the parameter size or snapshotId");
    }
  } else {
    const auto snapshot = granted_snapshot(txn, region, what);
    const auto disk = snapshot_disk(txn, region, snapshot);
    if (volume.size_gib == 0) volume.size_gib = snapshot.size_gib;
    if (volume.size_gib < snapshot.size_gib) {
      throw ApiError(what.grant == SnapshotGrant::image ? "InvalidBlockDeviceMapping" : "InvalidParameterValue",
                     "Volume of size " + std::to_string(volume.size_gib) + "GB is smaller than snapshot '" +
                         snapshot.id + "', expect size >= " + std::to_string(snapshot.size_gib) + "GB");
    }
    root.digest = disk.root.hex();
    root.size_bytes = static_cast<std::int64_t>(disk.size_bytes);
    if (takes_encryption_away(what.encryption, snapshot.encrypted)) {
      throw ApiError(what.grant == SnapshotGrant::image ? "InvalidBlockDeviceMapping" : "InvalidRequest",
                     "Snapshot " + snapshot.id +
                         " is encrypted. Creating an unencrypted volume from an encrypted snapshot is not supported.");
    }
    encryption = choice_from(snapshot, what.account, what.encryption);
    volume.base_key_arn = snapshot.kms_key_arn;
    volume.fast_restored = is_fast_restored(txn, region, snapshot.id, what.zone, what.account);
  }
  volume.kms_key_arn = choose_key(txn, region, encryption);
  volume.encrypted = !volume.kms_key_arn.empty();
  check_type(what, volume.size_gib);
  // A disk of zeros is as long as whoever stands on it.
  if (what.snapshot_id.empty()) root.size_bytes = volume.size_gib * gib;
  if (volume.volume_type == "gp3") {
    if (!volume.iops) volume.iops = 3'000;
    if (!volume.throughput) volume.throughput = 125;
  }
  catalog::insert(txn, volume);
  catalog::insert(txn, root);
  return volume;
}

void make_volume_files(Region& region, const Volume& volume) {
  const auto domain = domain_for_new(region, volume.account, volume.kms_key_arn);
  const auto base_domain =
      volume.base_key_arn == volume.kms_key_arn ? domain : domain_to_read(region, volume.account, volume.base_key_arn);
  auto made = region.files.make_directories(region.volumes_directory());
  if (made) {
    made = blocks::Volume::create(region.files, region.volume_directory(volume.id),
                                  {.volume = volume.id,
                                   .size_bytes = static_cast<std::uint64_t>(volume.size_gib * gib),
                                   .base = disk_below(region, volume.id),
                                   .epoch = static_cast<std::uint64_t>(volume.epoch),
                                   .domain = domain,
                                   .base_domain = base_domain});
  }
  if (!made) throw std::runtime_error("volume " + volume.id + ": " + made.error().message());
}

void remove_volume(Region& region, jobs::Context& job, const std::string& volume_id) {
  const auto waiting = catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    const auto snapshots = catalog::snapshots_of_volume(txn, region.name, volume_id);
    return std::any_of(snapshots.begin(), snapshots.end(), [](const auto& s) { return s.state == "pending"; });
  });
  if (waiting) throw jobs::Retry("a snapshot of " + volume_id + " waits for its upload", base::seconds(1));
  remove_files(region, volume_id);
  job.in_txn([&](catalog::Txn& txn) { remove_rows(txn, region, volume_id); });
}

std::string start_delete_volume(catalog::Txn& txn, Region& region, const Volume& volume) {
  Volume deleting = volume;
  deleting.state = "deleting";
  catalog::update(txn, deleting);
  txn.execute("DELETE FROM attachment WHERE region = $1 AND volume_id = $2", {region.name, volume.id});
  return region.jobs.start(txn,
                           {.region = region.name, .kind = "delete-volume", .subject = volume.id, .arguments = {}});
}

Volume create_volume(Region& region, const Principal& caller, NewVolumeRequest what) {
  what.volume.account = caller.account;
  what.volume.id = base::new_id("vol");
  if (what.volume.volume_type.empty()) what.volume.volume_type = "gp2";
  if (what.volume.zone.empty()) {
    throw ApiError("MissingParameter", "The request must contain the parameter AvailabilityZone");
  }
  if (std::find(region.zones.begin(), region.zones.end(), what.volume.zone) == region.zones.end()) {
    throw ApiError("InvalidZone.NotFound", "The zone '" + what.volume.zone + "' does not exist.");
  }
  const auto in_txn = [&](catalog::Txn& txn) {
    auto row = add_volume(txn, region, what.volume);
    add_tags(txn, region, caller.account, row.id, what.tags);
    if (what.client_token) {
      auto token = *what.client_token;
      token.result = row.id;
      catalog::remember_client_token(txn, token);
    }
    region.jobs.start(txn, {.region = region.name, .kind = "create-volume", .subject = row.id, .arguments = {}});
    return row;
  };
  auto volume = with_ebs_key(region, caller.account, [&] { return catalog::in_txn(region.catalog, in_txn); });
  region.jobs.wake();
  return volume;
}

void delete_volume(Region& region, const Principal& caller, const std::string& volume_id) {
  const auto job = catalog::in_txn(region.catalog, [&](catalog::Txn& txn) {
    const auto volume = volume_of(txn, region, caller.account, volume_id);
    if (const auto attachment = catalog::attachment_of_volume(txn, region.name, volume_id)) {
      throw ApiError("VolumeInUse", "Volume " + volume_id + " is currently attached to " + attachment->instance_id);
    }
    if (volume.state == "deleting") return std::string();
    if (volume.state != "available" && volume.state != "error") {
      throw ApiError("IncorrectState", "The volume '" + volume_id + "' is '" + volume.state + "'");
    }
    return recycle_volume(txn, region, volume) ? std::string() : start_delete_volume(txn, region, volume);
  });
  region.jobs.wake();
  if (!job.empty()) region.jobs.finished(region.name, job, base::seconds(2));
}

std::vector<VolumeDetails> describe_volumes(Region& region, const Principal& caller,
                                            const std::vector<std::string>& ids) {
  return catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    std::vector<Volume> volumes;
    if (ids.empty()) {
      volumes = catalog::volumes_of(txn, region.name, caller.account);
      std::erase_if(volumes, [](const Volume& volume) { return volume.state == "recoverable"; });
    } else {
      for (const auto& id : ids) {
        if (std::any_of(volumes.begin(), volumes.end(), [&](const Volume& v) { return v.id == id; })) continue;
        volumes.push_back(volume_of(txn, region, caller.account, id));
      }
    }
    std::map<std::string, catalog::Attachment> attachments;
    for (auto& attachment : catalog::select<catalog::Attachment>(txn, "WHERE region = $1", {region.name})) {
      attachments.emplace(attachment.volume_id, std::move(attachment));
    }
    std::map<std::string, std::vector<catalog::Tag>> tags;
    for (auto& tag : all_tags(txn, region, caller.account)) tags[tag.resource_id].push_back(std::move(tag));
    std::vector<VolumeDetails> details;
    for (auto& volume : volumes) {
      auto& entry = details.emplace_back();
      entry.tags = tags[volume.id];
      if (const auto found = attachments.find(volume.id); found != attachments.end()) entry.attachment = found->second;
      entry.volume = std::move(volume);
    }
    return details;
  });
}

void add_volume_jobs(jobs::Runner& runner, Regions& regions) {
  const auto make = [&regions](jobs::Context& job) {
    auto& region = regions.at(job.job().region);
    const auto volume = catalog::in_read(
        region.catalog, [&](catalog::Txn& txn) { return catalog::find_volume(txn, region.name, job.job().subject); });
    if (volume) make_volume_files(region, *volume);
  };
  const auto unmake = [&regions](jobs::Context& job) {
    auto& region = regions.at(job.job().region);
    remove_files(region, job.job().subject);
  };
  const auto show = [&regions](jobs::Context& job) {
    auto& region = regions.at(job.job().region);
    job.in_txn([&](catalog::Txn& txn) { set_state(txn, region, job.job().subject, "creating", "available"); });
  };
  // On AWS a volume that cannot be made shows `error` for a while and goes.
  const auto failed = [](catalog::Txn& txn, const catalog::Job& job) {
    catalog::drop_roots(txn, job.region, "volume", job.subject);
    txn.execute("UPDATE volume SET state = 'error' WHERE region = $1 AND id = $2", {job.region, job.subject});
  };
  runner.add({.name = "create-volume", .steps = {{"files", make, unmake}, {"show", show}}, .on_failed = failed});

  const auto remove = [&regions](jobs::Context& job) {
    auto& region = regions.at(job.job().region);
    remove_volume(region, job, job.job().subject);
  };
  runner.add({.name = "delete-volume", .steps = {{"remove", remove}}});
}

}  // namespace kiln::control
