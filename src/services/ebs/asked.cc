// The snapshots that a request to the EBS direct APIs is about.
#include <boost/json.hpp>

#include "control/resource_facts.h"
#include "services/ebs/operations.h"

namespace kiln::services::ebs {
namespace {

// Of a snapshot that is yet to be made; what it is made on is a condition key of its own.
control::Asked start(const AtDoor& request) {
  namespace json = boost::json;
  auto what = control::facts_of_new(request.region, request.principal, "snapshot");
  json::error_code error;
  const auto body = json::parse(request.body, error);
  const auto* const parent = !error && body.is_object() ? body.as_object().if_contains("ParentSnapshotId") : nullptr;
  if (parent != nullptr && parent->is_string()) {
    what.context.set("ebs:ParentSnapshot",
                     control::ec2_arn(request.region, {}, "snapshot", std::string(parent->as_string())));
  }
  return what;
}

}  // namespace

std::vector<control::Asked> asked(const AtDoor& request) {
  std::vector<std::string> ids;
  for (const auto& [name, value] : request.labels) {
    if (name == "snapshotId" || name == "secondSnapshotId") ids.push_back(value);
  }
  if (const auto first = request.params.find("firstSnapshotId")) ids.emplace_back(*first);
  std::vector<control::Asked> all;
  request.region.catalog.read([&](catalog::Txn& txn) {
    all.clear();
    for (const auto& id : ids) {
      all.push_back(control::facts_of(txn, request.region, request.principal, "snapshot", id));
    }
  });
  if (all.empty()) all.push_back(start(request));
  for (auto& each : all) each.action = "ebs:" + request.action;
  return all;
}

}  // namespace kiln::services::ebs
