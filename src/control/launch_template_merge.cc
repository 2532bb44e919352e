// merge_parameters() of launch_templates.h.
#include <set>

#include "base/text.h"
#include "control/launch_templates.h"

namespace kiln::control {
namespace {

using Pair = wire::Params::Pair;

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// "BlockDeviceMapping.2.Ebs.Iops" is item 2 of BlockDeviceMapping, and "Ebs.Iops" in it.
struct Place {
  std::string list, item, rest;
};
std::optional<Place> place_in_list(const std::string& name) {
  const auto words = base::split(name, '.');
  if (words.size() < 2 || !is_number(words[1])) return {};
  const auto head = words[0].size() + 1 + words[1].size();
  return Place{.list = std::string(words[0]),
               .item = std::string(words[1]),
               .rest = name.size() > head ? name.substr(head + 1) : std::string()};
}

std::vector<std::string> items_of(const wire::Params& params, const std::string& list) {
  std::vector<std::string> items;
  for (const auto& [name, value] : params.all()) {
    const auto place = place_in_list(name);
    if (place && place->list == list && (items.empty() || items.back() != place->item)) items.push_back(place->item);
  }
  return items;
}

std::string word(const wire::Params& params, const std::string& name) {
  return std::string(params.find(name).value_or(""));
}

void copy_item(const wire::Params& from, const std::string& list, const std::string& item, const std::string& to,
               std::vector<Pair>& pairs) {
  const auto path = list + "." + item;
  for (const auto& [name, value] : from.all()) {
    if (name.starts_with(path + ".")) pairs.emplace_back(list + "." + to + name.substr(path.size()), value);
  }
}

// Items that one list has and the other has not, told apart by a member of theirs, behind the others.
void append_other_items(const wire::Params& request, const wire::Params& of_template, const std::string& list,
                        const std::string& key, std::vector<Pair>& pairs) {
  std::set<std::string> there;
  unsigned long last = 0;
  for (const auto& item : items_of(request, list)) {
    there.insert(word(request, list + "." + item + "." + key));
    if (item.size() < 9) last = std::max(last, std::stoul(item));
  }
  for (const auto& item : items_of(of_template, list)) {
    if (there.contains(word(of_template, list + "." + item + "." + key))) continue;
    copy_item(of_template, list, item, std::to_string(++last), pairs);
  }
}

// Of a type of resource that both tag: the template's tags whose keys the request does not have.
void append_tags(const wire::Params& request, const wire::Params& of_template, std::vector<Pair>& pairs) {
  constexpr const char* list = "TagSpecification";
  append_other_items(request, of_template, list, "ResourceType", pairs);
  for (const auto& item : items_of(request, list)) {
    const auto path = std::string(list) + "." + item;
    for (const auto& other : items_of(of_template, list)) {
      const auto from = std::string(list) + "." + other;
      if (word(request, path + ".ResourceType") != word(of_template, from + ".ResourceType")) continue;
      std::set<std::string> keys;
      int last = 0;
      for (; request.has_under(path + ".Tag." + std::to_string(last + 1)); ++last) {
        keys.insert(word(request, path + ".Tag." + std::to_string(last + 1) + ".Key"));
      }
      for (int i = 1; of_template.has_under(from + ".Tag." + std::to_string(i)); ++i) {
        const auto tag = from + ".Tag." + std::to_string(i);
        if (keys.contains(word(of_template, tag + ".Key"))) continue;
        const auto to = path + ".Tag." + std::to_string(++last);
        pairs.emplace_back(to + ".Key", word(of_template, tag + ".Key"));
        pairs.emplace_back(to + ".Value", word(of_template, tag + ".Value"));
      }
    }
  }
}

}  // namespace

wire::Params merge_parameters(const wire::Params& request, const wire::Params& of_template) {
  auto pairs = request.all();
  for (const auto& [name, value] : of_template.all()) {
    const auto place = place_in_list(name);
    if (place && (place->list == "BlockDeviceMapping" || place->list == "TagSpecification")) continue;
    // A role is named by one of two members, and a list is taken or left as a whole.
    const bool whole = name.starts_with("IamInstanceProfile.");
    const auto head = whole ? std::string("IamInstanceProfile") : place ? place->list : name;
    if (!request.has_under(head)) pairs.emplace_back(name, value);
  }
  append_other_items(request, of_template, "BlockDeviceMapping", "DeviceName", pairs);
  append_tags(request, of_template, pairs);
  return wire::Params::of(std::move(pairs));
}

}  // namespace kiln::control
