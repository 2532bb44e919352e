#pragma once
// JSON as policies are written in: a tree that keeps the order of members and the text of numbers. Pure; any thread.
//
// Where the usual readers keep the last of two members of one name, this one refuses the text: a condition that was
// silently dropped would be a door left open.

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace kiln::policy {

struct Json {
  enum class Kind { null, boolean, number, text, list, object };
  struct Member;

  Kind kind = Kind::null;
  std::string text;             // of a text; of a number and a boolean as they are written
  std::vector<Json> items;      // of a list
  std::vector<Member> members;  // of an object; no name is there twice

  const Json* find(std::string_view name) const;  // null when there is no such member
};

struct Json::Member {
  std::string name;
  Json value;
};

// Fault::invalid for what is not JSON, is nested deeper than depth, or has a member twice.
base::Result<Json> parse_json(std::string_view text, std::size_t depth);

}  // namespace kiln::policy
