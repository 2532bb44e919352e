// CreateAlias, UpdateAlias, DeleteAlias, ListAliases.
#include "control/kms_aliases.h"
#include "services/kms/operations.h"

namespace kiln::services::kms {

struct AliasRequest {
  std::string alias_name, target_key_id;
};

struct DeleteAliasRequest {
  std::string alias_name;
};

struct AliasResponse {};

struct ListAliasesRequest {
  std::string key_id;
  std::optional<int> limit;
  std::string marker;
};

struct AliasListEntry {
  std::string alias_name, alias_arn, target_key_id;
  wire::Timestamp creation_date, last_updated_date;
};

struct ListAliasesResponse {
  std::vector<AliasListEntry> aliases;
  std::optional<std::string> next_marker;
  bool truncated = false;
};

}  // namespace kiln::services::kms

KILN_WIRE(kiln::services::kms::AliasRequest, alias_name, target_key_id)
KILN_WIRE(kiln::services::kms::DeleteAliasRequest, alias_name)
KILN_WIRE_EMPTY(kiln::services::kms::AliasResponse)
KILN_WIRE(kiln::services::kms::ListAliasesRequest, key_id, limit, marker)
KILN_WIRE(kiln::services::kms::AliasListEntry, alias_name, alias_arn, target_key_id, creation_date, last_updated_date)
KILN_WIRE(kiln::services::kms::ListAliasesResponse, aliases, next_marker, truncated)

namespace kiln::services::kms {
namespace {

AliasResponse create_alias(Call& call, const AliasRequest& request) {
  control::create_key_alias(call.region, call.principal, request.alias_name, request.target_key_id);
  return {};
}

AliasResponse update_alias(Call& call, const AliasRequest& request) {
  control::update_key_alias(call.region, call.principal, request.alias_name, request.target_key_id);
  return {};
}

AliasResponse delete_alias(Call& call, const DeleteAliasRequest& request) {
  control::delete_key_alias(call.region, call.principal, request.alias_name);
  return {};
}

ListAliasesResponse list_aliases(Call& call, const ListAliasesRequest& request) {
  ListAliasesResponse response;
  for (const auto& row : control::key_aliases(call.region, call.principal, request.key_id)) {
    response.aliases.push_back({.alias_name = row.name,
                                .alias_arn = row.arn(),
                                .target_key_id = row.key_id,
                                .creation_date = {row.created},
                                .last_updated_date = {row.updated}});
  }
  const auto next = cut_page(response.aliases, {request.limit, request.marker, 50, 100},
                             [](const AliasListEntry& alias) { return alias.alias_name; });
  response.truncated = !next.empty();
  if (response.truncated) response.next_marker = next;
  return response;
}

constexpr Operation operations[] = {
    operation<create_alias>("CreateAlias", Access::writes),
    operation<delete_alias>("DeleteAlias", Access::writes),
    operation<list_aliases>("ListAliases", Access::reads),
    operation<update_alias>("UpdateAlias", Access::writes),
};

}  // namespace

std::span<const Operation> alias_operations() { return operations; }

}  // namespace kiln::services::kms
