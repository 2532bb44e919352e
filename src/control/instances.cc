#include "control/instances.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/api_error.h"
#include "base/ids.h"
#include "base/text.h"
#include "control/groups.h"
#include "control/instance_jobs.h"
#include "control/instance_state.h"
#include "control/instance_types.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::Instance;
using catalog::Txn;

void check_id(const std::string& id) {
  if (base::is_id("i", id)) return;
  throw ApiError("InvalidInstanceID.Malformed",
                 "Invalid id: \"" + id + "\"" + (id.starts_with("i-") ? "" : " (expecting \"i-...\")"));
}

[[noreturn]] void refuse_unknown(const std::vector<std::string>& ids) {
  std::string list;
  for (const auto& id : ids) list += (list.empty() ? "" : ", ") + id;
  throw ApiError("InvalidInstanceID.NotFound", ids.size() == 1 ? "The instance ID '" + list + "' does not exist"
                                                               : "The instance IDs '" + list + "' do not exist");
}

// The caller's rows of these ids, in their order and without repetitions; all unknown ones are named at once.
std::vector<Instance> rows_of(Txn& txn, const Region& region, const Principal& caller,
                              const std::vector<std::string>& ids) {
  for (const auto& id : ids) check_id(id);
  std::vector<Instance> rows;
  std::vector<std::string> unknown;
  std::set<std::string> seen;
  for (const auto& id : ids) {
    if (!seen.insert(id).second) continue;
    auto row = catalog::find_instance(txn, region.name, id);
    if (row && row->account == caller.account) {
      rows.push_back(std::move(*row));
    } else {
      unknown.push_back(id);
    }
  }
  if (!unknown.empty()) refuse_unknown(unknown);
  return rows;
}

[[noreturn]] void refuse_state(const Instance& instance, std::string_view participle) {
  throw ApiError(
      "IncorrectInstanceState",
      "The instance '" + instance.id + "' is not in a state from which it can be " + std::string(participle) + ".");
}

void need_ids(const std::vector<std::string>& ids) {
  if (ids.empty()) throw ApiError("MissingParameter", "The request must contain the parameter InstanceId");
}

// One transaction over all the instances: change decides about one and returns the kind of job that it needs, or null.
struct Change {
  const char* job = nullptr;
  std::map<std::string, std::string> arguments = {};
};
std::vector<InstanceStateChange> change_states(Region& region, const Principal& caller,
                                               const std::vector<std::string>& ids,
                                               const std::function<Change(Instance&)>& change) {
  need_ids(ids);
  auto changes = catalog::in_txn(region.catalog, [&](Txn& txn) {
    std::vector<InstanceStateChange> made;
    for (auto& instance : rows_of(txn, region, caller, ids)) {
      const std::string previous = instance.state;
      const Change wanted = change(instance);
      if (instance.state != previous) catalog::update(txn, instance);
      if (wanted.job != nullptr) {
        region.jobs.start(
            txn, {.region = region.name, .kind = wanted.job, .subject = instance.id, .arguments = wanted.arguments});
      }
      made.push_back({instance.id, previous, instance.state});
    }
    return made;
  });
  region.jobs.wake();
  return changes;
}

template <class Row, class Key>
std::map<std::string, std::vector<Row>> group_by(std::vector<Row> rows, Key key) {
  std::map<std::string, std::vector<Row>> groups;
  for (auto& row : rows) groups[key(row)].push_back(std::move(row));
  return groups;
}

// Everything of the account in a few queries, because a query per instance does not scale to a thousand of them.
std::vector<InstanceDetails> with_details(Txn& txn, const Region& region, const Principal& caller,
                                          std::vector<Instance> rows) {
  std::map<std::string, catalog::Volume> volumes;
  for (auto& volume : catalog::volumes_of(txn, region.name, caller.account))
    volumes.emplace(volume.id, std::move(volume));
  auto attachments = group_by(
      catalog::select<catalog::Attachment>(txn, "WHERE region = $1 ORDER BY instance_id, position", {region.name}),
      [](const auto& row) { return row.instance_id; });
  std::map<std::string, catalog::SecurityGroup> groups;
  for (auto& group : catalog::security_groups_of(txn, region.name, caller.account)) groups.emplace(group.id, group);
  auto memberships = group_by(catalog::select<catalog::InstanceGroup>(txn, "WHERE region = $1", {region.name}),
                              [](const auto& row) { return row.instance_id; });
  auto tags =
      group_by(catalog::tags_of(txn, region.name, caller.account), [](const auto& row) { return row.resource_id; });
  std::map<std::string, catalog::Image> images;
  std::map<std::string, catalog::ProfileAssociation> profiles;
  for (auto& row : catalog::profile_associations(txn, region.name, caller.account)) {
    const auto instance_id = row.instance_id;
    profiles.emplace(instance_id, std::move(row));
  }

  std::vector<InstanceDetails> all;
  for (auto& row : rows) {
    InstanceDetails& details = all.emplace_back();
    for (auto& attachment : attachments[row.id]) {
      details.disks.push_back({attachment, volumes[attachment.volume_id]});
    }
    for (const auto& membership : memberships[row.id]) details.groups.push_back(groups[membership.group_id]);
    std::ranges::sort(details.groups, {}, &catalog::SecurityGroup::name);
    details.tags = std::move(tags[row.id]);
    if (const auto found = profiles.find(row.id); found != profiles.end()) details.profile = found->second;
    auto image = images.find(row.image_id);
    if (image == images.end()) {
      image =
          images.emplace(row.image_id, catalog::find_image(txn, region.name, row.image_id).value_or(catalog::Image{}))
              .first;
    }
    details.image = image->second;
    details.instance = std::move(row);
  }
  return all;
}

void replace_groups(Txn& txn, const Region& region, const Instance& instance, const std::vector<std::string>& ids) {
  if (ids.empty()) throw ApiError("InvalidParameterValue", "An instance needs at least one security group");
  const auto groups = groups_for_launch(txn, region, instance.account, instance.vpc_id, ids, {});
  catalog::leave_groups(txn, region.name, instance.id);
  for (const auto& group : groups) {
    catalog::upsert(txn,
                    catalog::InstanceGroup{.region = region.name, .instance_id = instance.id, .group_id = group.id});
  }
}

}  // namespace

Instance instance_of(Txn& txn, const Region& region, const Principal& caller, const std::string& id) {
  return rows_of(txn, region, caller, {id}).front();
}

std::vector<InstanceDetails> describe_instances(Region& region, const Principal& caller,
                                                const std::vector<std::string>& ids) {
  return catalog::in_read(region.catalog, [&](Txn& txn) {
    auto rows =
        ids.empty() ? catalog::instances_of(txn, region.name, caller.account) : rows_of(txn, region, caller, ids);
    return with_details(txn, region, caller, std::move(rows));
  });
}

std::vector<InstanceStateChange> start_instances(Region& region, const Principal& caller,
                                                 const std::vector<std::string>& ids) {
  return change_states(region, caller, ids, [&](Instance& instance) -> Change {
    if (instance.state == instance_state::running || instance.state == instance_state::pending) return {};
    if (instance.state != instance_state::stopped) refuse_state(instance, "started");
    begin_start(instance, region.clock.now());
    return {.job = instance_job::start};
  });
}

std::vector<InstanceStateChange> stop_instances(Region& region, const Principal& caller,
                                                const std::vector<std::string>& ids, Force force) {
  const std::map<std::string, std::string> arguments =
      force == Force::yes ? std::map<std::string, std::string>{{"force", "yes"}} : std::map<std::string, std::string>{};
  return change_states(region, caller, ids, [&](Instance& instance) -> Change {
    if (instance.state == instance_state::stopped) return {};
    if (instance.state == instance_state::stopping) {
      // The job that waits for the guest looks for this one, and pulls the plug.
      return force == Force::yes ? Change{.job = instance_job::stop, .arguments = arguments} : Change{};
    }
    if (instance.state != instance_state::running) refuse_state(instance, "stopped");
    begin_stop(instance, Initiator::user, region.clock.now());
    return {.job = instance_job::stop, .arguments = arguments};
  });
}

std::vector<InstanceStateChange> terminate_instances(Region& region, const Principal& caller,
                                                     const std::vector<std::string>& ids) {
  return change_states(region, caller, ids, [&](Instance& instance) -> Change {
    if (instance.state == instance_state::terminated || instance.state == instance_state::shutting_down) return {};
    if (instance.termination_protection) {
      throw ApiError("OperationNotPermitted", "The instance '" + instance.id +
                                                  "' may not be terminated. Modify its 'disableApiTermination' "
                                                  "instance attribute and try again.");
    }
    begin_terminate(instance, Initiator::user, region.clock.now());
    return {.job = instance_job::terminate};
  });
}

void reboot_instances(Region& region, const Principal& caller, const std::vector<std::string>& ids) {
  change_states(region, caller, ids, [&](Instance& instance) -> Change {
    if (instance.state != instance_state::running && instance.state != instance_state::pending) {
      refuse_state(instance, "rebooted");
    }
    return {.job = instance_job::reboot};
  });
}

Instance change_instance(Region& region, const Principal& caller, const std::string& id,
                         const InstanceChanges& changes) {
  return catalog::in_txn(region.catalog, [&](Txn& txn) {
    Instance row = instance_of(txn, region, caller, id);
    if ((changes.instance_type || changes.user_data) && row.state != instance_state::stopped) {
      throw ApiError("IncorrectInstanceState", "The instance '" + id + "' is not in the 'stopped' state.");
    }
    if (changes.instance_type && find_instance_type(*changes.instance_type) == nullptr) {
      throw ApiError("InvalidInstanceAttributeValue",
                     "The instance type '" + *changes.instance_type + "' does not exist");
    }
    if (changes.instance_type) row.instance_type = *changes.instance_type;
    if (changes.user_data) row.user_data = *changes.user_data;
    if (changes.shutdown_behavior) row.shutdown_behavior = *changes.shutdown_behavior;
    if (changes.termination_protection) row.termination_protection = *changes.termination_protection;
    if (changes.tokens_required) row.tokens_required = *changes.tokens_required;
    if (changes.metadata_enabled) row.metadata_enabled = *changes.metadata_enabled;
    if (changes.hop_limit) row.hop_limit = *changes.hop_limit;
    if (changes.group_ids) replace_groups(txn, region, row, *changes.group_ids);
    catalog::update(txn, row);
    return row;
  });
}

void change_instance_devices(Region& region, const Principal& caller, const std::string& id,
                             const std::vector<DeleteOnTermination>& changes) {
  region.catalog.run_in_txn([&](Txn& txn) {
    instance_of(txn, region, caller, id);
    auto attachments = catalog::attachments_of_instance(txn, region.name, id);
    for (const auto& change : changes) {
      const auto found = std::ranges::find(attachments, change.device_name, &catalog::Attachment::device_name);
      if (found == attachments.end()) {
        throw ApiError("InvalidInstanceAttributeValue", "No device is currently mapped at " + change.device_name);
      }
      found->delete_on_termination = change.value;
      catalog::update(txn, *found);
    }
  });
}

ConsoleOutput console_output(Region& region, const Principal& caller, const std::string& id) {
  const auto row = catalog::in_read(region.catalog, [&](Txn& txn) { return instance_of(txn, region, caller, id); });
  constexpr std::uint64_t shown_bytes = 64 << 10;
  ConsoleOutput output{.text = {}, .updated = row.launched};
  const base::Path path = region.console_log(id);
  const auto file = region.files.open(path, base::Open::read);
  if (!file) return output;
  const auto size = (*file)->size();
  if (!size) throw std::runtime_error(size.error().message());
  output.text.resize(std::min(*size, shown_bytes));
  const auto read = (*file)->read_at(*size - output.text.size(), std::as_writable_bytes(std::span(output.text)));
  if (!read) throw std::runtime_error(read.error().message());
  output.text.resize(*read);
  std::error_code error;
  const auto written = std::filesystem::last_write_time(path, error);
  if (!error) {
    const auto since_epoch = std::chrono::file_clock::to_sys(written).time_since_epoch();
    output.updated = std::chrono::duration_cast<std::chrono::microseconds>(since_epoch).count();
  }
  return output;
}

}  // namespace kiln::control
