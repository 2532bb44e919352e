#pragma once
// The AWS protocols: how each reads a request, wraps a response and words an error. Pure; any thread.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wire/params.h"
#include "wire/table.h"

namespace kiln::wire {

enum class Protocol { ec2, query, json_1_0, json_1_1, rest_json };

bool is_query(Protocol protocol);  // Action=... in a form: ec2 and query

// What a protocol needs to know of its service.
struct Dialect {
  Protocol protocol = Protocol::ec2;
  std::string_view xml_namespace = {};  // https://sts.amazonaws.com/doc/2011-06-15/
  bool lower_json = false;              // members are imageId rather than ImageId in JSON
};

struct Reply {
  int status = 200;
  std::string content_type;
  std::vector<std::pair<std::string, std::string>> headers;  // besides the request id, which every reply carries
  std::string body;
};

// Fills the request from parameters (ec2, query) or the body (the JSON protocols).
void decode_request(const Dialect& dialect, const Params& params, std::string_view body, const Type& type,
                    void* request);

// The response without what is wrapped around it.
std::string encode_content(const Dialect& dialect, const Type& type, const void* response);

Reply success(const Dialect& dialect, std::string_view action, std::string_view request_id, std::string_view content);

struct Failure {
  std::string code;
  std::string message;
  int status = 400;         // 500 and above is our fault: "Receiver"
  std::string reason = {};  // of rest-json: a finer code beside the first
};
Reply failure(const Dialect& dialect, std::string_view request_id, const Failure& what);

}  // namespace kiln::wire
