#include "control/allowed_images.h"

#include <algorithm>
#include <boost/json.hpp>
#include <stdexcept>

#include "base/api_error.h"
#include "base/text.h"
#include "control/sharing.h"

namespace kiln::control {
namespace {

namespace json = boost::json;
using base::ApiError;
using catalog::Image;

constexpr std::size_t most_criteria = 10, most_providers = 200, most_names = 50;
constexpr int most_days = 2'147'483'647 / 2;

[[noreturn]] void refuse(const std::string& why) { throw ApiError("InvalidParameterValue", why); }

// --- as the row keeps them

json::array texts(const std::vector<std::string>& list) {
  json::array all;
  for (const auto& text : list) all.emplace_back(json::string(text));
  return all;
}

std::string to_text(const std::vector<ImageCriterion>& criteria) {
  json::array all;
  for (const auto& each : criteria) {
    json::object one{{"providers", texts(each.providers)},
                     {"product_codes", texts(each.product_codes)},
                     {"names", texts(each.names)}};
    if (each.days_since_created) one["days_since_created"] = *each.days_since_created;
    if (each.days_since_deprecated) one["days_since_deprecated"] = *each.days_since_deprecated;
    all.push_back(std::move(one));
  }
  return all.empty() ? std::string() : json::serialize(all);
}

std::vector<std::string> texts(const json::object& one, const char* name) {
  std::vector<std::string> list;
  for (const auto& item : one.at(name).as_array()) list.emplace_back(item.as_string());
  return list;
}

std::optional<int> number(const json::object& one, const char* name) {
  const json::value* const value = one.if_contains(name);
  if (value == nullptr) return {};
  return static_cast<int>(value->as_int64());
}

std::vector<ImageCriterion> from_text(const std::string& text) {
  std::vector<ImageCriterion> criteria;
  if (text.empty()) return criteria;
  const auto parsed = json::parse(text);
  for (const auto& item : parsed.as_array()) {
    const auto& one = item.as_object();
    criteria.push_back({.providers = texts(one, "providers"),
                        .product_codes = texts(one, "product_codes"),
                        .names = texts(one, "names"),
                        .days_since_created = number(one, "days_since_created"),
                        .days_since_deprecated = number(one, "days_since_deprecated")});
  }
  return criteria;
}

AllowedImages from_row(const catalog::SharingSettings& row) {
  return {.state = row.allowed_images, .criteria = from_text(row.image_criteria)};
}

// --- what is taken

void check_providers(const ImageCriterion& criterion) {
  constexpr std::string_view aliases[] = {"amazon", "aws-marketplace", "aws-backup-vault", "none"};
  if (criterion.providers.size() > most_providers) refuse("A criterion has at most 200 image providers.");
  for (const auto& provider : criterion.providers) {
    if (!is_account_id(provider) && std::ranges::find(aliases, provider) == std::end(aliases)) {
      refuse("Value (" + provider + ") for parameter imageProviders is invalid.");
    }
    if (provider == "none" &&
        (criterion.providers.size() > 1 || !(criterion == ImageCriterion{.providers = {"none"}}))) {
      refuse("The image provider 'none' stands alone in its criterion.");
    }
  }
}

void check_days(const std::optional<int>& days) {
  if (days && (*days < 0 || *days > most_days)) refuse("Value (" + std::to_string(*days) + ") is no number of days.");
}

void check(const std::vector<ImageCriterion>& criteria) {
  if (criteria.size() > most_criteria) refuse("There can be at most 10 image criteria.");
  for (const auto& criterion : criteria) {
    if (criterion == ImageCriterion{}) refuse("An image criterion is empty.");
    check_providers(criterion);
    if (criterion.product_codes.size() > most_names || criterion.names.size() > most_names) {
      refuse("A criterion has at most 50 image names and 50 product codes.");
    }
    constexpr std::string_view in_names = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789()[] ./-'@_*?";
    for (const auto& name : criterion.names) {
      if (name.empty() || name.size() > 128 || name.find_first_not_of(in_names) != std::string::npos) {
        refuse("Value (" + name + ") for parameter imageNames is invalid.");
      }
    }
    check_days(criterion.days_since_created);
    check_days(criterion.days_since_deprecated);
  }
}

bool fits_one(const ImageCriterion& criterion, const Image& image, base::Micros now) {
  constexpr base::Micros day = base::seconds(86'400);
  if (!criterion.product_codes.empty()) return false;
  if (!criterion.providers.empty() &&
      std::ranges::find(criterion.providers, image.account) == criterion.providers.end())
    return false;
  if (!criterion.names.empty() &&
      std::ranges::none_of(criterion.names, [&](const auto& n) { return base::matches_wildcard(n, image.name); })) {
    return false;
  }
  if (criterion.days_since_created && now - image.created > *criterion.days_since_created * day) return false;
  return !criterion.days_since_deprecated || !image.deprecation ||
         now - *image.deprecation <= *criterion.days_since_deprecated * day;
}

template <class Change>
void change(Region& region, const std::string& account, Change change) {
  region.catalog.run_in_txn([&](catalog::Txn& txn) {
    auto row = catalog::sharing_settings_of(txn, region.name, account);
    change(row);
    catalog::upsert(txn, row);
  });
}

}  // namespace

AllowedImages allowed_images(Region& region, const std::string& account) {
  return catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    return from_row(catalog::sharing_settings_of(txn, region.name, account));
  });
}

std::string set_allowed_images(Region& region, const std::string& account, const std::string& state) {
  if (state != "enabled" && state != "audit-mode" && state != "disabled") {
    refuse("Value (" + state + ") for parameter allowedImagesSettingsState is invalid.");
  }
  change(region, account, [&](catalog::SharingSettings& row) { row.allowed_images = state; });
  return state;
}

void set_image_criteria(Region& region, const std::string& account, const std::vector<ImageCriterion>& criteria) {
  check(criteria);
  change(region, account, [&](catalog::SharingSettings& row) { row.image_criteria = to_text(criteria); });
}

ImageAllowance::ImageAllowance(catalog::Txn& txn, const Region& region, const std::string& account)
    : account_(account),
      now_(region.clock.now()),
      allowed_(from_row(catalog::sharing_settings_of(txn, region.name, account))),
      enabled_(allowed_.state == "enabled") {}

bool ImageAllowance::fits(const Image& image) const {
  if (allowed_.state == "disabled" || image.account == account_ || allowed_.criteria.empty()) return true;
  return std::ranges::any_of(allowed_.criteria, [&](const auto& each) { return fits_one(each, image, now_); });
}

}  // namespace kiln::control
