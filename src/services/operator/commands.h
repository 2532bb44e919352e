#pragma once
// What the operator can ask: each command reads a request, works on control, and sends lines until done or error.
//
//   {"command":"import","name":"base","format":"raw","region":"us-east-1"}   with the file's descriptor beside it
//   {"progress":{"done_bytes":1,"total_bytes":2,...}}                        any number of times
//   {"done":{...}}  or  {"error":{"code":"InvalidAMIName.Duplicate","message":"..."}}
//
// Called on a connection's thread; long commands end early when the peer goes or stopping becomes true.

#include <atomic>
#include <string>

#include "control/region.h"
#include "services/operator/channel.h"

namespace kiln::services::operators {

void run_command(const control::Regions& regions, const control::Principal& principal, Channel& channel,
                 const std::string& line, const std::atomic<bool>& stopping);

std::string error_line(const std::string& code, const std::string& message);

}  // namespace kiln::services::operators
