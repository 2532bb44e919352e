#pragma once
// For tests: EC2's operations called as dispatch calls them once a signature has been checked, with parameters in and
// XML out, on a region of World (control/region_fixture.h or one made of it).
//
// Code stands in this header because it is for tests, and no library.

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "base/api_error.h"
#include "catalog/client_tokens.h"
#include "services/ec2/ec2.h"
#include "services/service.h"
#include "wire/query.h"
#include "wire/xml.h"

namespace kiln::services::ec2 {

class FormExchange final : public Exchange {
 public:
  explicit FormExchange(const std::string& form) : params_(wire::Params::parse(form)) {}
  void read(const wire::Type& type, void* request) override {
    wire::decode_query(params_, wire::Lists::flattened, type, request);
  }
  void write(const wire::Type& type, const void* response) override {
    wire::encode_xml(wire::XmlNames::lower_items, type, response, xml);
  }
  std::string xml;

 private:
  wire::Params params_;
};

template <class World>
class CallsFixture : public testing::Test {
 protected:
  // The answer's XML, or the error's code.
  std::string call(const control::Principal& who, const std::string& action, const std::string& form) {
    Call call{.region = world_.region(),
              .principal = who,
              .action = action,
              .client_token = token_,
              .made_before = made_before_};
    static const Service served = service();
    for (const auto table : served.tables) {
      for (const auto& operation : table) {
        if (operation.name != action) continue;
        FormExchange exchange(form);
        try {
          operation.answer(call, exchange);
        } catch (const base::ApiError& error) {
          return error.code();
        }
        return exchange.xml;
      }
    }
    return "no such action";
  }
  std::string call(const std::string& action, const std::string& form) { return call(world_.alice, action, form); }

  // The text of the first element with this tag.
  static std::string text(const std::string& xml, const std::string& tag) {
    const auto begin = xml.find("<" + tag + ">");
    if (begin == std::string::npos) return "(none)";
    const auto from = begin + tag.size() + 2;
    return xml.substr(from, xml.find("</", from) - from);
  }
  static std::size_t count(const std::string& xml, const std::string& part) {
    std::size_t found = 0;
    for (auto at = xml.find(part); at != std::string::npos; at = xml.find(part, at + 1)) ++found;
    return found;
  }

  World world_;
  // What dispatch found out of the request's ClientToken.
  std::optional<catalog::ClientToken> token_;
  std::string made_before_;
};

}  // namespace kiln::services::ec2
