#include "wire/protocol.h"

#include "wire/json.h"
#include "wire/query.h"
#include "wire/xml.h"

namespace kiln::wire {
namespace {

constexpr std::string_view xml_head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

std::string content_type(Protocol protocol) {
  switch (protocol) {
    case Protocol::ec2: return "text/xml;charset=UTF-8";
    case Protocol::query: return "text/xml";
    case Protocol::json_1_0: return "application/x-amz-json-1.0";
    case Protocol::json_1_1: return "application/x-amz-json-1.1";
    case Protocol::rest_json: return "application/json";
  }
  return {};
}

JsonNames names_of(const Dialect& dialect) { return dialect.lower_json ? JsonNames::lower : JsonNames::upper; }

void append_tag(std::string_view before, std::string_view name, std::string_view after, std::string& out) {
  ((out += before) += name) += after;
}

std::string error_xml(const Dialect& dialect, std::string_view request_id, const Failure& what) {
  std::string out(xml_head);
  if (dialect.protocol == Protocol::ec2) {
    out += "<Response><Errors><Error>";
    append_xml_element("Code", what.code, out);
    append_xml_element("Message", what.message, out);
    out += "</Error></Errors>";
    append_xml_element("RequestID", request_id, out);
    return out += "</Response>";
  }
  append_tag("<ErrorResponse xmlns=\"", dialect.xml_namespace, "\"><Error>", out);
  append_xml_element("Type", what.status >= 500 ? "Receiver" : "Sender", out);
  append_xml_element("Code", what.code, out);
  append_xml_element("Message", what.message, out);
  out += "</Error>";
  append_xml_element("RequestId", request_id, out);
  return out += "</ErrorResponse>";
}

}  // namespace

bool is_query(Protocol protocol) { return protocol == Protocol::ec2 || protocol == Protocol::query; }

void decode_request(const Dialect& dialect, const Params& params, std::string_view body, const Type& type,
                    void* request) {
  if (is_query(dialect.protocol)) {
    decode_query(params, dialect.protocol == Protocol::ec2 ? Lists::flattened : Lists::members, type, request);
  } else {
    decode_json(body, names_of(dialect), type, request);
  }
}

std::string encode_content(const Dialect& dialect, const Type& type, const void* response) {
  std::string out;
  switch (dialect.protocol) {
    case Protocol::ec2: encode_xml(XmlNames::lower_items, type, response, out); break;
    case Protocol::query: encode_xml(XmlNames::upper_members, type, response, out); break;
    default: encode_json(names_of(dialect), type, response, out);
  }
  return out;
}

Reply success(const Dialect& dialect, std::string_view action, std::string_view request_id, std::string_view content) {
  Reply reply{.status = 200, .content_type = content_type(dialect.protocol), .headers = {}, .body = {}};
  if (!is_query(dialect.protocol)) {
    reply.body = content;
    return reply;
  }
  std::string& out = reply.body;
  out.reserve(content.size() + 512);
  out += xml_head;
  append_tag("<", action, "Response xmlns=\"", out);
  append_tag("", dialect.xml_namespace, "\">", out);
  if (dialect.protocol == Protocol::ec2) {
    append_xml_element("requestId", request_id, out);
    out += content;
  } else {
    append_tag("<", action, "Result>", out);
    out += content;
    append_tag("</", action, "Result><ResponseMetadata>", out);
    append_xml_element("RequestId", request_id, out);
    out += "</ResponseMetadata>";
  }
  append_tag("</", action, "Response>", out);
  return reply;
}

Reply failure(const Dialect& dialect, std::string_view request_id, const Failure& what) {
  Reply reply{.status = what.status, .content_type = content_type(dialect.protocol), .headers = {}, .body = {}};
  if (is_query(dialect.protocol)) {
    reply.body = error_xml(dialect, request_id, what);
    return reply;
  }
  reply.body = "{";
  if (dialect.protocol == Protocol::rest_json) {
    reply.headers.emplace_back("x-amzn-ErrorType", what.code);
  } else {
    reply.body += "\"__type\":";
    append_json_text(what.code, reply.body);
    reply.body += ',';
  }
  reply.body += "\"message\":";
  append_json_text(what.message, reply.body);
  if (!what.reason.empty()) {
    reply.body += ",\"Reason\":";
    append_json_text(what.reason, reply.body);
  }
  reply.body += '}';
  return reply;
}

}  // namespace kiln::wire
