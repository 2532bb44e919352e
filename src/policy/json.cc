#include "policy/json.h"

#include <algorithm>
#include <boost/json.hpp>
#include <boost/json/basic_parser_impl.hpp>
#include <utility>

namespace kiln::policy {
namespace {

namespace json = boost::json;

// What Boost's parser calls as it reads; every value goes to the innermost container that is still open.
class TreeBuilder {
 public:
  static constexpr std::size_t max_object_size = 4096;
  static constexpr std::size_t max_array_size = 4096;
  static constexpr std::size_t max_key_size = 1 << 20;
  static constexpr std::size_t max_string_size = 1 << 20;

  Json take() { return std::move(root_); }
  const std::string& repeated() const { return repeated_; }

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) { return open(Json::Kind::object); }
  bool on_object_end(std::size_t, json::error_code&) { return close(); }
  bool on_array_begin(json::error_code&) { return open(Json::Kind::list); }
  bool on_array_end(std::size_t, json::error_code&) { return close(); }

  bool on_key_part(json::string_view part, std::size_t, json::error_code&) { return gather(part); }
  bool on_key(json::string_view part, std::size_t, json::error_code& error) {
    gather(part);
    if (open_.back()->find(gathered_) != nullptr) {
      repeated_ = gathered_;
      error = json::error::exception;
      return false;
    }
    open_.back()->members.push_back({.name = std::exchange(gathered_, {}), .value = {}});
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t, json::error_code&) { return gather(part); }
  bool on_string(json::string_view part, std::size_t, json::error_code&) {
    gather(part);
    return scalar(Json::Kind::text);
  }
  bool on_number_part(json::string_view part, json::error_code&) { return gather(part); }
  bool on_int64(std::int64_t, json::string_view part, json::error_code&) { return number(part); }
  bool on_uint64(std::uint64_t, json::string_view part, json::error_code&) { return number(part); }
  bool on_double(double, json::string_view part, json::error_code&) { return number(part); }
  bool on_bool(bool value, json::error_code&) {
    gathered_ = value ? "true" : "false";
    return scalar(Json::Kind::boolean);
  }
  bool on_null(json::error_code&) { return scalar(Json::Kind::null); }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  bool gather(json::string_view part) {
    gathered_.append(part.data(), part.size());
    return true;
  }
  bool number(json::string_view part) {
    gather(part);
    return scalar(Json::Kind::number);
  }
  Json& place() {
    if (open_.empty()) return root_;
    Json& parent = *open_.back();
    return parent.kind == Json::Kind::list ? parent.items.emplace_back() : parent.members.back().value;
  }
  bool scalar(Json::Kind kind) {
    Json& value = place();
    value.kind = kind;
    value.text = std::exchange(gathered_, {});
    return true;
  }
  // The address stays good until the container is closed: its parent gets no other value before that.
  bool open(Json::Kind kind) {
    Json& value = place();
    value.kind = kind;
    open_.push_back(&value);
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  Json root_;
  std::vector<Json*> open_;
  std::string gathered_;
  std::string repeated_;
};

}  // namespace

const Json* Json::find(std::string_view name) const {
  const auto found = std::ranges::find(members, name, &Member::name);
  return found == members.end() ? nullptr : &found->value;
}

base::Result<Json> parse_json(std::string_view text, std::size_t depth) {
  json::parse_options options;
  options.max_depth = depth;
  json::basic_parser<TreeBuilder> parser(options);
  json::error_code error;
  const std::size_t read = parser.write_some(false, text.data(), text.size(), error);
  if (!parser.handler().repeated().empty()) {
    return base::Error(base::Fault::invalid, "the member " + parser.handler().repeated() + " is there twice");
  }
  if (error == json::error::too_deep) return base::Error(base::Fault::invalid, "nested too deep");
  if (error || read != text.size()) {
    return base::Error(base::Fault::invalid, "no JSON at character " + std::to_string(read + 1));
  }
  return parser.handler().take();
}

}  // namespace kiln::policy
