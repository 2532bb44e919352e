// CreateTags, DeleteTags, DescribeTags.
#include "control/tags.h"

#include "base/api_error.h"
#include "services/ec2/filter.h"
#include "services/ec2/operations.h"
#include "services/ec2/tagging.h"

namespace kiln::services::ec2 {

struct CreateTagsRequest {
  std::vector<std::string> resource_id;
  std::vector<Tag> tag;
};

struct TagToDelete {
  std::string key;
  std::optional<std::string> value;
};

struct DeleteTagsRequest {
  std::vector<std::string> resource_id;
  std::vector<TagToDelete> tag;
};

struct TagDescription {
  std::string resource_id, resource_type, key, value;
};

struct DescribeTagsRequest {
  std::vector<Filter> filter;
  std::optional<int> max_results;
  std::optional<std::string> next_token;
};

struct DescribeTagsResponse {
  std::vector<TagDescription> tag_set;
  std::optional<std::string> next_token;
};

}  // namespace kiln::services::ec2

KILN_WIRE(kiln::services::ec2::CreateTagsRequest, resource_id, tag)
KILN_WIRE(kiln::services::ec2::TagToDelete, key, value)
KILN_WIRE(kiln::services::ec2::DeleteTagsRequest, resource_id, tag)
KILN_WIRE(kiln::services::ec2::TagDescription, resource_id, resource_type, key, value)
KILN_WIRE(kiln::services::ec2::DescribeTagsRequest, filter, max_results, next_token)
KILN_WIRE(kiln::services::ec2::DescribeTagsResponse, tag_set, next_token)

namespace kiln::services::ec2 {
namespace {

void require_resources(const std::vector<std::string>& ids) {
  if (ids.empty()) throw base::ApiError("MissingParameter", "The request must contain the parameter resourceIdSet");
}

Done create_tags(Call& call, const CreateTagsRequest& request) {
  require_resources(request.resource_id);
  if (request.tag.empty()) throw base::ApiError("MissingParameter", "The request must contain the parameter tagSet");
  control::create_tags(call.region, call.principal.account, request.resource_id, tag_map(request.tag));
  return {};
}

Done delete_tags(Call& call, const DeleteTagsRequest& request) {
  require_resources(request.resource_id);
  std::vector<control::TagToDelete> tags;
  for (const auto& tag : request.tag) tags.push_back({tag.key, tag.value});
  control::delete_tags(call.region, call.principal.account, request.resource_id, tags);
  return {};
}

constexpr Filterable<TagDescription> tag_filters[] = {
    {"key", [](const TagDescription& t) { return one(t.key); }},
    {"resource-id", [](const TagDescription& t) { return one(t.resource_id); }},
    {"resource-type", [](const TagDescription& t) { return one(t.resource_type); }},
    {"value", [](const TagDescription& t) { return one(t.value); }},
};

// DescribeTags has "tag:<key>" too, which here compares the description's own key and value.
void keep_tag_filtered(std::vector<TagDescription>& tags, std::vector<Filter>& filters) {
  std::erase_if(filters, [&](const Filter& filter) {
    if (!filter.name.starts_with("tag:")) return false;
    std::erase_if(tags, [&](const TagDescription& t) { return !*tag_filter_matches(filter, {{t.key, t.value}}); });
    return true;
  });
}

DescribeTagsResponse describe_tags(Call& call, const DescribeTagsRequest& request) {
  std::vector<TagDescription> tags;
  call.region.catalog.read([&](catalog::Txn& txn) {
    tags.clear();
    for (const auto& row : control::all_tags(txn, call.region, call.principal.account)) {
      tags.push_back({row.resource_id, row.resource_type, row.key, row.value});
    }
  });
  auto filters = request.filter;
  keep_tag_filtered(tags, filters);
  keep_matching<TagDescription>(tags, tag_filters, filters);
  auto page = paginate(std::move(tags), {.max_results = request.max_results, .next_token = request.next_token},
                       [](const TagDescription& t) { return t.resource_id + " " + t.key; });
  return {std::move(page.items), page.next_token};
}

constexpr Operation operations[] = {
    operation<create_tags>("CreateTags", Access::writes),
    operation<delete_tags>("DeleteTags", Access::writes),
    operation<describe_tags>("DescribeTags", Access::reads),
};

}  // namespace

std::span<const Operation> tag_operations() { return operations; }

}  // namespace kiln::services::ec2
