#pragma once
// One API operation: its name, and the plain function that answers it. Declared once, at the foot of its family's file:
//
//   constexpr Operation operations[] = {
//       operation<describe_images>("DescribeImages", Access::reads),
//       operation<run_instances>("RunInstances", Access::writes),
//   };
//   std::span<const Operation> image_operations() { return operations; }
//
// The request and response types are read off the function's own signature, Response f(Call&, const Request&). The
// function runs on a thread of the request pool, with the signature verified, the caller authorised and DryRun
// answered; it throws base::ApiError when the caller is to blame.

#include <functional>
#include <string_view>

#include "services/call.h"
#include "wire/table.h"

namespace kiln::services {

enum class Access { reads, writes };

// A buffered operation gets its whole body, at most 1 MiB, and its signature covers it. A streamed one takes the body
// piece by piece (Call::body), may be signed UNSIGNED-PAYLOAD, and may answer with bytes (Call::streamed_answer).
enum class Payload { buffered, streamed };

// Where an operation of a REST service is found; the path is a template: "/snapshots/{snapshotId}/blocks".
struct Route {
  std::string_view method = {};
  std::string_view path = {};
  int status = 200;  // of success
};

// One request in the middle of being answered, in the protocol it came in.
class Exchange {
 public:
  virtual ~Exchange() = default;
  // Fills the request; throws DryRunOperation when that is all the caller asked for.
  virtual void read(const wire::Type& type, void* request) = 0;
  virtual void write(const wire::Type& type, const void* response) = 0;
};

struct Operation {
  std::string_view name;
  Access access;
  Payload payload;
  Route route;
  const wire::Type& (*request)();
  const wire::Type& (*response)();
  void (*answer)(Call& call, Exchange& exchange);
  // Lends an empty request, for whom it matters what was asked for although it is not answered.
  void (*with_request)(const std::function<void(const wire::Type& type, void* request)>& use);
};

template <auto handler>
struct Handler;

template <class Response, class Request, Response (*handler)(Call&, const Request&)>
struct Handler<handler> {
  using RequestType = Request;
  using ResponseType = Response;

  static void answer(Call& call, Exchange& exchange) {
    Request request;
    exchange.read(wire::type_of<Request>(), &request);
    const Response response = handler(call, request);
    exchange.write(wire::type_of<Response>(), &response);
  }
  static void with_request(const std::function<void(const wire::Type&, void*)>& use) {
    Request request;
    use(wire::type_of<Request>(), &request);
  }
};

template <auto handler>
constexpr Operation operation(std::string_view name, Access access, Payload payload = Payload::buffered,
                              Route route = {}) {
  using H = Handler<handler>;
  return {.name = name,
          .access = access,
          .payload = payload,
          .route = route,
          .request = wire::type_of<typename H::RequestType>,
          .response = wire::type_of<typename H::ResponseType>,
          .answer = H::answer,
          .with_request = H::with_request};
}

}  // namespace kiln::services
