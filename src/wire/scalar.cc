#include "wire/scalar.h"

#include <charconv>
#include <cmath>

#include "base/text.h"

namespace kiln::wire {
namespace {

template <class Number>
bool parse_number(std::string_view text, void* value) {
  Number parsed{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
  if (error != std::errc() || end != text.data() + text.size()) return false;
  *static_cast<Number*>(value) = parsed;
  return true;
}

bool parse_boolean(std::string_view text, void* value) {
  // Python clients of old send True and False.
  const bool yes = text == "true" || text == "True";
  if (!yes && text != "false" && text != "False") return false;
  *static_cast<bool*>(value) = yes;
  return true;
}

template <class Number>
void print_number(const void* value, std::string& out) {
  char digits[32];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, *static_cast<const Number*>(value));
  out.append(digits, end);
}

}  // namespace

bool is_scalar(Kind kind) { return kind != Kind::optional && kind != Kind::list && kind != Kind::structure; }

bool parse_scalar(Kind kind, std::string_view text, void* value) {
  switch (kind) {
    case Kind::text: static_cast<std::string*>(value)->assign(text); return true;
    case Kind::boolean: return parse_boolean(text, value);
    case Kind::int32: return parse_number<int>(text, value);
    case Kind::int64: return parse_number<std::int64_t>(text, value);
    case Kind::real: return parse_number<double>(text, value) && std::isfinite(*static_cast<double*>(value));
    case Kind::timestamp: {
      const auto time = base::from_iso8601(text);
      if (time) static_cast<Timestamp*>(value)->micros = *time;
      return time.has_value();
    }
    case Kind::blob: {
      auto bytes = base::from_base64(text);
      if (bytes) static_cast<Blob*>(value)->bytes = std::move(*bytes);
      return bytes.has_value();
    }
    default: return false;
  }
}

void print_scalar(Kind kind, const void* value, std::string& out) {
  switch (kind) {
    case Kind::text: out += *static_cast<const std::string*>(value); return;
    case Kind::boolean: out += *static_cast<const bool*>(value) ? "true" : "false"; return;
    case Kind::int32: return print_number<int>(value, out);
    case Kind::int64: return print_number<std::int64_t>(value, out);
    case Kind::real: return print_number<double>(value, out);
    case Kind::timestamp: out += base::to_iso8601(static_cast<const Timestamp*>(value)->micros); return;
    case Kind::blob: out += base::to_base64(static_cast<const Blob*>(value)->bytes); return;
    default: return;
  }
}

}  // namespace kiln::wire
