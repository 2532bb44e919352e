#pragma once
// The only door from bytes to rules: one HTTP request of any AWS protocol in, its response out.
//
//   which service (credential scope, else Host, else X-Amz-Target, Version, Action) -> signature -> region and account
//   -> authorised? -> which operation -> its request decoded -> DryRun, ClientToken -> handler -> encoded; recorded,
//   whatever came of it (audit.h)
//
// Made by the daemon's wiring; answer() is the http::Server's handler and runs on its request threads, any number at
// once. Never throws. An ApiError becomes an error body of the service's protocol; whatever else a handler throws is
// logged with the request id and answered InternalError.

#include <map>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/rotating_log.h"
#include "catalog/database.h"
#include "control/region.h"
#include "http/server.h"
#include "services/service.h"

namespace kiln::services {

class Dispatch {
 public:
  Dispatch(const control::Regions& regions, catalog::Database& catalog, base::Clock& clock,
           const std::vector<Service>& services = all_services(), base::RotatingLog* audit_log = nullptr);

  // Whether the body is for a streamed operation to read. On the io thread: parses a header and waits for nothing.
  http::Admission admit(const http::Request& request) const;
  http::Response answer(http::Request& request) const;

  // What the server says of requests that never reach answer(): too large, malformed, too many.
  static http::Response refuse(int status, const http::Request& request);

 private:
  struct Incoming;
  http::Response serve(Incoming& incoming) const;
  // The operation itself, once for a client token however often it is sent.
  void run(const Operation& operation, Call& call, Exchange& exchange) const;
  // Null for an action that the service does not have.
  const Operation* identify(Incoming& incoming) const;
  // The same of a REST service, by method and path.
  const Operation* route(Incoming& incoming) const;
  void authenticate_caller(Incoming& incoming, Payload payload) const;
  control::Region& find_region(Incoming& incoming) const;
  static void refuse_to_session(const Incoming& incoming);
  void authorise(const Incoming& incoming, control::Region& region) const;
  // What the caller asked for that was refused before its request was read.
  void record_unread(Incoming& incoming) const;
  void record(Incoming& incoming, const wire::Failure& failure) const;

  const control::Regions& regions_;
  catalog::Database& catalog_;
  base::Clock& clock_;
  const std::vector<Service>& services_;
  base::RotatingLog* const audit_log_;                                                    // null: nothing is recorded
  std::map<std::pair<std::string_view, std::string_view>, const Operation*> operations_;  // by service and name
};

}  // namespace kiln::services
