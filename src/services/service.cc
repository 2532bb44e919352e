#include "services/service.h"

#include <algorithm>

#include "services/ebs/ebs.h"
#include "services/ec2/ec2.h"
#include "services/iam/iam.h"
#include "services/kms/kms.h"
#include "services/organizations/organizations.h"
#include "services/rbin/rbin.h"
#include "services/ssm/ssm.h"
#include "services/sts/sts.h"

namespace kiln::services {

const std::vector<Service>& all_services() {
  static const std::vector<Service> services{ebs::service(),           ec2::service(),  iam::service(), kms::service(),
                                             organizations::service(), rbin::service(), ssm::service(), sts::service()};
  return services;
}

std::vector<std::string> served_operations() {
  std::vector<std::string> names;
  for (const Service& service : all_services()) {
    for (const auto table : service.tables) {
      for (const Operation& operation : table) {
        names.push_back(std::string(service.name) + ' ' + std::string(operation.name));
      }
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace kiln::services
