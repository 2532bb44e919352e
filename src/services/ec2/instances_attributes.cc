#include "services/ec2/instances_attributes.h"

#include "base/api_error.h"
#include "base/text.h"

namespace kiln::services::ec2 {
namespace {

using base::ApiError;

// "true" and "false" of the form Attribute=disableApiTermination, Value=true.
bool to_bool(const std::string& text) {
  const auto small = base::lower(text);
  if (small == "true") return true;
  if (small == "false") return false;
  throw ApiError("InvalidParameterValue", "Value (" + text + ") for parameter value is invalid. It must be a boolean");
}

// What every guest here has and no guest can be without: asking for the same is a success.
void require(bool is_so, std::string_view what) {
  if (!is_so) throw ApiError("UnsupportedOperation", "The attribute " + std::string(what) + " cannot be changed");
}

// The oldest form names one attribute and gives its value as text.
void take_named(control::InstanceChanges& changes, const ModifyInstanceAttributeRequest& request) {
  const std::string name = base::lower(request.attribute);
  if (name.empty() || !request.value) return;
  if (name == "instancetype") {
    changes.instance_type = request.value;
  } else if (name == "userdata") {
    changes.user_data = request.value;
  } else if (name == "instanceinitiatedshutdownbehavior") {
    changes.shutdown_behavior = checked_shutdown_behavior(*request.value);
  } else if (name == "disableapitermination") {
    changes.termination_protection = to_bool(*request.value);
  } else if (name == "sourcedestcheck") {
    require(to_bool(*request.value), "sourceDestCheck");
  } else {
    throw ApiError("InvalidParameterValue", "Value (" + request.attribute + ") for parameter attribute is invalid.");
  }
}

void check_user_data(const std::optional<std::string>& text) {
  if (!text || text->empty()) return;
  const auto bytes = base::from_base64(*text);
  if (!bytes) throw ApiError("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data");
  if (bytes->size() > 16384) throw ApiError("InvalidParameterValue", "User data is limited to 16384 bytes");
}

}  // namespace

std::string checked_shutdown_behavior(const std::string& text) {
  if (text == "stop" || text == "terminate") return text;
  throw ApiError("InvalidParameterValue", "Value (" + text +
                                              ") for parameter instanceInitiatedShutdownBehavior is "
                                              "invalid. Unknown instance initiated shutdown behavior");
}

control::InstanceChanges checked_metadata_options(const MetadataOptionsRequest& options) {
  control::InstanceChanges changes;
  if (!options.http_tokens.empty()) {
    if (options.http_tokens != "optional" && options.http_tokens != "required") {
      throw ApiError("InvalidParameterValue",
                     "Value (" + options.http_tokens + ") for parameter HttpTokens is invalid.");
    }
    changes.tokens_required = options.http_tokens == "required";
  }
  if (!options.http_endpoint.empty()) {
    if (options.http_endpoint != "enabled" && options.http_endpoint != "disabled") {
      throw ApiError("InvalidParameterValue",
                     "Value (" + options.http_endpoint + ") for parameter HttpEndpoint is invalid.");
    }
    changes.metadata_enabled = options.http_endpoint == "enabled";
  }
  if (options.http_put_response_hop_limit) {
    changes.hop_limit = *options.http_put_response_hop_limit;
    if (*changes.hop_limit < 1 || *changes.hop_limit > 64) {
      throw ApiError("InvalidParameterValue",
                     "Value (" + std::to_string(*changes.hop_limit) +
                         ") for parameter HttpPutResponseHopLimit is invalid. Valid values are "
                         "1 to 64");
    }
  }
  return changes;
}

DescribeInstanceAttributeResponse describe_instance_attribute(Call& call,
                                                              const DescribeInstanceAttributeRequest& request) {
  const auto details = control::describe_instances(call.region, call.principal, {request.instance_id}).at(0);
  const catalog::Instance& row = details.instance;
  const Instance shape = to_shape(call.region, details);
  const std::string name = base::lower(request.attribute);
  DescribeInstanceAttributeResponse response;
  response.instance_id = row.id;
  if (name == "blockdevicemapping") {
    response.block_device_mapping = shape.block_device_mapping;
  } else if (name == "disableapistop") {
    response.disable_api_stop = BooleanAttribute{false};
  } else if (name == "disableapitermination") {
    response.disable_api_termination = BooleanAttribute{row.termination_protection};
  } else if (name == "ebsoptimized") {
    response.ebs_optimized = BooleanAttribute{shape.ebs_optimized};
  } else if (name == "enasupport") {
    response.ena_support = BooleanAttribute{shape.ena_support};
  } else if (name == "groupset") {
    response.group_set = shape.group_set;
  } else if (name == "instanceinitiatedshutdownbehavior") {
    response.instance_initiated_shutdown_behavior = TextAttribute{row.shutdown_behavior};
  } else if (name == "instancetype") {
    response.instance_type = TextAttribute{row.instance_type};
  } else if (name == "kernel") {
    response.kernel = TextAttribute{};
  } else if (name == "ramdisk") {
    response.ramdisk = TextAttribute{};
  } else if (name == "rootdevicename") {
    response.root_device_name = TextAttribute{row.root_device_name};
  } else if (name == "sourcedestcheck") {
    response.source_dest_check = BooleanAttribute{true};
  } else if (name == "sriovnetsupport") {
    response.sriov_net_support = TextAttribute{"simple"};
  } else if (name == "userdata") {
    response.user_data = TextAttribute{};
    if (!row.user_data.empty()) response.user_data->value = row.user_data;
  } else {
    throw ApiError("InvalidParameterValue", "Value (" + request.attribute + ") for parameter attribute is invalid.");
  }
  return response;
}

Done modify_instance_attribute(Call& call, const ModifyInstanceAttributeRequest& request) {
  control::InstanceChanges changes;
  take_named(changes, request);
  if (request.instance_type) changes.instance_type = request.instance_type->value;
  if (request.user_data) changes.user_data = request.user_data->value.value_or("");
  if (request.instance_initiated_shutdown_behavior) {
    changes.shutdown_behavior =
        checked_shutdown_behavior(request.instance_initiated_shutdown_behavior->value.value_or(""));
  }
  if (request.disable_api_termination) changes.termination_protection = request.disable_api_termination->value;
  if (!request.group_id.empty()) changes.group_ids = request.group_id;
  check_user_data(changes.user_data);
  if (request.disable_api_stop) require(!request.disable_api_stop->value, "disableApiStop");
  if (request.ebs_optimized) require(!request.ebs_optimized->value, "ebsOptimized");
  if (request.ena_support) require(request.ena_support->value, "enaSupport");
  if (request.source_dest_check) require(request.source_dest_check->value, "sourceDestCheck");
  if (request.sriov_net_support) require(request.sriov_net_support->value == "simple", "sriovNetSupport");
  control::change_instance(call.region, call.principal, request.instance_id, changes);

  std::vector<control::DeleteOnTermination> devices;
  for (const auto& mapping : request.block_device_mapping) {
    if (mapping.ebs && mapping.ebs->delete_on_termination) {
      devices.push_back({mapping.device_name, *mapping.ebs->delete_on_termination});
    }
  }
  if (!devices.empty()) {
    control::change_instance_devices(call.region, call.principal, request.instance_id, devices);
  }
  return {};
}

ModifyInstanceMetadataOptionsResponse modify_instance_metadata_options(
    Call& call, const ModifyInstanceMetadataOptionsRequest& request) {
  const auto changes = checked_metadata_options({.http_tokens = request.http_tokens,
                                                 .http_endpoint = request.http_endpoint,
                                                 .http_put_response_hop_limit = request.http_put_response_hop_limit});
  const auto row = control::change_instance(call.region, call.principal, request.instance_id, changes);
  return {.instance_id = row.id, .instance_metadata_options = metadata_options_of(row)};
}

}  // namespace kiln::services::ec2
