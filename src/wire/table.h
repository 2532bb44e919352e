#pragma once
// One macro line per struct turns it into a constant table that every AWS protocol reads and writes.
//
//   struct DescribeImagesRequest {
//     std::vector<std::string> image_id;
//     std::vector<Filter> filter;
//     std::optional<int> max_results;
//   };
//   KILN_WIRE(kiln::services::ec2::DescribeImagesRequest, image_id, filter, max_results)
//
// The macros stand at global namespace scope. Names on the wire follow from the member: image_id is ImageId in queries
// and JSON, and imageId in EC2's XML; a trailing underscore (return_) keeps clear of C++ keywords and is not written.
// KILN_WIRE_NAME and KILN_WIRE_IN say otherwise for one member and stand before the KILN_WIRE of its type.
//
// A member is a std::string (enumerations too), bool, int, std::int64_t, double, Timestamp, Blob, another such struct,
// or an optional or vector of one of these; in services that speak JSON also TextMap. Tables are constants that refer
// to types by functions, so that a struct may hold a vector of itself. They are immutable and safe on every thread.

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/time.h"
#include "wire/for_each.h"

namespace kiln::wire {

struct Timestamp {
  base::Micros micros = 0;
  auto operator<=>(const Timestamp&) const = default;
};

// Bytes that travel as base64.
struct Blob {
  std::string bytes;
  auto operator<=>(const Blob&) const = default;
};

// Keys and values, of services that speak JSON: the query protocols read and write none.
using TextMap = std::map<std::string, std::string>;

// Where a member of a REST request or response travels.
enum class In : unsigned char { body, header, uri, payload, query };

enum class Kind : unsigned char {
  text,
  boolean,
  int32,
  int64,
  real,
  timestamp,
  blob,
  text_map,
  optional,
  list,
  structure
};

struct Type;

struct Member {
  std::string_view upper;  // ImageId: query parameters, query XML, JSON
  std::string_view lower;  // imageId: EC2's XML
  In in = In::body;
  std::string_view bound_name;  // the header, label or query key of a member that is not in the body
  const Type& (*type)();
  void* (*at)(void* structure);

  const void* at_const(const void* structure) const { return at(const_cast<void*>(structure)); }
};

struct Type {
  Kind kind;
  // Of a list and an optional, which is a list of at most one:
  const Type& (*element)() = nullptr;
  std::size_t (*size)(const void* list) = nullptr;
  const void* (*get)(const void* list, std::size_t index) = nullptr;
  void* (*append)(void* list) = nullptr;
  // Of a structure:
  std::span<const Member> members = {};
};

template <class T>
struct TypeOf;  // undefined for a type that has no KILN_WIRE line

template <class T>
const Type& type_of() {
  return TypeOf<T>::type;
}

template <>
struct TypeOf<std::string> {
  static constexpr Type type{.kind = Kind::text};
};
template <>
struct TypeOf<bool> {
  static constexpr Type type{.kind = Kind::boolean};
};
template <>
struct TypeOf<int> {
  static constexpr Type type{.kind = Kind::int32};
};
template <>
struct TypeOf<std::int64_t> {
  static constexpr Type type{.kind = Kind::int64};
};
template <>
struct TypeOf<double> {
  static constexpr Type type{.kind = Kind::real};
};
template <>
struct TypeOf<Timestamp> {
  static constexpr Type type{.kind = Kind::timestamp};
};
template <>
struct TypeOf<Blob> {
  static constexpr Type type{.kind = Kind::blob};
};

template <>
struct TypeOf<TextMap> {
  static constexpr Type type{.kind = Kind::text_map};
};

template <class T>
struct TypeOf<std::optional<T>> {
  using Maybe = std::optional<T>;
  static constexpr Type type{
      .kind = Kind::optional,
      .element = type_of<T>,
      .size = [](const void* p) -> std::size_t { return static_cast<const Maybe*>(p)->has_value() ? 1 : 0; },
      .get = [](const void* p, std::size_t) -> const void* { return &**static_cast<const Maybe*>(p); },
      .append = [](void* p) -> void* { return &static_cast<Maybe*>(p)->emplace(); },
  };
};

template <class T>
struct TypeOf<std::vector<T>> {
  static_assert(!std::is_same_v<T, bool>, "std::vector<bool> has no elements to point to");
  using List = std::vector<T>;
  static constexpr Type type{
      .kind = Kind::list,
      .element = type_of<T>,
      .size = [](const void* p) -> std::size_t { return static_cast<const List*>(p)->size(); },
      .get = [](const void* p, std::size_t i) -> const void* { return &(*static_cast<const List*>(p))[i]; },
      .append = [](void* p) -> void* { return &static_cast<List*>(p)->emplace_back(); },
  };
};

// What KILN_WIRE_NAME and KILN_WIRE_IN specialise.
struct Binding {
  In in = In::body;
  std::string_view name;
};
template <auto member>
inline constexpr std::string_view exact_name{};
template <auto member>
inline constexpr Binding binding{};

namespace table {

template <std::size_t size>
struct Literal {
  char text[size];
  consteval Literal(const char (&from)[size]) {
    for (std::size_t i = 0; i < size; ++i) text[i] = from[i];
  }
};

template <std::size_t size>
struct Name {
  std::array<char, size> text{};
  std::size_t length = 0;
  constexpr std::string_view view() const { return {text.data(), length}; }
};

template <std::size_t size>
consteval Name<size> camel(const char (&snake)[size], bool upper) {
  Name<size> name;
  for (std::size_t i = 0; i + 1 < size; ++i) {
    if (snake[i] == '_') {
      upper = true;
      continue;
    }
    const bool raise = upper && snake[i] >= 'a' && snake[i] <= 'z';
    name.text[name.length++] = raise ? static_cast<char>(snake[i] - 'a' + 'A') : snake[i];
    upper = false;
  }
  return name;
}

template <Literal snake>
struct Names {
  static constexpr auto upper = camel(snake.text, true);
  static constexpr auto lower = camel(snake.text, false);
};

template <auto>
struct Access;
template <class Struct, class T, T Struct::*pointer>
struct Access<pointer> {
  using Held = T;
  static void* at(void* structure) { return &(static_cast<Struct*>(structure)->*pointer); }
};

template <auto pointer, Literal snake>
consteval Member member() {
  constexpr std::string_view exact = exact_name<pointer>;
  constexpr Binding bound = binding<pointer>;
  return {.upper = exact.empty() ? Names<snake>::upper.view() : exact,
          .lower = exact.empty() ? Names<snake>::lower.view() : exact,
          .in = bound.in,
          .bound_name = bound.name,
          .type = type_of<typename Access<pointer>::Held>,
          .at = Access<pointer>::at};
}

}  // namespace table
}  // namespace kiln::wire

// The members of Structure that are on the wire, in the order in which they are written.
#define KILN_WIRE(Structure, ...)                                                                        \
  template <>                                                                                            \
  struct kiln::wire::TypeOf<Structure> {                                                                 \
    using Self = Structure;                                                                              \
    static constexpr ::kiln::wire::Member members[] = {KILN_FOR_EACH(KILN_WIRE_MEMBER, __VA_ARGS__)};    \
    static constexpr ::kiln::wire::Type type{.kind = ::kiln::wire::Kind::structure, .members = members}; \
  };
#define KILN_WIRE_MEMBER(member_) ::kiln::wire::table::member<&Self::member_, #member_>(),

// A struct without members on the wire.
#define KILN_WIRE_EMPTY(Structure)                                                   \
  template <>                                                                        \
  struct kiln::wire::TypeOf<Structure> {                                             \
    static constexpr ::kiln::wire::Type type{.kind = ::kiln::wire::Kind::structure}; \
  };

// The exact wire name of a member, in every protocol, where the rule does not give it.
#define KILN_WIRE_NAME(Structure, member_, text) \
  template <>                                    \
  inline constexpr std::string_view kiln::wire::exact_name<&Structure::member_> = text;

// A member that travels in a header, in the path, in the query string, or is the whole body (payload).
#define KILN_WIRE_IN(Structure, member_, where, text) \
  template <>                                         \
  inline constexpr kiln::wire::Binding kiln::wire::binding<&Structure::member_>{where, text};
