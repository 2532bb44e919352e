// CreateVolume, DescribeVolumes, DeleteVolume.
#include "control/volumes.h"

#include "base/api_error.h"
#include "services/ec2/filter.h"
#include "services/ec2/operations.h"
#include "services/ec2/tagging.h"

namespace kiln::services::ec2 {

struct CreateVolumeRequest {
  std::string availability_zone, availability_zone_id;
  std::optional<int> size;
  std::string snapshot_id, volume_type;
  std::optional<bool> encrypted;
  std::string kms_key_id;
  std::optional<int> iops, throughput, volume_initialization_rate;
  std::optional<bool> multi_attach_enabled;
  std::vector<TagSpecification> tag_specification;
};

struct VolumeAttachment {
  std::string volume_id, instance_id, device, status;
  wire::Timestamp attach_time;
  bool delete_on_termination = false;
};

struct Volume {
  std::string volume_id;
  int size = 0;
  std::string snapshot_id;  // empty for a volume of zeros, as AWS writes it
  std::string availability_zone, status;
  wire::Timestamp create_time;
  std::vector<VolumeAttachment> attachment_set;
  bool encrypted = false;
  std::optional<std::string> kms_key_id;
  std::string volume_type;
  std::optional<int> iops, throughput, volume_initialization_rate;
  bool fast_restored = false, multi_attach_enabled = false;
  std::vector<Tag> tag_set;
};

struct DescribeVolumesRequest {
  std::vector<std::string> volume_id;
  std::vector<Filter> filter;
  std::optional<int> max_results;
  std::optional<std::string> next_token;
};

struct DescribeVolumesResponse {
  std::vector<Volume> volume_set;
  std::optional<std::string> next_token;
};

struct DeleteVolumeRequest {
  std::string volume_id;
};

}  // namespace kiln::services::ec2

KILN_WIRE(kiln::services::ec2::CreateVolumeRequest, availability_zone, availability_zone_id, size, snapshot_id,
          volume_type, encrypted, kms_key_id, iops, throughput, volume_initialization_rate, multi_attach_enabled,
          tag_specification)
KILN_WIRE(kiln::services::ec2::VolumeAttachment, volume_id, instance_id, device, status, attach_time,
          delete_on_termination)
KILN_WIRE(kiln::services::ec2::Volume, volume_id, size, snapshot_id, availability_zone, status, create_time,
          attachment_set, encrypted, kms_key_id, volume_type, iops, throughput, volume_initialization_rate,
          fast_restored, multi_attach_enabled, tag_set)
KILN_WIRE(kiln::services::ec2::DescribeVolumesRequest, volume_id, filter, max_results, next_token)
KILN_WIRE(kiln::services::ec2::DescribeVolumesResponse, volume_set, next_token)
KILN_WIRE(kiln::services::ec2::DeleteVolumeRequest, volume_id)

namespace kiln::services::ec2 {
namespace {

using base::ApiError;

Volume to_shape(const control::VolumeDetails& details) {
  const auto& row = details.volume;
  Volume shape{.volume_id = row.id,
               .size = static_cast<int>(row.size_gib),
               .snapshot_id = row.snapshot_id,
               .availability_zone = row.zone,
               .status = row.state,
               .create_time = {row.created},
               .encrypted = row.encrypted,
               .kms_key_id = row.encrypted ? std::optional(row.kms_key_arn) : std::nullopt,
               .volume_type = row.volume_type,
               .iops = row.iops,
               .throughput = row.throughput,
               .volume_initialization_rate = row.initialization_rate,
               .fast_restored = row.fast_restored,
               .tag_set = ec2::to_shape(details.tags)};
  if (const auto& attachment = details.attachment) {
    shape.attachment_set.push_back({.volume_id = row.id,
                                    .instance_id = attachment->instance_id,
                                    .device = attachment->device_name,
                                    .status = attachment->state,
                                    .attach_time = {attachment->attached},
                                    .delete_on_termination = attachment->delete_on_termination});
  }
  return shape;
}

// Zone ids are made of the region's place in the world; here they are the zones' own names.
std::string zone_of(const CreateVolumeRequest& request) {
  if (!request.availability_zone.empty() && !request.availability_zone_id.empty()) {
    throw ApiError("InvalidParameterCombination", "Specify either AvailabilityZone or AvailabilityZoneId, not both.");
  }
  return request.availability_zone.empty() ? request.availability_zone_id : request.availability_zone;
}

// The answer to a repeated request is the same, also when the volume has gone since.
Volume made_before(Call& call, const CreateVolumeRequest& request) {
  try {
    return to_shape(control::describe_volumes(call.region, call.principal, {call.made_before}).at(0));
  } catch (const ApiError& error) {
    if (error.code() != "InvalidVolume.NotFound") throw;
    return {.volume_id = call.made_before,
            .size = request.size.value_or(0),
            .snapshot_id = request.snapshot_id,
            .availability_zone = zone_of(request),
            .status = "deleted",
            .create_time = {call.client_token ? call.client_token->created : 0},
            .volume_type = request.volume_type.empty() ? "gp2" : request.volume_type};
  }
}

Volume create_volume(Call& call, const CreateVolumeRequest& request) {
  if (!call.made_before.empty()) return made_before(call, request);
  if (request.multi_attach_enabled.value_or(false)) {
    throw ApiError("UnsupportedOperation",
                   "Multi-attach volumes are not supported in region " + call.region.name + ".");
  }
  if (request.size && *request.size < 1) {
    throw ApiError("InvalidParameterValue", "The volume size is invalid: " + std::to_string(*request.size) + " GiB.");
  }
  const auto made =
      control::create_volume(call.region, call.principal,
                             {.volume = {.zone = zone_of(request),
                                         .snapshot_id = request.snapshot_id,
                                         .size_gib = request.size.value_or(0),
                                         .volume_type = request.volume_type,
                                         .encryption = {.encrypted = request.encrypted, .key = request.kms_key_id},
                                         .iops = request.iops,
                                         .throughput = request.throughput,
                                         .initialization_rate = request.volume_initialization_rate},
                              .tags = tags_for(request.tag_specification, "volume", {"volume"}),
                              .client_token = call.client_token});
  return to_shape(control::describe_volumes(call.region, call.principal, {made.id}).at(0));
}

template <class Member>
std::vector<std::string> of_attachments(const Volume& volume, Member member) {
  std::vector<std::string> values;
  for (const auto& attachment : volume.attachment_set) values.push_back(member(attachment));
  return values;
}

std::vector<std::string> number(const std::optional<int>& value) {
  return value ? one(std::to_string(*value)) : std::vector<std::string>{};
}

constexpr Filterable<Volume> volume_filters[] = {
    {"attachment.attach-time",
     [](const Volume& v) {
       return of_attachments(v, [](const auto& a) { return base::to_iso8601(a.attach_time.micros); });
     }},
    {"attachment.delete-on-termination",
     [](const Volume& v) {
       return of_attachments(v, [](const auto& a) { return std::string(a.delete_on_termination ? "true" : "false"); });
     }},
    {"attachment.device", [](const Volume& v) { return of_attachments(v, [](const auto& a) { return a.device; }); }},
    {"attachment.instance-id",
     [](const Volume& v) { return of_attachments(v, [](const auto& a) { return a.instance_id; }); }},
    {"attachment.status", [](const Volume& v) { return of_attachments(v, [](const auto& a) { return a.status; }); }},
    {"availability-zone", [](const Volume& v) { return one(v.availability_zone); }},
    {"availability-zone-id", [](const Volume& v) { return one(v.availability_zone); }},
    {"create-time", [](const Volume& v) { return one(base::to_iso8601(v.create_time.micros)); }},
    {"encrypted", [](const Volume& v) { return one(v.encrypted); }},
    {"fast-restored", [](const Volume& v) { return one(v.fast_restored); }},
    {"multi-attach-enabled", [](const Volume& v) { return one(v.multi_attach_enabled); }},
    {"size", [](const Volume& v) { return number(v.size); }},
    {"snapshot-id", [](const Volume& v) { return one(v.snapshot_id); }},
    {"status", [](const Volume& v) { return one(v.status); }},
    {"volume-id", [](const Volume& v) { return one(v.volume_id); }},
    {"volume-type", [](const Volume& v) { return one(v.volume_type); }},
};

DescribeVolumesResponse describe_volumes(Call& call, const DescribeVolumesRequest& request) {
  const PageRequest wanted{
      .max_results = request.max_results, .next_token = request.next_token, .has_ids = !request.volume_id.empty()};
  page_start(wanted);
  std::vector<Volume> volumes;
  for (const auto& details : control::describe_volumes(call.region, call.principal, request.volume_id)) {
    volumes.push_back(to_shape(details));
  }
  keep_matching<Volume>(volumes, volume_filters, request.filter);
  auto page = paginate(std::move(volumes), wanted, [](const Volume& v) { return v.volume_id; });
  return {std::move(page.items), std::move(page.next_token)};
}

Done delete_volume(Call& call, const DeleteVolumeRequest& request) {
  if (request.volume_id.empty()) throw ApiError("MissingParameter", "The request must contain the parameter volumeId");
  control::delete_volume(call.region, call.principal, request.volume_id);
  return {};
}

constexpr Operation operations[] = {
    operation<create_volume>("CreateVolume", Access::writes),
    operation<delete_volume>("DeleteVolume", Access::writes),
    operation<describe_volumes>("DescribeVolumes", Access::reads),
};

}  // namespace

std::span<const Operation> volume_operations() { return operations; }

}  // namespace kiln::services::ec2
