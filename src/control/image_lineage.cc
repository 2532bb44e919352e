#include "control/image_lineage.h"

#include <algorithm>
#include <set>

#include "catalog/instances.h"
#include "catalog/parameters.h"
#include "control/image_visibility.h"
#include "control/images.h"
#include "control/launch_templates.h"
#include "control/resource_facts.h"

namespace kiln::control {
namespace {

using catalog::Image;

std::optional<Image> seen(Region& region, const Principal& caller, const std::string& id) {
  return catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    auto image = catalog::find_image(txn, region.name, id);
    if (image && !may_see_image(txn, region, *image, caller)) image.reset();
    return image;
  });
}

void add_instances(catalog::Txn& txn, const Region& region, const Principal& caller, const std::string& image_id,
                   const std::vector<std::string>& states, std::vector<ImageReference>& references) {
  for (const auto& instance : catalog::instances_of_image(txn, region.name, image_id)) {
    const bool wanted = states.empty() || std::ranges::find(states, instance.state) != states.end();
    if (instance.account != caller.account || !wanted) continue;
    references.push_back({.image_id = image_id,
                          .resource_type = "ec2:Instance",
                          .arn = "arn:aws:ec2:" + region.name + ":" + instance.account + ":instance/" + instance.id});
  }
}

}  // namespace

std::vector<Image> image_ancestry(Region& region, const Principal& caller, const std::string& id) {
  std::vector<Image> line{
      catalog::in_read(region.catalog, [&](catalog::Txn& txn) { return visible_image(txn, region, caller, id); })};
  while (!line.back().source_image_id.empty()) {
    Region* const source = region.regions->find(line.back().source_image_region);
    if (source == nullptr) break;
    auto parent = seen(*source, caller, line.back().source_image_id);
    if (!parent) break;
    line.push_back(*std::move(parent));
  }
  return line;
}

std::vector<ImageReference> image_references(Region& region, const Principal& caller,
                                             const std::vector<std::string>& image_ids, const ReferenceQuery& query) {
  return catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    std::vector<ImageReference> references;
    for (const auto& id : std::set<std::string>(image_ids.begin(), image_ids.end())) {
      visible_image(txn, region, caller, id);
      if (query.instances) add_instances(txn, region, caller, id, query.states, references);
      if (query.templates) {
        for (const auto& row : templates_naming(txn, region, caller, id, query.template_versions)) {
          references.push_back({.image_id = id,
                                .resource_type = "ec2:LaunchTemplate",
                                .arn = ec2_arn(region, caller.account, "launch-template", row.id)});
        }
      }
      if (!query.parameters) continue;
      for (const auto& row : catalog::parameters_naming(txn, region.name, caller.account, id)) {
        references.push_back({.image_id = id, .resource_type = "ssm:Parameter", .arn = row.arn()});
      }
    }
    std::ranges::sort(references, {}, [](const auto& each) { return std::pair(each.image_id, each.arn); });
    return references;
  });
}

}  // namespace kiln::control
