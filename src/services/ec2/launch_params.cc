#include "services/ec2/launch_params.h"

#include "control/image_aliases.h"
#include "control/launch_templates.h"

namespace kiln::services::ec2 {
namespace {

std::string image_of(const wire::Params& sent) { return std::string(sent.find("ImageId").value_or("")); }

wire::Params with_template(catalog::Txn& txn, const control::Region& region, const control::Principal& caller,
                           const wire::Params& sent) {
  const auto word = [&](const char* name) { return std::string(sent.find(name).value_or("")); };
  const auto row = control::find_template(
      txn, region, caller,
      {.id = word("LaunchTemplate.LaunchTemplateId"), .name = word("LaunchTemplate.LaunchTemplateName")});
  const auto version = control::find_template_version(txn, region, row, word("LaunchTemplate.Version"));
  const auto merged = control::merge_parameters(sent, wire::Params::parse(version.parameters));
  std::vector<wire::Params::Pair> pairs;
  for (const auto& pair : merged.all()) {
    if (!pair.first.starts_with("LaunchTemplate.")) pairs.push_back(pair);
  }
  pairs.emplace_back("LaunchTemplate.LaunchTemplateId", row.id);
  pairs.emplace_back("LaunchTemplate.Version", std::to_string(version.version));
  return wire::Params::of(std::move(pairs));
}

}  // namespace

bool has_names(const wire::Params& sent) {
  return control::image_parameter(image_of(sent)).has_value() || sent.has_under("LaunchTemplate");
}

wire::Params look_up_names(catalog::Txn& txn, const control::Region& region, const control::Principal& caller,
                           const wire::Params& sent) {
  const auto merged = sent.has_under("LaunchTemplate") ? with_template(txn, region, caller, sent) : sent;
  if (!control::image_parameter(image_of(merged))) return merged;
  auto pairs = merged.all();
  for (auto& [name, value] : pairs) {
    if (name == "ImageId") value = control::resolve_image_id(txn, region, caller, value);
  }
  return wire::Params::of(std::move(pairs));
}

}  // namespace kiln::services::ec2
