#include "wire/json.h"

#include <boost/json.hpp>
#include <cmath>
#include <limits>

#include "base/api_error.h"
#include "base/text.h"
#include "wire/scalar.h"
#include "wire/utf8.h"

namespace kiln::wire {
namespace {

namespace json = boost::json;

[[noreturn]] void refuse(const std::string& why) { throw base::ApiError("SerializationException", why); }

std::string_view name_of(const Member& member, JsonNames names) {
  return names == JsonNames::upper ? member.upper : member.lower;
}

// Seconds since 1970 as the number may hold them: the years 1 to 9999, so that the product with a million fits.
bool parse_epoch(const json::value& from, Timestamp& time) {
  if (!from.is_number()) return false;
  const double seconds = from.to_number<double>();
  if (!(std::abs(seconds) < 253'402'300'800.0)) return false;
  time.micros = std::llround(seconds * 1e6);
  return true;
}

bool parse_scalar_json(Kind kind, const json::value& from, void* value) {
  if (kind == Kind::timestamp && from.is_number()) return parse_epoch(from, *static_cast<Timestamp*>(value));
  if (from.is_string()) {
    const bool spelled = kind == Kind::text || kind == Kind::blob || kind == Kind::timestamp;
    return spelled && parse_scalar(kind, std::string_view(from.get_string()), value);
  }
  if (kind == Kind::boolean && from.is_bool()) {
    *static_cast<bool*>(value) = from.get_bool();
    return true;
  }
  json::error_code error;
  if (!from.is_number()) return false;
  switch (kind) {
    case Kind::int32: *static_cast<int*>(value) = from.to_number<int>(error); break;
    case Kind::int64: *static_cast<std::int64_t*>(value) = from.to_number<std::int64_t>(error); break;
    case Kind::real: *static_cast<double*>(value) = from.to_number<double>(error); break;
    default: return false;
  }
  return !error;
}

class Decoder {
 public:
  explicit Decoder(JsonNames names) : names_(names) {}

  void structure(const json::value& from, const Type& type, void* value) {
    if (!from.is_object()) refuse((path_.empty() ? "The body" : path_) + " is not an object.");
    for (const Member& member : type.members) {
      if (member.in != In::body) continue;
      const json::value* found = from.get_object().if_contains(name_of(member, names_));
      if (found == nullptr || found->is_null()) continue;
      const std::size_t length = path_.size();
      if (length > 0) path_ += '.';
      path_ += name_of(member, names_);
      decode(*found, member.type(), member.at(value));
      path_.resize(length);
    }
  }

 private:
  void decode(const json::value& from, const Type& type, void* value) {
    switch (type.kind) {
      case Kind::optional: return decode(from, type.element(), type.append(value));
      case Kind::structure: return structure(from, type, value);
      case Kind::list: {
        if (!from.is_array()) refuse(path_ + " is not a list.");
        for (const json::value& element : from.get_array()) decode(element, type.element(), type.append(value));
        return;
      }
      case Kind::text_map: return text_map(from, *static_cast<TextMap*>(value));
      default:
        if (!parse_scalar_json(type.kind, from, value)) refuse("The value of " + path_ + " is of the wrong type.");
    }
  }

  void text_map(const json::value& from, TextMap& value) {
    if (!from.is_object()) refuse(path_ + " is not an object.");
    for (const auto& [key, held] : from.get_object()) {
      if (!held.is_string()) refuse("A value of " + path_ + " is not text.");
      value.insert_or_assign(std::string(key), std::string(held.get_string()));
    }
  }

  const JsonNames names_;
  std::string path_;
};

void encode_text_map(const TextMap& map, std::string& out) {
  out += '{';
  std::string_view before;
  for (const auto& [key, value] : map) {
    append_json_text(key, out += before);
    append_json_text(value, out += ':');
    before = ",";
  }
  out += '}';
}

void encode_value(JsonNames names, const Type& type, const void* value, std::string& out) {
  switch (type.kind) {
    case Kind::structure: return encode_json(names, type, value, out);
    case Kind::list: {
      const std::size_t count = type.size(value);
      out += '[';
      for (std::size_t i = 0; i < count; ++i) {
        if (i > 0) out += ',';
        encode_value(names, type.element(), type.get(value, i), out);
      }
      out += ']';
      return;
    }
    case Kind::optional:
      if (type.size(value) == 0)
        out += "null";
      else
        encode_value(names, type.element(), type.get(value, 0), out);
      return;
    case Kind::text: return append_json_text(*static_cast<const std::string*>(value), out);
    case Kind::blob: return append_json_text(base::to_base64(static_cast<const Blob*>(value)->bytes), out);
    case Kind::text_map: return encode_text_map(*static_cast<const TextMap*>(value), out);
    case Kind::timestamp: {
      const double seconds = static_cast<double>(static_cast<const Timestamp*>(value)->micros) / 1e6;
      return print_scalar(Kind::real, &seconds, out);
    }
    case Kind::real:
      // JSON has no infinities; AWS spells them as text.
      if (const double number = *static_cast<const double*>(value); !std::isfinite(number)) {
        out += std::isnan(number) ? "\"NaN\"" : number > 0 ? "\"Infinity\"" : "\"-Infinity\"";
        return;
      }
      [[fallthrough]];
    default: return print_scalar(type.kind, value, out);
  }
}

}  // namespace

void decode_json(std::string_view text, JsonNames names, const Type& type, void* value) {
  if (base::trim(text).empty()) return;
  json::error_code error;
  const json::value parsed = json::parse(json::string_view(text.data(), text.size()), error);
  if (error) refuse("The body is not JSON: " + error.message() + ".");
  Decoder(names).structure(parsed, type, value);
}

void append_json_text(std::string_view text, std::string& out) {
  static constexpr std::string_view hex = "0123456789abcdef";
  out += '"';
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '"' || c == '\\') {
      (out += '\\') += text[i++];
    } else if (c < 0x20) {
      ((out += "\\u00") += hex[c >> 4]) += hex[c & 15];
      ++i;
    } else {
      const Utf8 next = next_utf8(text.substr(i));
      out += next.valid ? text.substr(i, next.length) : std::string_view("\xEF\xBF\xBD");
      i += next.length;
    }
  }
  out += '"';
}

void encode_json(JsonNames names, const Type& type, const void* value, std::string& out) {
  out += '{';
  bool first = true;
  for (const Member& member : type.members) {
    const Type& held = member.type();
    const void* at = member.at_const(value);
    if (member.in != In::body || (held.kind == Kind::optional && held.size(at) == 0)) continue;
    if (!first) out += ',';
    first = false;
    append_json_text(name_of(member, names), out);
    out += ':';
    encode_value(names, held, at, out);
  }
  out += '}';
}

}  // namespace kiln::wire
