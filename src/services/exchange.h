#pragma once
// The request and the response of one call, decoded and encoded in the dialect of its service. Made by dispatch on the
// stack of one request thread.

#include <string>
#include <string_view>

#include "http/message.h"
#include "services/audit.h"
#include "services/operation.h"
#include "wire/params.h"
#include "wire/protocol.h"
#include "wire/rest.h"

namespace kiln::services {

// What passes is written down, in the words of the audit log.
struct Recording {
  std::string_view service;
  const std::string &region, &account;
  bool responses;  // too; of what only reads they would be the whole account
  Recorded& recorded;
};

class DialectExchange final : public Exchange {
 public:
  // Lends all of it; rest is null but for REST services, recording when nobody records.
  DialectExchange(const wire::Dialect& dialect, const wire::Params& params, std::string_view body,
                  const wire::RestSource* rest, const Recording* recording = nullptr)
      : dialect_(dialect), params_(params), body_(body), rest_(rest), recording_(recording) {}

  void read(const wire::Type& type, void* request) override;
  void write(const wire::Type& type, const void* response) override;
  // read() alone, for a request that is not answered.
  void decode(const wire::Type& type, void* request);
  const std::string& content() const { return content_; }
  http::Headers& headers() { return headers_; }  // that members of the response are bound to

 private:
  const wire::Dialect& dialect_;
  const wire::Params& params_;
  const std::string_view body_;
  const wire::RestSource* const rest_;
  const Recording* const recording_;
  std::string content_;
  http::Headers headers_;
};

// What goes to the client; every answer carries the request's id.
http::Response to_http(wire::Reply reply, const std::string& id);
http::Response to_http(StreamedAnswer answer, const std::string& id);

}  // namespace kiln::services
