#pragma once
// The record of a call: who asked for what, over what, and what came of it. One line of JSON in the shape of AWS
// CloudTrail's events, so that what reads those reads these. docs/formats/audit.md
//
// Made by dispatch on the stack of one request thread, and written to the daemon's audit log (base/rotating_log.h).
// Secrets are never in it: neither what a client sends (passwords, user data, plaintexts, values of parameters) nor
// what it is given (secret keys, session tokens, private keys). All bytes (wire::Blob) count as secret.

#include <map>
#include <string>
#include <string_view>

#include "base/time.h"
#include "control/principal.h"
#include "services/operation.h"
#include "services/service.h"
#include "wire/protocol.h"
#include "wire/table.h"

namespace kiln::services {

// What a call was about, gathered while it is answered.
struct Recorded {
  std::string request, response;                 // JSON objects; empty when not known
  std::map<std::string, std::string> resources;  // ARN to CloudFormation type, of those that both name
};

struct RecordedCall {
  base::Micros time = 0;
  std::string_view request_id;
  const control::Principal& principal;  // without an account when nobody proved to be one
  std::string_view claimed_key;         // of an access key that did not prove anything
  std::string_view region;
  const Service* service = nullptr;      // null: none that is served
  const Operation* operation = nullptr;  // null: none that the service has
  std::string_view action;
  std::string_view source_ip, user_agent;
  const wire::Failure& failure;  // without a code: none
  const Recorded& recorded;
};

// Adds what a request or a response says, for a call in this region by this account.
void record_members(const wire::Type& type, const void* value, std::string_view service, const std::string& region,
                    const std::string& account, std::string& json, Recorded& recorded);

// The line, without its newline.
std::string audit_line(const RecordedCall& call);
// The line that stands for so many that could not be written.
std::string audit_gap_line(base::Micros time, std::uint64_t dropped);

}  // namespace kiln::services
