// GetConsoleOutput.
#include "base/text.h"
#include "control/instances.h"
#include "services/ec2/operations.h"
#include "services/ec2/shapes_common.h"

namespace kiln::services::ec2 {

struct GetConsoleOutputRequest {
  std::string instance_id;
  bool latest = false;  // the log is always the latest here
};

struct GetConsoleOutputResponse {
  std::string instance_id;
  wire::Timestamp timestamp;
  std::optional<std::string> output;  // base64
};

}  // namespace kiln::services::ec2

KILN_WIRE(kiln::services::ec2::GetConsoleOutputRequest, instance_id, latest)
KILN_WIRE(kiln::services::ec2::GetConsoleOutputResponse, instance_id, timestamp, output)

namespace kiln::services::ec2 {
namespace {

GetConsoleOutputResponse get_console_output(Call& call, const GetConsoleOutputRequest& request) {
  const auto output = control::console_output(call.region, call.principal, request.instance_id);
  GetConsoleOutputResponse response{.instance_id = request.instance_id, .timestamp = {output.updated}, .output = {}};
  if (!output.text.empty()) response.output = base::to_base64(output.text);
  return response;
}

constexpr Operation operations[] = {
    operation<get_console_output>("GetConsoleOutput", Access::reads),
};

}  // namespace

std::span<const Operation> console_operations() { return operations; }

}  // namespace kiln::services::ec2
