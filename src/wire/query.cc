#include "wire/query.h"

#include <algorithm>
#include <charconv>

#include "base/api_error.h"
#include "wire/scalar.h"

namespace kiln::wire {
namespace {

constexpr std::size_t longest_shown = 128;

[[noreturn]] void refuse(std::string_view value, const std::string& path) {
  throw base::ApiError("InvalidParameterValue", "Value (" + std::string(value.substr(0, longest_shown)) +
                                                    ") for parameter " + path + " is invalid.");
}

class Decoder {
 public:
  Decoder(const Params& params, Lists lists) : params_(params), lists_(lists) {}

  void structure(const Type& type, void* value) {
    const std::size_t length = path_.size();
    for (const Member& member : type.members) {
      if (length > 0) path_ += '.';
      path_ += member.upper;
      decode(member.type(), member.at(value));
      path_.resize(length);
    }
  }

 private:
  // Nothing is created that no parameter names, so the nesting of a request bounds the recursion.
  void decode(const Type& type, void* value) {
    switch (type.kind) {
      case Kind::optional: {
        const Type& held = type.element();
        const bool named = is_scalar(held.kind) ? params_.find(path_).has_value() : params_.has_under(path_);
        if (named) decode(held, type.append(value));
        return;
      }
      case Kind::list: return list(type, value);
      case Kind::structure:
        if (params_.has_under(path_)) structure(type, value);
        return;
      default:
        if (const auto text = params_.find(path_); text && !parse_scalar(type.kind, *text, value)) refuse(*text, path_);
    }
  }

  void list(const Type& type, void* value) {
    const std::size_t length = path_.size();
    // A list without an index would otherwise be ignored, and a filter that is ignored lets everything through.
    if (const auto text = params_.find(path_)) refuse(*text, path_);
    path_ += lists_ == Lists::members ? ".member." : ".";
    for (const std::uint32_t index : indexes()) {
      const std::size_t prefix = path_.size();
      path_ += std::to_string(index);
      decode(type.element(), type.append(value));
      path_.resize(prefix);
    }
    path_.resize(length);
  }

  // The numbers that follow path_, ascending.
  std::vector<std::uint32_t> indexes() const {
    std::vector<std::uint32_t> found;
    const auto& all = params_.all();
    for (auto pair = params_.first_under(path_); pair != all.end() && pair->first.starts_with(path_); ++pair) {
      const std::string_view rest = std::string_view(pair->first).substr(path_.size());
      const std::string_view digits = rest.substr(0, rest.find('.'));
      std::uint32_t index = 0;
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
      if (error != std::errc() || end != digits.data() + digits.size() || digits.front() == '0') {
        refuse(pair->second, pair->first);
      }
      if (found.empty() || found.back() != index) found.push_back(index);
    }
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
  }

  const Params& params_;
  const Lists lists_;
  std::string path_;
};

}  // namespace

void decode_query(const Params& params, Lists lists, const Type& type, void* request) {
  Decoder(params, lists).structure(type, request);
}

}  // namespace kiln::wire
