#pragma once
// One accepted connection, from its first byte to its last. Private to http/: the only header here that shows Asio.
//
// Everything runs on the io thread but the handler and its streams, which run on the request pool.

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <memory>

#include "http/server.h"

namespace kiln::http {

namespace asio = boost::asio;

// What all connections of a server share.
struct Surroundings {
  asio::io_context& io;
  asio::thread_pool& pool;
  const Options& options;
  std::atomic<std::size_t> requests{0};  // handed to the pool and not yet answered
};

// What the server sees of a connection; io thread only.
struct Live {
  ListenerId listener = 0;
  bool idle = true;      // waits for a request
  bool closing = false;  // takes no request after the one it is at
  std::function<void()> cut;
};

// tls is null for plain connections. Never throws.
asio::awaitable<void> serve(Surroundings& surroundings, asio::ip::tcp::socket socket,
                            std::shared_ptr<asio::ssl::context> tls, std::shared_ptr<Live> live);

// Answers 503 at once and closes.
asio::awaitable<void> turn_away(Surroundings& surroundings, asio::ip::tcp::socket socket);

}  // namespace kiln::http
