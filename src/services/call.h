#pragma once
// What a handler knows of the call besides its request: where it runs, who asks, and how it will be found in the logs.
//
// Made by dispatch on the stack of one request thread; a handler keeps nothing of it.

#include <optional>
#include <string>

#include "catalog/client_tokens.h"
#include "control/principal.h"
#include "control/region.h"

namespace kiln::services {

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

  // Set when the request carries a ClientToken: the row that the transaction which makes the thing also inserts, with
  // the thing's id as result. Then a repeated request gets the same thing, across a crash too.
  std::optional<catalog::ClientToken> client_token = {};
  // What the token made before: the handler answers with that and makes nothing. Empty when the token is new.
  std::string made_before = {};
};

}  // namespace kiln::services
