#include "control/volume_access.h"

#include <algorithm>

#include "base/log.h"
#include "blocks/volume_file.h"
#include "catalog/instances.h"
#include "catalog/volumes.h"

namespace kiln::control {
namespace {

using base::Error;
using base::Fault;
using base::Status;

using Body = std::function<Status(blocks::VolumeService&, ServedBy)>;

bool has_all(blocks::VolumeService& service, const std::vector<std::string>& volume_ids) {
  const auto stats = service.stats();
  if (!stats) return false;
  return std::all_of(volume_ids.begin(), volume_ids.end(), [&](const std::string& id) {
    return std::any_of(stats->begin(), stats->end(), [&](const auto& open) { return open.volume == id; });
  });
}

// Volumes that this call opened, closed when it ends.
class Opened {
 public:
  Opened(Region& region, blocks::VolumeService& service) : region_(region), service_(service) {}
  ~Opened() {
    for (const auto& id : ids_) {
      if (auto closed = service_.close(id); !closed && closed.error().fault() != Fault::not_found) {
        base::log_warning("control", "closing {}: {}", id, closed.error().message());
      }
    }
  }
  Status open(const std::string& id, std::uint64_t epoch) {
    auto keys = volume_keys(region_, id);
    if (!keys) return keys.error();
    KILN_TRY(service_.open({.volume = id, .epoch = epoch, .keys = *std::move(keys)}));
    ids_.push_back(id);
    return {};
  }

 private:
  Region& region_;
  blocks::VolumeService& service_;
  std::vector<std::string> ids_;
};

struct Whose {
  std::string instance_id;  // attached to; empty
  std::string instance_state;
  std::vector<std::uint64_t> epochs;  // by volume; fewer when a row is missing
};

Whose whose(Region& region, const std::vector<std::string>& volume_ids) {
  return catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    Whose found;
    for (const auto& id : volume_ids) {
      const auto volume = catalog::find_volume(txn, region.name, id);
      if (volume) found.epochs.push_back(static_cast<std::uint64_t>(volume->epoch));
    }
    if (const auto attachment = catalog::attachment_of_volume(txn, region.name, volume_ids.front())) {
      found.instance_id = attachment->instance_id;
      const auto instance = catalog::find_instance(txn, region.name, attachment->instance_id);
      if (instance) found.instance_state = instance->state;
    }
    return found;
  });
}

Status here(Region& region, const std::vector<std::string>& volume_ids, const Whose& found, const Body& body) {
  // The epoch stays as it is: it tells servers of several hosts apart, and a disk server of this host that is being
  // started again must still be able to open with the epoch that it knows. The flock keeps the two apart.
  Opened opened(region, region.idle_volumes);
  for (std::size_t i = 0; i < volume_ids.size(); ++i) {
    if (auto done = opened.open(volume_ids[i], found.epochs[i]); !done) {
      if (done.error().fault() == Fault::fenced) return Error(Fault::busy, done.error().message());
      return done;
    }
  }
  auto done = body(region.idle_volumes, ServedBy::us);
  if (!done && !has_all(region.idle_volumes, volume_ids)) {
    return Error(Fault::busy, "closed by another user of it: " + done.error().message());
  }
  return done;
}

}  // namespace

base::Result<std::string> volume_keys(Region& region, const std::string& volume_id) {
  const auto file = blocks::read_volume_file(region.files, region.volume_directory(volume_id));
  if (!file) return file.error().fault() == Fault::not_found ? base::Result<std::string>("") : file.error();
  std::vector<blocks::DomainPtr> domains;
  for (const auto& id : {file->domain, file->base_domain}) {
    if (id.is_plain() || (!domains.empty() && domains.front()->id() == id)) continue;
    auto domain = region.store.keys()->find(id);
    if (!domain) return domain.error().in(volume_id);
    domains.push_back(*std::move(domain));
  }
  return blocks::domains_text(domains);
}

Status with_volumes(Region& region, const std::vector<std::string>& volume_ids, const Body& body) {
  const Whose found = whose(region, volume_ids);
  if (found.epochs.size() != volume_ids.size()) {
    return Error(Fault::not_found, "there is no row of volume " + volume_ids.front() + " or of one beside it");
  }
  if (!found.instance_id.empty() && region.disk_servers.runs(found.instance_id)) {
    const auto service = region.disk_servers.of(found.instance_id);
    if (has_all(*service, volume_ids)) return body(*service, ServedBy::instance);
    if (found.instance_state != "stopped") {
      return Error(Fault::busy, "the disk server of " + found.instance_id + " has not opened its volumes yet");
    }
  } else if (found.instance_state == "running" || found.instance_state == "pending") {
    // Whoever starts or recovers the instance is about to open them.
    return Error(Fault::busy, "the disk server of " + found.instance_id + " is not running");
  }
  return here(region, volume_ids, found, body);
}

}  // namespace kiln::control
