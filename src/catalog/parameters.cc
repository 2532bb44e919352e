#include "catalog/parameters.h"

namespace kiln::catalog {
namespace {

constexpr const char* of_one = "WHERE region = $1 AND account = $2 AND name = $3";

// The first text that no text beginning with prefix comes behind. Names are ASCII.
std::string end_of(std::string prefix) {
  if (!prefix.empty()) ++prefix.back();
  return prefix;
}

}  // namespace

std::string parameter_arn(const std::string& region, const std::string& account, const std::string& name) {
  return "arn:aws:ssm:" + region + ":" + account + ":parameter" + (name.starts_with('/') ? "" : "/") + name;
}

std::string ParameterVersion::arn() const { return parameter_arn(region, account, name); }

std::optional<ParameterVersion> latest_parameter(Txn& txn, const std::string& region, const std::string& account,
                                                 const std::string& name) {
  return select_one<ParameterVersion>(txn, std::string(of_one) + " AND latest = 1", {region, account, name});
}

std::optional<ParameterVersion> find_parameter(Txn& txn, const std::string& region, const std::string& account,
                                               const std::string& name, std::int64_t version) {
  return select_one<ParameterVersion>(txn, std::string(of_one) + " AND version = $4", {region, account, name, version});
}

std::vector<ParameterVersion> parameter_versions(Txn& txn, const std::string& region, const std::string& account,
                                                 const std::string& name) {
  return select<ParameterVersion>(txn, std::string(of_one) + " ORDER BY version", {region, account, name});
}

std::vector<ParameterVersion> parameters_of(Txn& txn, const std::string& region, const std::string& account,
                                            const std::string& prefix, const std::string& after, std::size_t limit) {
  std::string rest = "WHERE region = $1 AND account = $2 AND latest = 1 AND name > $3";
  std::vector<Value> parameters{region, account, after};
  if (!prefix.empty()) {
    rest += " AND name >= $4 AND name < $5";
    parameters.emplace_back(prefix);
    parameters.emplace_back(end_of(prefix));
  }
  rest += " ORDER BY name";
  if (limit > 0) rest += " LIMIT " + std::to_string(limit);
  return select<ParameterVersion>(txn, rest, parameters);
}

std::vector<ParameterVersion> parameters_naming(Txn& txn, const std::string& region, const std::string& account,
                                                const std::string& image_id) {
  return select<ParameterVersion>(txn,
                                  "WHERE region = $1 AND account = $2 AND value = $3 AND data_type = 'aws:ec2:image' "
                                  "AND latest = 1 ORDER BY name",
                                  {region, account, image_id});
}

std::int64_t count_parameters(Txn& txn, const std::string& region, const std::string& account,
                              const std::string& tier) {
  const auto rows = txn.query(
      "SELECT COUNT(*) FROM parameter_version WHERE region = $1 AND account = $2 AND latest = 1 AND tier = $3",
      {region, account, tier});
  return std::get<std::int64_t>(rows.at(0).at(0));
}

bool remove_parameter(Txn& txn, const std::string& region, const std::string& account, const std::string& name) {
  const std::vector<Value> which{region, account, name};
  txn.execute(std::string("DELETE FROM parameter_label ") + of_one, which);
  txn.execute(std::string("DELETE FROM parameter_tag ") + of_one, which);
  return txn.execute(std::string("DELETE FROM parameter_version ") + of_one, which) > 0;
}

std::vector<ParameterLabel> parameter_labels(Txn& txn, const std::string& region, const std::string& account,
                                             const std::string& name) {
  return select<ParameterLabel>(txn, std::string(of_one) + " ORDER BY label", {region, account, name});
}

std::vector<ParameterTag> parameter_tags(Txn& txn, const std::string& region, const std::string& account,
                                         const std::string& name) {
  return select<ParameterTag>(txn, std::string(of_one) + " ORDER BY key", {region, account, name});
}

}  // namespace kiln::catalog
