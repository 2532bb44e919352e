#pragma once
// Volumes and their attachments. The bytes of a volume are its head on its host, over the disk in root (blocks.h).

#include "catalog/table.h"

namespace kiln::catalog {

struct Volume {
  std::string region, id;
  std::string account;
  std::string zone, host;
  std::string state;  // creating available in-use deleting error; recoverable in the recycle bin
  std::int64_t size_gib = 0;
  std::string volume_type = "gp3";
  std::string snapshot_id;  // that it was made from, or empty
  bool encrypted = false;
  std::optional<int> iops, throughput;
  std::int64_t epoch = 1;  // fence: raised each time another process is to serve the volume
  base::Micros created = 0;
  std::optional<int> initialization_rate;  // MiB/s at which all of its snapshot is brought near while it is served
  std::string kms_key_arn;                 // of an encrypted one
  std::string base_key_arn;                // of the snapshot that it was made from, when that is encrypted
  bool fast_restored = false;              // made from a snapshot whose chunks were held ready for it
};

struct Attachment {
  std::string region, volume_id;
  std::string instance_id;
  std::string device_name;  // /dev/sda1, as the caller named it
  int position = 0;         // 0: vda, 1: vdb, ...
  std::string state;        // attaching attached detaching
  bool delete_on_termination = false;
  base::Micros attached = 0;
};

std::optional<Volume> find_volume(Txn& txn, const std::string& region, const std::string& id);
// Oldest first.
std::vector<Volume> volumes_of(Txn& txn, const std::string& region, const std::string& account);
// By position of attachment.
std::vector<Volume> volumes_of_instance(Txn& txn, const std::string& region, const std::string& instance_id);
std::vector<Attachment> attachments_of_instance(Txn& txn, const std::string& region, const std::string& instance_id);
std::optional<Attachment> attachment_of_volume(Txn& txn, const std::string& region, const std::string& volume_id);
// Raises the fence before another process is to serve the volume and returns the raised one; 0 when there is no such
// volume.
std::int64_t raise_epoch(Txn& txn, const std::string& region, const std::string& volume_id);

}  // namespace kiln::catalog

KILN_ROW(kiln::catalog::Volume, "volume", 2, region, id, account, zone, host, state, size_gib, volume_type, snapshot_id,
         encrypted, iops, throughput, epoch, created, initialization_rate, kms_key_arn, base_key_arn, fast_restored)
KILN_ROW(kiln::catalog::Attachment, "attachment", 2, region, volume_id, instance_id, device_name, position, state,
         delete_on_termination, attached)
