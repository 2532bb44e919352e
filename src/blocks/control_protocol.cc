#include "blocks/control_protocol.h"

#include <algorithm>
#include <boost/json.hpp>
#include <exception>
#include <optional>

namespace kiln::blocks::control {
namespace {

namespace json = boost::json;
using base::Error;
using base::Fault;
using base::Result;
using base::Status;

constexpr std::size_t max_message_bytes = 4096;
constexpr std::size_t max_depth = 8;

json::object call(std::string_view name) {
  return {{"v", control_protocol_version}, {"call", json::string_view(name.data(), name.size())}};
}

std::string line_of(const json::object& object) { return json::serialize(object); }

json::object json_of(const SealVolume& cut) { return {{"volume", cut.volume}, {"snapshot", cut.snapshot}}; }

// Error messages may quote anything; the line must be JSON and fit.
std::string printable(std::string_view message) {
  std::string text(message.substr(0, max_message_bytes));
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c > 0x7e; }, '?');
  return text;
}

json::object refusal(const Error& error) {
  const auto fault = base::to_string(error.fault());
  return {{"v", control_protocol_version},
          {"ok", false},
          {"fault", json::string_view(fault.data(), fault.size())},
          {"message", printable(error.message())}};
}

json::object done() { return {{"v", control_protocol_version}, {"ok", true}}; }

Fault fault_named(std::string_view name) {
  for (const auto fault : {Fault::invalid, Fault::not_found, Fault::exists, Fault::corrupt, Fault::unsupported,
                           Fault::busy, Fault::fenced, Fault::no_space, Fault::io, Fault::failed, Fault::no_key}) {
    if (base::to_string(fault) == name) return fault;
  }
  return Fault::io;
}

// The members of one object of a line. A member that is missing or of another type leaves the first error behind.
class Members {
 public:
  explicit Members(const json::object& object) : object_(object) {}

  std::string text(json::string_view name) {
    if (const auto* value = find(name); value != nullptr && value->is_string()) {
      const auto& found = value->get_string();
      return {found.data(), found.size()};
    }
    return wrong(name, "text"), std::string();
  }
  std::uint64_t number(json::string_view name) {
    if (const auto* value = find(name); value != nullptr && (value->is_uint64() || value->is_int64())) {
      if (value->is_uint64()) return value->get_uint64();
      if (value->get_int64() >= 0) return static_cast<std::uint64_t>(value->get_int64());
    }
    return wrong(name, "a number that is not negative"), 0;
  }
  bool flag(json::string_view name) {
    if (const auto* value = find(name); value != nullptr && value->is_bool()) return value->get_bool();
    return wrong(name, "true or false"), false;
  }
  base::Digest digest(json::string_view name) {
    if (const auto digest = base::Digest::from_hex(text(name))) return *digest;
    return wrong(name, "64 hex digits"), base::Digest{};
  }
  const json::object& object(json::string_view name) {
    static const json::object empty;
    if (const auto* value = find(name); value != nullptr && value->is_object()) return value->get_object();
    return wrong(name, "an object"), empty;
  }
  const json::array& array(json::string_view name) {
    static const json::array empty;
    if (const auto* value = find(name); value != nullptr && value->is_array()) return value->get_array();
    return wrong(name, "an array"), empty;
  }
  Status status() const { return error_ ? Status(*error_) : Status(); }

 private:
  const json::value* find(json::string_view name) const { return object_.if_contains(name); }
  void wrong(json::string_view name, std::string_view wanted) {
    if (!error_) {
      error_ =
          Error(Fault::invalid, "member '" + std::string(name.data(), name.size()) + "' is not " + std::string(wanted));
    }
  }

  const json::object& object_;
  std::optional<Error> error_;
};

Result<json::object> parse_line(std::string_view line) {
  if (line.size() >= max_control_line_bytes) return Error(Fault::invalid, "the line is too long");
  json::parse_options options;
  options.max_depth = max_depth;
  json::error_code failure;
  const auto value = json::parse(json::string_view(line.data(), line.size()), failure, {}, options);
  if (failure) return Error(Fault::invalid, "not JSON: " + failure.message());
  if (!value.is_object()) return Error(Fault::invalid, "not a JSON object");
  const auto& object = value.get_object();
  Members members(object);
  const auto version = members.number("v");
  KILN_TRY(members.status());
  if (version != control_protocol_version) {
    return Error(Fault::unsupported, "control protocol of version " + std::to_string(version) +
                                         "; this program speaks " + std::to_string(control_protocol_version));
  }
  return object;
}

// The answer that a line is, or the error that it carries.
Result<json::object> parse_answer(std::string_view line) {
  try {
    auto object = parse_line(line);
    if (!object) return object.error().in("answer of the disk server");
    Members members(*object);
    if (members.flag("ok")) return object;
    const auto fault = members.text("fault");
    const auto message = members.text("message");
    KILN_TRY(members.status());
    return Error(fault_named(fault), message);
  } catch (const std::exception& failure) {
    return Error(Fault::invalid, std::string("answer of the disk server: ") + failure.what());
  }
}

json::object json_of(const VolumeStats& stats) {
  return {{"volume", stats.volume},
          {"size_bytes", stats.size_bytes},
          {"reads", stats.reads},
          {"writes", stats.writes},
          {"flushes", stats.flushes},
          {"read_bytes", stats.read_bytes},
          {"written_bytes", stats.written_bytes},
          {"generation", stats.generation},
          {"oldest_generation", stats.oldest_generation},
          {"failed", stats.failed},
          {"failure", printable(stats.failure)}};
}

json::object answer_hello(VolumeService& service) {
  const auto hello = service.hello();
  if (!hello) return refusal(hello.error());
  auto answer = done();
  answer["instance"] = hello->instance;
  answer["protocol"] = hello->protocol;
  answer["volume_format"] = hello->volume_format;
  return answer;
}

json::object answer_seal(VolumeService& service, const json::array& asked) {
  std::vector<SealVolume> cuts;
  for (const auto& value : asked) {
    if (!value.is_object()) return refusal(Error(Fault::invalid, "a cut is not an object"));
    Members members(value.get_object());
    cuts.push_back({.volume = members.text("volume"), .snapshot = members.text("snapshot")});
    if (auto status = members.status(); !status) return refusal(status.error());
  }
  const auto sealed = service.seal(cuts);
  if (!sealed) return refusal(sealed.error());
  json::array volumes;
  for (const auto& one : *sealed) {
    volumes.push_back(json::object{{"volume", one.volume}, {"snapshot", one.snapshot}, {"generation", one.generation}});
  }
  auto answer = done();
  answer["sealed"] = std::move(volumes);
  return answer;
}

json::object answer_stats(VolumeService& service) {
  const auto stats = service.stats();
  if (!stats) return refusal(stats.error());
  json::array volumes;
  for (const auto& one : *stats) volumes.push_back(json_of(one));
  auto answer = done();
  answer["volumes"] = std::move(volumes);
  return answer;
}

json::object answer_launch_touches(VolumeService& service, const std::string& volume) {
  const auto found = service.launch_touches(volume);
  if (!found) return refusal(found.error());
  auto answer = done();
  answer["touches"] = touches_text(found->touches);
  answer["complete"] = found->complete;
  return answer;
}

json::object answer_of(const Status& status) { return status ? done() : refusal(status.error()); }

json::object answer_object(VolumeService& service, const json::object& line) {
  Members members(line);
  const auto name = members.text("call");
  if (auto status = members.status(); !status) return refusal(status.error());
  // Reads what the call needs, and makes the call when all of it was there.
  const auto with = [&](auto what, auto make) {
    auto status = members.status();
    return answer_of(status ? make(what) : status);
  };
  if (name == "hello") return answer_hello(service);
  if (name == "stats") return answer_stats(service);
  if (name == "seal") {
    const auto& cuts = members.array("cuts");
    if (auto status = members.status(); !status) return refusal(status.error());
    return answer_seal(service, cuts);
  }
  if (name == "open") {
    const OpenVolume what{members.text("volume"), members.number("epoch"), members.text("keys")};
    return with(what, [&](const auto& w) { return service.open(w); });
  }
  if (name == "close") return with(members.text("volume"), [&](const auto& w) { return service.close(w); });
  if (name == "sealed" || name == "unseal") {
    const SealVolume what{members.text("volume"), members.text("snapshot")};
    return with(what, [&](const auto& w) { return name == "sealed" ? service.sealed(w) : service.unseal(w); });
  }
  if (name == "rebase") {
    Members base(members.object("base"));
    const RebaseVolume what{members.text("volume"), members.number("generation"),
                            DiskId{base.digest("root"), base.number("size_bytes")}};
    if (auto status = base.status(); !status) return refusal(status.error());
    return with(what, [&](const auto& w) { return service.rebase(w); });
  }
  if (name == "resize") {
    const auto size_bytes = members.number("size_bytes");
    return with(members.text("volume"), [&](const auto& w) { return service.resize(w, size_bytes); });
  }
  if (name == "launch_touches") {
    const auto volume = members.text("volume");
    if (auto status = members.status(); !status) return refusal(status.error());
    return answer_launch_touches(service, volume);
  }
  if (name == "prefetch") {
    PrefetchVolume what{members.text("volume"), {}, members.number("bytes_per_second")};
    for (const auto& chunk : members.array("chunks")) {
      if (!chunk.is_int64() || chunk.get_int64() < 0) return refusal(Error(Fault::invalid, "a chunk is not an index"));
      what.chunks.push_back(static_cast<std::uint64_t>(chunk.get_int64()));
    }
    return with(what, [&](const auto& w) { return service.prefetch(w); });
  }
  return refusal(Error(Fault::unsupported, "no call '" + name + "'"));
}

}  // namespace

std::string hello() { return line_of(call("hello")); }
std::string stats() { return line_of(call("stats")); }

std::string open(const OpenVolume& what) {
  auto line = call("open");
  line["volume"] = what.volume;
  line["epoch"] = what.epoch;
  line["keys"] = what.keys;
  return line_of(line);
}

std::string close(const std::string& volume) {
  auto line = call("close");
  line["volume"] = volume;
  return line_of(line);
}

std::string seal(const std::vector<SealVolume>& what) {
  json::array cuts;
  for (const auto& one : what) cuts.push_back(json_of(one));
  auto line = call("seal");
  line["cuts"] = std::move(cuts);
  return line_of(line);
}

std::string sealed(const SealVolume& what) {
  auto line = call("sealed");
  line["volume"] = what.volume;
  line["snapshot"] = what.snapshot;
  return line_of(line);
}

std::string unseal(const SealVolume& what) {
  auto line = call("unseal");
  line["volume"] = what.volume;
  line["snapshot"] = what.snapshot;
  return line_of(line);
}

std::string rebase(const RebaseVolume& what) {
  auto line = call("rebase");
  line["volume"] = what.volume;
  line["generation"] = what.generation;
  line["base"] = json::object{{"root", what.base.root.hex()}, {"size_bytes", what.base.size_bytes}};
  return line_of(line);
}

std::string resize(const std::string& volume, std::uint64_t size_bytes) {
  auto line = call("resize");
  line["volume"] = volume;
  line["size_bytes"] = size_bytes;
  return line_of(line);
}

std::string launch_touches(const std::string& volume) {
  auto line = call("launch_touches");
  line["volume"] = volume;
  return line_of(line);
}

std::string prefetch(const PrefetchVolume& what) {
  auto line = call("prefetch");
  line["volume"] = what.volume;
  line["chunks"] = json::array(what.chunks.begin(), what.chunks.end());
  line["bytes_per_second"] = what.bytes_per_second;
  return line_of(line);
}

Status read_done(std::string_view line) {
  const auto answer = parse_answer(line);
  return answer ? Status() : answer.error();
}

Result<Hello> read_hello(std::string_view line) {
  const auto answer = parse_answer(line);
  if (!answer) return answer.error();
  Members members(*answer);
  Hello hello;
  hello.instance = members.text("instance");
  hello.protocol = static_cast<std::uint32_t>(members.number("protocol"));
  hello.volume_format = static_cast<std::uint32_t>(members.number("volume_format"));
  KILN_TRY(members.status());
  return hello;
}

Result<std::vector<SealedVolume>> read_sealed(std::string_view line) {
  const auto answer = parse_answer(line);
  if (!answer) return answer.error();
  Members members(*answer);
  std::vector<SealedVolume> sealed;
  for (const auto& value : members.array("sealed")) {
    if (!value.is_object()) return Error(Fault::invalid, "answer of the disk server: a cut is not an object");
    Members one(value.get_object());
    sealed.push_back({one.text("volume"), one.text("snapshot"), one.number("generation")});
    KILN_TRY(one.status());
  }
  KILN_TRY(members.status());
  return sealed;
}

Result<std::vector<VolumeStats>> read_stats(std::string_view line) {
  const auto answer = parse_answer(line);
  if (!answer) return answer.error();
  Members members(*answer);
  std::vector<VolumeStats> volumes;
  for (const auto& value : members.array("volumes")) {
    if (!value.is_object()) return Error(Fault::invalid, "answer of the disk server: a volume is not an object");
    Members one(value.get_object());
    VolumeStats stats;
    stats.volume = one.text("volume");
    stats.size_bytes = one.number("size_bytes");
    stats.reads = one.number("reads");
    stats.writes = one.number("writes");
    stats.flushes = one.number("flushes");
    stats.read_bytes = one.number("read_bytes");
    stats.written_bytes = one.number("written_bytes");
    stats.generation = one.number("generation");
    stats.oldest_generation = one.number("oldest_generation");
    stats.failed = one.flag("failed");
    stats.failure = one.text("failure");
    KILN_TRY(one.status());
    volumes.push_back(std::move(stats));
  }
  KILN_TRY(members.status());
  return volumes;
}

Result<LaunchTouches> read_launch_touches(std::string_view line) {
  const auto answer = parse_answer(line);
  if (!answer) return answer.error();
  Members members(*answer);
  const auto text = members.text("touches");
  const auto complete = members.flag("complete");
  KILN_TRY(members.status());
  auto touches = parse_touches(text);
  if (!touches) return touches.error().in("answer of the disk server");
  return LaunchTouches{.touches = *std::move(touches), .complete = complete};
}

std::string answer_call(VolumeService& service, std::string_view line) {
  try {
    const auto asked = parse_line(line);
    auto answer = line_of(asked ? answer_object(service, *asked) : refusal(asked.error()));
    if (answer.size() < max_control_line_bytes) return answer;
    return line_of(refusal(Error(Fault::failed, "the answer is too long for a line")));
  } catch (const std::exception& failure) {
    return R"({"v":1,"ok":false,"fault":"failed","message":"the disk server ran into an internal error"})";
  }
}

}  // namespace kiln::blocks::control
