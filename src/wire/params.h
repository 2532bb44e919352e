#pragma once
// The parameters of a query-protocol request: a form body or a query string, sorted by name.
//
// An empty value counts as absent, as on AWS: Packer sends UserData= and SubnetId= when it means nothing. Immutable
// once parsed. Bounds: 10,000 parameters, names of 512 bytes; the size of the whole is the server's to limit.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kiln::wire {

class Params {
 public:
  using Pair = std::pair<std::string, std::string>;

  Params() = default;
  // Throws ApiError (InvalidQueryParameter) when text is malformed, too much, or names a parameter twice.
  static Params parse(std::string_view text);
  // The same of a service whose lists are a name given several times.
  static Params parse_lists(std::string_view text);

  // Of names that are each there once; an empty value is left out.
  static Params of(std::vector<Pair> pairs);

  // Nothing when it is absent or empty.
  std::optional<std::string_view> find(std::string_view name) const;
  // Whether name itself or anything under "name." is there.
  bool has_under(std::string_view name) const;
  // All pairs in order whose name starts with "name."; path is the same with the dot.
  std::vector<Pair>::const_iterator first_under(std::string_view path_with_dot) const;

  const std::vector<Pair>& all() const { return pairs_; }

 private:
  static Params parse_pairs(std::string_view text);

  std::vector<Pair> pairs_;
};

}  // namespace kiln::wire
