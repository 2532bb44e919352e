#include "services/audit.h"

#include <algorithm>
#include <cctype>

#include "base/ids.h"
#include "wire/json.h"
#include "wire/scalar.h"

namespace kiln::services {
namespace {

using wire::append_json_text;
using wire::Kind;

constexpr std::string_view hidden = "\"HIDDEN_DUE_TO_SECURITY_REASONS\"";
constexpr std::size_t most_bytes = 32 << 10;  // of the members of a request or a response
constexpr std::size_t most_text = 1024;       // of what a client may say of itself
constexpr std::size_t most_resources = 100;

// Members that hold secrets, whatever they are a member of.
constexpr std::string_view secrets[] = {"SecretAccessKey", "SessionToken", "KeyMaterial", "UserData",
                                        "Plaintext",       "Password",     "BlockToken",  "DecodedMessage"};

bool is_secret(std::string_view service, std::string_view member, int depth) {
  // What a parameter holds, secure or not.
  if (service == "ssm" && member == "Value" && depth == 0) return true;
  return std::ranges::find(secrets, member) != std::end(secrets);
}

struct Known {
  std::string_view prefix, type, cloud_type;
  bool has_account;  // in its ARN
};
constexpr Known known_ids[] = {
    {"ami-", "image", "AWS::EC2::Image", false},
    {"snap-", "snapshot", "AWS::EC2::Snapshot", false},
    {"vol-", "volume", "AWS::EC2::Volume", true},
    {"i-", "instance", "AWS::EC2::Instance", true},
    {"sg-", "security-group", "AWS::EC2::SecurityGroup", true},
    {"subnet-", "subnet", "AWS::EC2::Subnet", true},
    {"lt-", "launch-template", "AWS::EC2::LaunchTemplate", true},
};
constexpr std::pair<std::string_view, std::string_view> known_arns[] = {
    {":kms:", "AWS::KMS::Key"},       {":user/", "AWS::IAM::User"},
    {":role/", "AWS::IAM::Role"},     {":group/", "AWS::IAM::Group"},
    {":policy/", "AWS::IAM::Policy"}, {":instance-profile/", "AWS::IAM::InstanceProfile"},
    {":rbin:", "AWS::Rbin::Rule"},    {":snapshot/", "AWS::EC2::Snapshot"},
    {":image/", "AWS::EC2::Image"},
};

// Members as the record has them: names start small, what is empty is left out, secrets are named and not told.
class Members {
 public:
  Members(std::string_view service, const std::string& region, const std::string& account, Recorded& recorded)
      : service_(service), region_(region), account_(account), recorded_(recorded) {}

  std::string take() { return std::move(out_); }

  void structure(const wire::Type& type, const void* value, int depth) {
    out_ += '{';
    bool first = true;
    for (const wire::Member& member : type.members) {
      const wire::Type& held = member.type();
      const void* at = member.at_const(value);
      if (is_empty(held, at)) continue;
      if (!first) out_ += ',';
      first = false;
      std::string name(member.lower);
      if (!name.empty()) name[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(name[0])));
      append_json_text(name, out_);
      out_ += ':';
      if (is_secret(service_, member.upper, depth))
        out_ += hidden;
      else
        any(held, at, depth + 1);
    }
    out_ += '}';
  }

 private:
  static bool is_empty(const wire::Type& type, const void* value) {
    if (type.kind == Kind::optional || type.kind == Kind::list) return type.size(value) == 0;
    if (type.kind == Kind::text) return static_cast<const std::string*>(value)->empty();
    if (type.kind == Kind::blob) return static_cast<const wire::Blob*>(value)->bytes.empty();
    return type.kind == Kind::text_map && static_cast<const wire::TextMap*>(value)->empty();
  }

  void any(const wire::Type& type, const void* value, int depth) {
    switch (type.kind) {
      case Kind::structure: return structure(type, value, depth);
      case Kind::optional: return any(type.element(), type.get(value, 0), depth);
      case Kind::list: return list(type, value, depth);
      case Kind::text: return text(*static_cast<const std::string*>(value));
      case Kind::blob: out_ += hidden; return;
      case Kind::text_map: return map(*static_cast<const wire::TextMap*>(value));
      case Kind::timestamp:
        return append_json_text(base::to_iso8601(static_cast<const wire::Timestamp*>(value)->micros), out_);
      // As text, which JSON has for infinities too.
      case Kind::real: {
        std::string number;
        wire::print_scalar(type.kind, value, number);
        return append_json_text(number, out_);
      }
      default: return wire::print_scalar(type.kind, value, out_);
    }
  }

  void list(const wire::Type& type, const void* value, int depth) {
    out_ += '[';
    for (std::size_t i = 0; i < type.size(value) && out_.size() <= most_bytes; ++i) {
      if (i > 0) out_ += ',';
      any(type.element(), type.get(value, i), depth);
    }
    out_ += ']';
  }

  void map(const wire::TextMap& map) {
    out_ += '{';
    std::string_view before;
    for (const auto& [key, value] : map) {
      append_json_text(key, out_ += before);
      append_json_text(value, out_ += ':');
      before = ",";
    }
    out_ += '}';
  }

  void text(const std::string& value) {
    append_json_text(value, out_);
    if (recorded_.resources.size() >= most_resources) return;
    if (value.starts_with("arn:aws:") && value.find_first_of(" \"*{") == std::string::npos) {
      for (const auto& [part, type] : known_arns) {
        if (value.find(part) != std::string::npos) return void(recorded_.resources.emplace(value, type));
      }
    }
    for (const auto& known : known_ids) {
      if (!value.starts_with(known.prefix) || !base::is_id(known.prefix.substr(0, known.prefix.size() - 1), value)) {
        continue;
      }
      recorded_.resources.emplace("arn:aws:ec2:" + region_ + ':' + (known.has_account ? account_ : "") + ':' +
                                      std::string(known.type) + '/' + value,
                                  known.cloud_type);
    }
  }

  const std::string_view service_;
  const std::string &region_, &account_;
  Recorded& recorded_;
  std::string out_;
};

// A JSON object that is written one member after the other.
class Object {
 public:
  explicit Object(std::string& out) : out_(out) { out_ += '{'; }
  ~Object() { out_ += '}'; }
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  void text(std::string_view name, std::string_view value) { append_json_text(value, at(name)); }
  void text_if(std::string_view name, std::string_view value) {
    if (!value.empty()) text(name, value);
  }
  void json(std::string_view name, std::string_view value) { at(name) += value; }
  std::string& at(std::string_view name) {
    if (!first_) out_ += ',';
    first_ = false;
    append_json_text(name, out_);
    return out_ += ':';
  }

 private:
  std::string& out_;
  bool first_ = true;
};

// 2026-01-02T03:04:05Z, as CloudTrail has it.
std::string to_seconds(base::Micros time) {
  const auto text = base::to_iso8601(time);
  return text.substr(0, text.find('.')) + 'Z';
}

std::string_view after_last(std::string_view text, char separator) { return text.substr(text.rfind(separator) + 1); }

void write_session(const control::Principal& who, std::string& out) {
  Object session(out);
  if (!who.role_arn.empty()) {
    Object issuer(session.at("sessionIssuer"));
    issuer.text("type", "Role");
    issuer.text("principalId", std::string_view(who.user_id).substr(0, who.user_id.find(':')));
    issuer.text("arn", who.role_arn);
    issuer.text("accountId", who.account);
    issuer.text("userName", after_last(who.role_arn, '/'));
  }
  Object attributes(session.at("attributes"));
  attributes.text("creationDate", to_seconds(who.token_issued));
  attributes.text("mfaAuthenticated", "false");
}

void write_identity(const RecordedCall& call, std::string& out) {
  const auto& who = call.principal;
  Object identity(out);
  if (who.account.empty()) {
    identity.text("type", "Unknown");
    identity.text_if("accessKeyId", call.claimed_key.substr(0, 128));
    return;
  }
  identity.text("type", who.is_root() ? "Root" : who.role_arn.empty() ? "IAMUser" : "AssumedRole");
  identity.text("principalId", who.user_id);
  identity.text("arn", who.arn);
  identity.text("accountId", who.account);
  identity.text_if("accessKeyId", who.access_key);
  identity.text_if("userName", who.user_name);
  if (who.token_issued != 0) write_session(who, identity.at("sessionContext"));
}

// EC2 says whose fault an error is.
std::string code_of(const RecordedCall& call) {
  if (call.service == nullptr || call.service->name != "ec2") return call.failure.code;
  return (call.failure.status >= 500 ? "Server." : "Client.") + call.failure.code;
}

void write_members(const std::string& json, std::string& out) {
  if (json.empty())
    out += "null";
  else if (json.size() > most_bytes)
    out += R"({"omitted":true,"reason":"larger than 32 KiB"})";
  else
    out += json;
}

void write_resources(const RecordedCall& call, std::string& out) {
  out += '[';
  std::string_view before;
  for (const auto& [arn, type] : call.recorded.resources) {
    out += before;
    Object resource(out);
    resource.text("ARN", arn);
    resource.text("type", type);
    before = ",";
  }
  out += ']';
}

}  // namespace

void record_members(const wire::Type& type, const void* value, std::string_view service, const std::string& region,
                    const std::string& account, std::string& json, Recorded& recorded) {
  if (type.kind != Kind::structure) return;
  Members members(service, region, account, recorded);
  members.structure(type, value, 0);
  json = members.take();
  if (json == "{}") json.clear();
}

std::string audit_line(const RecordedCall& call) {
  const bool reads = call.operation != nullptr && call.operation->access == Access::reads;
  const bool is_blocks = call.service != nullptr && call.service->name == "ebs";  // what CloudTrail calls data
  std::string line;
  {
    Object event(line);
    event.text("eventVersion", "1.08");
    write_identity(call, event.at("userIdentity"));
    event.text("eventTime", to_seconds(call.time));
    event.text("eventSource",
               call.service != nullptr ? std::string(call.service->name) + ".amazonaws.com" : std::string("unknown"));
    event.text("eventName", call.action.substr(0, 128));
    event.text("awsRegion", call.region);
    event.text("sourceIPAddress", call.source_ip);
    event.text("userAgent", call.user_agent.substr(0, most_text));
    if (!call.failure.code.empty()) {
      event.text("errorCode", code_of(call));
      event.text("errorMessage", std::string_view(call.failure.message).substr(0, most_text));
    }
    write_members(call.recorded.request, event.at("requestParameters"));
    write_members(call.recorded.response, event.at("responseElements"));
    event.text("requestID", call.request_id);
    event.text("eventID", base::new_uuid());
    event.json("readOnly", reads ? "true" : "false");
    if (!call.recorded.resources.empty()) write_resources(call, event.at("resources"));
    event.text("eventType", "AwsApiCall");
    event.json("managementEvent", is_blocks ? "false" : "true");
    event.text_if("recipientAccountId", call.principal.account);
    event.text("eventCategory", is_blocks ? "Data" : "Management");
  }
  return line;
}

std::string audit_gap_line(base::Micros time, std::uint64_t dropped) {
  std::string line;
  {
    Object event(line);
    event.text("eventVersion", "1.08");
    event.json("userIdentity", R"({"type":"AWSService","invokedBy":"kilnd"})");
    event.text("eventTime", to_seconds(time));
    event.text("eventSource", "kilnd");
    event.text("eventName", "RecordsLost");
    event.json("additionalEventData", "{\"records\":" + std::to_string(dropped) + '}');
    event.text("eventID", base::new_uuid());
    event.text("eventType", "AwsServiceEvent");
    event.text("eventCategory", "Management");
  }
  return line;
}

}  // namespace kiln::services
