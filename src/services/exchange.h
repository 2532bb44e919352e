#pragma once
// The request and the response of one call, decoded and encoded in the dialect of its service. Made by dispatch on the
// stack of one request thread.

#include <string>
#include <string_view>

#include "http/message.h"
#include "services/operation.h"
#include "wire/params.h"
#include "wire/protocol.h"
#include "wire/rest.h"

namespace kiln::services {

class DialectExchange final : public Exchange {
 public:
  // Lends all of it; rest is null but for REST services.
  DialectExchange(const wire::Dialect& dialect, const wire::Params& params, std::string_view body,
                  const wire::RestSource* rest)
      : dialect_(dialect), params_(params), body_(body), rest_(rest) {}

  void read(const wire::Type& type, void* request) override;
  void write(const wire::Type& type, const void* response) override;
  const std::string& content() const { return content_; }
  http::Headers& headers() { return headers_; }  // that members of the response are bound to

 private:
  const wire::Dialect& dialect_;
  const wire::Params& params_;
  const std::string_view body_;
  const wire::RestSource* const rest_;
  std::string content_;
  http::Headers headers_;
};

// What goes to the client; every answer carries the request's id.
http::Response to_http(wire::Reply reply, const std::string& id);
http::Response to_http(StreamedAnswer answer, const std::string& id);

}  // namespace kiln::services
