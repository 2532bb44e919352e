#include "http/server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <filesystem>
#include <future>
#include <latch>
#include <thread>

#include "base/process.h"
#include "base/text.h"

namespace kiln::http {
namespace {

using namespace std::chrono_literals;

// A blocking client that says exactly what it is told to and gives up after ten seconds.
class Client {
 public:
  explicit Client(int port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval limit{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    connected = ::connect(fd_.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }
  void send(std::string_view text) {
    while (!text.empty()) {
      const auto sent = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  // Up to and including the text; what there is when the connection ends before it.
  std::string read_until(std::string_view end) {
    while (rest_.find(end) == std::string::npos && receive()) {
    }
    const auto at = rest_.find(end);
    return take(at == std::string::npos ? rest_.size() : at + end.size());
  }
  std::string read_count(std::size_t count) {
    while (rest_.size() < count && receive()) {
    }
    return take(std::min(count, rest_.size()));
  }
  std::string read_all() {
    while (receive()) {
    }
    return take(rest_.size());
  }
  // One response with a Content-Length.
  std::string response() {
    std::string head = read_until("\r\n\r\n");
    const auto length = head.find("Content-Length: ");
    if (length == std::string::npos) return head;
    return head + read_count(std::stoul(head.substr(length + 16)));
  }
  std::string ask(std::string_view text) {
    send(text);
    return response();
  }
  int fd() const { return fd_.get(); }
  bool connected = false;

 private:
  bool receive() {
    char piece[65536];
    const auto got = ::recv(fd_.get(), piece, sizeof piece, 0);
    if (got <= 0) return false;
    rest_.append(piece, static_cast<std::size_t>(got));
    return true;
  }
  std::string take(std::size_t count) {
    std::string taken = rest_.substr(0, count);
    rest_.erase(0, count);
    return taken;
  }
  base::Fd fd_;
  std::string rest_;
};

bool is_status(const std::string& response, int status) {
  return response.starts_with("HTTP/1.1 " + std::to_string(status) + " ");
}

std::string body_of(const std::string& response) {
  const auto end = response.find("\r\n\r\n");
  return end == std::string::npos ? "" : response.substr(end + 4);
}

// Answers with what it got.
Response echo(Request& request) {
  return {.body = request.method + ' ' + request.path + '?' + request.query + ' ' + request.body};
}

struct Fixture {
  explicit Fixture(Options options) : server(std::move(options)), listener(server.listen({})) {}
  explicit Fixture(Handler handler, Limits limits = {})
      : Fixture(Options{.limits = limits, .handler = std::move(handler)}) {}
  Client client() { return Client(server.port(listener)); }
  Server server;
  ListenerId listener;
};

TEST(Server, answers_and_keeps_the_connection) {
  Fixture f(echo);
  Client client = f.client();
  for (int i = 0; i < 3; ++i) {
    const std::string got = client.ask("POST /a%20b?x=1&y HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
    EXPECT_TRUE(is_status(got, 200)) << got;
    EXPECT_EQ(body_of(got), "POST /a%20b?x=1&y hi");
    EXPECT_NE(got.find("Connection: keep-alive"), std::string::npos);
  }
  EXPECT_EQ(f.server.connections(), 1u);
}

TEST(Server, pipelined_requests_are_answered_in_order) {
  Fixture f(echo);
  Client client = f.client();
  client.send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const std::string all = client.read_all();
  EXPECT_LT(all.find("GET /1?"), all.find("GET /2?"));
  EXPECT_NE(all.find("GET /2?"), std::string::npos);
}

TEST(Server, shows_headers_ends_and_listener) {
  Fixture f([](Request& r) {
    return Response{.body = std::string(r.header("x-THING").value_or("none")) + ' ' + r.peer_address + ' ' +
                            r.local_address + ' ' + std::to_string(r.listener) + (r.secure ? " tls" : " plain")};
  });
  EXPECT_EQ(body_of(f.client().ask("GET / HTTP/1.1\r\nHost: h\r\nX-Thing:  a b \r\n\r\n")),
            "a b 127.0.0.1 127.0.0.1 " + std::to_string(f.listener) + " plain");
}

TEST(Server, a_whole_url_is_accepted_as_target) {
  Fixture f(echo);
  EXPECT_EQ(body_of(f.client().ask("GET http://h:1/p?q HTTP/1.1\r\nHost: h\r\n\r\n")), "GET /p?q ");
  EXPECT_EQ(body_of(f.client().ask("GET http://h:1 HTTP/1.1\r\nHost: h\r\n\r\n")), "GET /? ");
}

TEST(Server, head_has_the_length_and_no_body) {
  Fixture f(echo);
  Client client = f.client();
  client.send("HEAD /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const std::string got = client.read_all();
  EXPECT_NE(got.find("Content-Length: 9"), std::string::npos) << got;
  EXPECT_EQ(body_of(got), "");
}

TEST(Server, a_chunked_body_is_put_together) {
  Fixture f(echo);
  const std::string got = f.client().ask(
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n");
  EXPECT_EQ(body_of(got), "POST /? abcde");
}

TEST(Server, a_body_over_the_limit_is_413_declared_or_not) {
  Fixture f(echo, {.body_bytes = 1000});
  EXPECT_TRUE(is_status(f.client().ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n"), 413));
  const std::string chunk = "3e9\r\n" + std::string(1001, 'x') + "\r\n0\r\n\r\n";
  const std::string chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk;
  EXPECT_TRUE(is_status(f.client().ask(chunked), 413));
  const std::string fits = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n" + std::string(1000, 'x');
  EXPECT_TRUE(is_status(f.client().ask(fits), 200));
}

TEST(Server, a_refusal_reaches_a_client_that_is_still_sending) {
  Fixture f(echo, {.body_bytes = 1000});
  Client client = f.client();
  client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10485760\r\n\r\n" + std::string(200'000, 'x'));
  EXPECT_TRUE(is_status(client.response(), 413));
}

TEST(Server, a_header_over_the_limit_is_431) {
  Fixture f(echo, {.header_bytes = 4096});
  const std::string large = "GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(5000, 'x') + "\r\n\r\n";
  EXPECT_TRUE(is_status(f.client().ask(large), 431));
  const std::string fits = "GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(3000, 'x') + "\r\n\r\n";
  EXPECT_TRUE(is_status(f.client().ask(fits), 200));
}

TEST(Server, what_is_not_http_is_400) {
  Fixture f(echo);
  for (const char* text : {"\x16\x03\x01\x02\x01\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
                           "GET / HTTP/1.1\r\nBad Header: x\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                           "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"}) {
    EXPECT_TRUE(is_status(f.client().ask(text), 400)) << text;
  }
}

TEST(Server, continue_is_sent_when_the_body_is_wanted_and_only_then) {
  Fixture f(echo, {.body_bytes = 1000});
  Client wanted = f.client();
  wanted.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(wanted.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(body_of(wanted.ask("hi")), "POST /? hi");
  Client refused = f.client();
  EXPECT_TRUE(is_status(
      refused.ask("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2000\r\n\r\n"), 413));
}

TEST(Server, a_peer_that_is_too_slow_is_cut) {
  Fixture f(echo, {.header_time = 50ms, .body_time = 50ms});
  Client header = f.client();
  header.send("GET / HTTP/1.1\r\nHo");
  EXPECT_EQ(header.read_all(), "");
  Client body = f.client();
  body.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
  EXPECT_EQ(body.read_all(), "");
}

// A handler that waits until the test lets it go.
struct Gate {
  std::latch entered{1}, open{1};
  Handler handler() {
    return [this](Request& r) {
      if (r.path == "/wait") {
        entered.count_down();
        open.wait();
      }
      return echo(r);
    };
  }
};

TEST(Server, a_full_queue_answers_busy_and_keeps_the_connection) {
  Gate gate;
  Fixture f(gate.handler(), {.request_threads = 1, .request_queue = 0});
  Client first = f.client();
  first.send("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
  gate.entered.wait();
  Client second = f.client();
  EXPECT_TRUE(is_status(second.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), 503));
  gate.open.count_down();
  EXPECT_TRUE(is_status(first.response(), 200));
  EXPECT_TRUE(is_status(second.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), 200));
}

TEST(Server, a_connection_too_many_is_answered_busy_and_closed) {
  Fixture f(echo, {.connections = 1});
  Client first = f.client();
  EXPECT_TRUE(is_status(first.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), 200));
  Client second = f.client();
  EXPECT_TRUE(is_status(second.read_all(), 503));
}

TEST(Server, an_exception_is_500) {
  Fixture f([](Request&) -> Response { throw std::runtime_error("secret"); });
  const std::string got = f.client().ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_TRUE(is_status(got, 500));
  EXPECT_EQ(got.find("secret"), std::string::npos);
}

TEST(Server, header_values_cannot_break_out_of_their_line) {
  Fixture f([](Request&) { return Response{.headers = {{"X", "a\r\nSet-Cookie: b"}}}; });
  EXPECT_EQ(f.client().ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").find("\r\nSet-Cookie"), std::string::npos);
}

// Counts what it reads.
Response count_stream(Request& request) {
  std::vector<std::byte> piece(100'000);
  std::size_t total = 0;
  while (const std::size_t got = request.stream->read(piece)) total += got;
  return {.body = std::to_string(total)};
}

TEST(Server, a_streamed_body_may_be_larger_than_any_buffer) {
  Fixture f(Options{.limits = {.body_bytes = 1000}, .handler = count_stream, .admit = [](const Request& r) {
                      return Admission{.stream = r.path == "/stream"};
                    }});
  Client client = f.client();
  const std::string body(30 << 20, 'x');
  client.send("PUT /stream HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n");
  client.send(body);
  EXPECT_EQ(body_of(client.response()), std::to_string(body.size()));
  const std::string chunked = "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
  EXPECT_EQ(body_of(client.ask("PUT /stream HTTP/1.1\r\nHost: h\r\n" + chunked)), "3");
  EXPECT_EQ(body_of(client.ask("PUT /stream HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")), "0");
}

TEST(Server, a_handler_may_leave_a_stream_unread) {
  Fixture f(Options{.handler = [](Request&) { return Response{.status = 403}; },
                    .admit = [](const Request&) { return Admission{.stream = true}; }});
  const std::string got =
      f.client().ask("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n");
  EXPECT_TRUE(is_status(got, 403)) << got;
  EXPECT_NE(got.find("Connection: close"), std::string::npos);
}

TEST(Server, a_streamed_response_is_sent_in_chunks_or_with_its_length) {
  const std::string piece(100'000, 'y');
  Fixture f([&](Request& r) {
    Response response;
    response.stream = [&](BodyWriter& out) {
      for (int i = 0; i < 50; ++i) out.write(std::as_bytes(std::span(piece)));
    };
    if (r.path == "/length") response.stream_length = piece.size() * 50;
    return response;
  });
  Client client = f.client();
  EXPECT_EQ(body_of(client.ask("GET /length HTTP/1.1\r\nHost: h\r\n\r\n")).size(), piece.size() * 50);
  client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  const std::string chunked = client.read_until("\r\n0\r\n\r\n");
  EXPECT_NE(chunked.find("Transfer-Encoding: chunked\r\n"), std::string::npos);
  EXPECT_EQ(std::count(chunked.begin(), chunked.end(), 'y'), 5'000'000);
  EXPECT_EQ(body_of(client.ask("GET /length HTTP/1.1\r\nHost: h\r\n\r\n")).size(), piece.size() * 50);
}

TEST(Server, a_stream_that_fails_is_cut_so_that_the_client_notices) {
  Fixture f([](Request&) {
    Response response;
    response.stream = [](BodyWriter& out) {
      out.write(std::as_bytes(std::span("abc", 3)));
      throw std::runtime_error("disk");
    };
    return response;
  });
  Client client = f.client();
  client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  const std::string got = client.read_all();
  EXPECT_NE(got.find("abc"), std::string::npos);
  EXPECT_EQ(got.find("0\r\n\r\n", got.find("abc")), std::string::npos);
}

TEST(Server, a_writer_learns_that_its_reader_is_gone) {
  std::promise<bool> lost;
  Fixture f([&](Request&) {
    Response response;
    response.stream = [&](BodyWriter& out) {
      const std::vector<std::byte> piece(1 << 20);
      try {
        for (int i = 0; i < 1000; ++i) out.write(piece);
        lost.set_value(false);
      } catch (const ConnectionLost&) {
        lost.set_value(true);
        throw;
      }
    };
    return response;
  });
  {
    Client client = f.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    client.read_until("\r\n\r\n");
  }
  EXPECT_TRUE(lost.get_future().get());
}

TEST(Server, stopping_lets_a_request_in_progress_end_and_takes_no_other) {
  Gate gate;
  Fixture f(gate.handler());
  const int port = f.server.port(f.listener);
  Client idle = f.client();
  EXPECT_TRUE(is_status(idle.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), 200));
  Client busy = f.client();
  busy.send("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
  gate.entered.wait();
  auto stopped = std::async(std::launch::async, [&] { f.server.stop(10s); });
  EXPECT_EQ(idle.read_all(), "");
  EXPECT_FALSE(Client(port).connected);
  gate.open.count_down();
  const std::string got = busy.read_all();
  EXPECT_TRUE(is_status(got, 200));
  EXPECT_NE(got.find("Connection: close"), std::string::npos);
  EXPECT_EQ(stopped.wait_for(10s), std::future_status::ready);
}

TEST(Server, stopping_cuts_what_does_not_end_in_time) {
  Fixture f(Options{.handler = count_stream, .admit = [](const Request&) { return Admission{.stream = true}; }});
  Client client = f.client();
  client.send("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n");
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  f.server.stop(20ms);
  client.read_all();
  EXPECT_EQ(f.server.connections(), 0u);
}

TEST(Server, listeners_come_and_go_and_are_told_apart) {
  Fixture f([](Request& r) { return Response{.body = std::to_string(r.listener)}; });
  const ListenerId second = f.server.listen({.host = "127.0.0.1", .device = "lo"});
  const int port = f.server.port(second);
  Client kept(port);
  EXPECT_EQ(body_of(kept.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n")), std::to_string(second));
  EXPECT_EQ(body_of(f.client().ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n")), std::to_string(f.listener));
  f.server.remove(second);
  EXPECT_EQ(kept.read_all(), "");
  EXPECT_FALSE(Client(port).connected);
  EXPECT_TRUE(is_status(f.client().ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), 200));
}

TEST(Server, serves_a_socket_that_it_was_given) {
  base::Fd socket = listen_on({});
  Server server({.handler = echo});
  const ListenerId listener = server.adopt(std::move(socket));
  EXPECT_EQ(body_of(Client(server.port(listener)).ask("GET /x HTTP/1.1\r\nHost: h\r\n\r\n")), "GET /x? ");
}

TEST(Server, an_address_that_cannot_be_had_is_said) {
  Server server({.handler = echo});
  EXPECT_THROW(server.listen({.host = "localhost"}), std::runtime_error);
  EXPECT_THROW(server.listen({.host = "192.0.2.1"}), std::runtime_error);
  EXPECT_NO_THROW(server.listen({.host = "192.0.2.1", .free_bind = true}));
  const Tls missing{.certificate_file = "/nonexistent", .key_file = "/nonexistent"};
  EXPECT_THROW(server.listen({}, missing), std::runtime_error);
  const ListenerId taken = server.listen({});
  EXPECT_THROW(server.listen({.port = server.port(taken)}), std::runtime_error);
}

TEST(Server, speaks_tls_when_it_has_a_certificate) {
  const std::string name = ::testing::TempDir() + "kiln-tls-" + std::to_string(::getpid());
  const auto made =
      base::run({.arguments = {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                               "-nodes", "-subj", "/CN=kiln", "-keyout", name + ".key", "-out", name + ".crt"}},
                10s);
  ASSERT_EQ(made.exit_code, 0) << made.output;
  Server server({.handler = [](Request& r) { return Response{.body = r.secure ? "tls" : "plain"}; }});
  const ListenerId listener = server.listen({}, Tls{.certificate_file = name + ".crt", .key_file = name + ".key"});
  Client client(server.port(listener));
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL* ssl = SSL_new(context);
  SSL_set_fd(ssl, client.fd());
  ASSERT_EQ(SSL_connect(ssl), 1);
  for (int i = 0; i < 2; ++i) {
    constexpr std::string_view request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    SSL_write(ssl, request.data(), static_cast<int>(request.size()));
    std::string got;
    char piece[4096];
    while (!got.ends_with("tls")) {
      const int count = SSL_read(ssl, piece, sizeof piece);
      if (count <= 0) break;
      got.append(piece, static_cast<std::size_t>(count));
    }
    EXPECT_TRUE(is_status(got, 200)) << got;
  }
  SSL_free(ssl);
  SSL_CTX_free(context);
  Client plain(server.port(listener));
  plain.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(plain.read_all().find("HTTP/1.1 200"), std::string::npos);
  std::filesystem::remove(name + ".key");
  std::filesystem::remove(name + ".crt");
}

TEST(Server, many_clients_at_once_are_all_answered) {
  Fixture f(echo, {.request_threads = 4, .request_queue = 1000});
  std::vector<std::thread> threads;
  std::atomic<int> answered = 0;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      Client client = f.client();
      for (int i = 0; i < 200; ++i) {
        answered += is_status(client.ask("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"), 200);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(answered, 1600);
}

}  // namespace
}  // namespace kiln::http
