#pragma once
// Filters and pages of Describe operations, over the shapes that they answer with.
//
// Between filters AND, within a filter's values OR; * and ? are wildcards; names and values are case-sensitive
// (API_Filter in the EC2 API Reference). Pure functions; they throw ApiError.
//
//   const Filterable<Image> image_filters[] = {{"name", [](const Image& i) { return one(i.name); }}, ...};
//   keep_matching<Image>(images, image_filters, request.filter);

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/api_error.h"
#include "base/text.h"
#include "services/ec2/shapes_common.h"

namespace kiln::services::ec2 {

template <class T>
struct Filterable {
  std::string_view name;
  std::vector<std::string> (*values)(const T&);  // the filter matches when any of them does
};

inline std::vector<std::string> one(std::string value) { return {std::move(value)}; }
inline std::vector<std::string> one(bool value) { return {value ? "true" : "false"}; }
template <class T>
std::vector<std::string> one(const std::optional<T>& value) {
  return value ? one(*value) : std::vector<std::string>{};
}

bool any_matches(const std::vector<std::string>& patterns, const std::vector<std::string>& values);
// tag:<key> and tag-key; nothing when the filter is neither.
std::optional<bool> tag_filter_matches(const Filter& filter, const std::vector<Tag>& tags);
[[noreturn]] void refuse_filter(const std::string& name);
void check_filters(const std::vector<Filter>& filters);  // names given, at most 200 values each

template <class T>
void keep_matching(std::vector<T>& items, std::span<const Filterable<std::type_identity_t<T>>> known,
                   const std::vector<Filter>& filters) {
  check_filters(filters);
  for (const Filter& filter : filters) {
    const auto row = std::find_if(known.begin(), known.end(), [&](const auto& k) { return k.name == filter.name; });
    if constexpr (requires(const T& t) { t.tag_set; }) {
      if (tag_filter_matches(filter, {})) {
        std::erase_if(items, [&](const T& item) { return !*tag_filter_matches(filter, item.tag_set); });
        continue;
      }
    }
    if (row == known.end()) refuse_filter(filter.name);
    std::erase_if(items, [&](const T& item) { return !any_matches(filter.value, row->values(item)); });
  }
}

template <class T>
struct Page {
  std::vector<T> items;
  std::optional<std::string> next_token;
};

struct PageRequest {
  std::optional<int> max_results;
  std::optional<std::string> next_token;
  bool has_ids = false;  // ids and pages exclude each other
  int least = 5, most = 1000;
};

// The id after which a page starts; empty for the first one. Checks the request.
std::string page_start(const PageRequest& request);
std::string page_token(const std::string& last_id);

// Orders by id and cuts one page. id gives an item's id, which must be unique.
template <class T, class Id>
Page<T> paginate(std::vector<T> items, const PageRequest& request, Id id) {
  const std::string after = page_start(request);
  std::sort(items.begin(), items.end(), [&](const T& a, const T& b) { return id(a) < id(b); });
  if (!after.empty()) std::erase_if(items, [&](const T& item) { return id(item) <= after; });
  Page<T> page{std::move(items), {}};
  if (request.max_results && page.items.size() > static_cast<std::size_t>(*request.max_results)) {
    page.items.resize(static_cast<std::size_t>(*request.max_results));
    page.next_token = page_token(id(page.items.back()));
  }
  return page;
}

}  // namespace kiln::services::ec2
