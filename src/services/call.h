#pragma once
// What a handler knows of the call besides its request: where it runs, who asks, and how it will be found in the logs.
//
// Made by dispatch on the stack of one request thread; a handler keeps nothing of it.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "catalog/client_tokens.h"
#include "control/principal.h"
#include "control/region.h"
#include "http/message.h"
#include "wire/params.h"

namespace kiln::services {

// Bytes that an operation answers with, in place of its response in the service's protocol.
struct StreamedAnswer {
  std::string content_type = "application/octet-stream";
  http::Headers headers = {};
  std::uint64_t length = 0;
  // Called on a request thread when the handler has returned, so it keeps what it needs and nothing of the call. When
  // it throws or writes less than length, the connection is cut, which tells the client that bytes are missing.
  std::function<void(http::BodyWriter&)> write;
};

struct Call {
  control::Region& region;
  control::Principal principal;
  std::string request_id;
  std::string service;     // signing name: ec2
  std::string action;      // DescribeImages
  std::string source_ip;   // of the peer, without its port
  std::string user_agent;  // as sent; empty when it was not
  bool secure = false;     // came over TLS
  std::string host;        // as the client addressed us: "127.0.0.1:8773"

  // As they were sent, in the query protocols: for what a handler hands on undecoded. Null in tests.
  const wire::Params* params = nullptr;

  // Set when the request carries a ClientToken: the row that the transaction which makes the thing also inserts, with
  // the thing's id as result. Then a repeated request gets the same thing, across a crash too.
  std::optional<catalog::ClientToken> client_token = {};
  // What the token made before: the handler answers with that and makes nothing. Empty when the token is new.
  std::string made_before = {};

  // The request's body, of operations with Payload::streamed; null of others. A handler reads it to its end before it
  // makes anything of it: the last read throws when the body is not the one that was signed.
  http::BodyReader* body = nullptr;
  // Set by a handler with Payload::streamed that answers with bytes.
  std::optional<StreamedAnswer> streamed_answer = {};
};

}  // namespace kiln::services
