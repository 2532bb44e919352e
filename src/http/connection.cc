#include "http/connection.h"

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>

#include "base/log.h"
#include "base/text.h"
#include "http/response_head.h"

namespace kiln::http {
namespace {

namespace beast = boost::beast;
using boost::system::error_code;
using boost::system::system_error;
using Tcp = asio::ip::tcp;
using Parser = beast::http::request_parser<beast::http::buffer_body>;

constexpr std::size_t piece_bytes = 16 << 10;
constexpr std::uint64_t most_drained = 16 << 20;

std::string numeric(const asio::ip::address& address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string();
  }
  return address.to_string();
}

Response plain(int status, std::string text) {
  return {.status = status, .headers = {{"Content-Type", "text/plain"}}, .body = std::move(text)};
}

// Method, target and headers. The target may be a whole URL, as proxies send it.
void read_head(const Parser& parser, Request& request) {
  const auto& message = parser.get();
  request.method = std::string(message.method_string());
  std::string_view target(message.target().data(), message.target().size());
  if (target.starts_with("http://") || target.starts_with("https://")) {
    const auto path = target.find('/', target.find("//") + 2);
    target = path == std::string_view::npos ? "/" : target.substr(path);
  }
  const auto question = target.find('?');
  request.path = target.substr(0, question);
  if (question != std::string_view::npos) request.query = target.substr(question + 1);
  for (const auto& field : message) request.headers.emplace_back(field.name_string(), field.value());
}

Response refusal(const Options& options, int status, const Request& request) {
  if (options.refuse) return options.refuse(status, request);
  return plain(status, "refused\n");
}

Response run_handler(const Handler& handler, Request& request) {
  try {
    return handler(request);
  } catch (const ConnectionLost&) {
    return plain(400, "the body did not arrive\n");
  } catch (const std::exception& error) {
    base::log_error("http", "{} {}: {}", request.method, request.path, error.what());
    return plain(500, "internal error\n");
  }
}

// In a co_await expression g++ 12 destroys some temporaries twice (https://gcc.gnu.org/bugzilla/show_bug.cgi?id=99576):
// what is awaited gets named objects only.
template <class Stream>
class Connection {
 public:
  Connection(Surroundings& surroundings, Stream& stream, std::shared_ptr<Live> live)
      : surroundings_(surroundings), limits_(surroundings.options.limits), stream_(stream), live_(std::move(live)) {}

  asio::awaitable<void> run() {
    bool go_on = true;
    while (go_on && !live_->closing) go_on = co_await one_request();
  }

 private:
  // The two ends that a handler holds: each call runs on the io thread while the request thread waits for it.
  class Reader final : public BodyReader {
   public:
    explicit Reader(Connection& connection) : connection_(connection) {}
    std::size_t read(std::span<std::byte> out) override { return connection_.wait_for(connection_.read_body(out)); }

   private:
    Connection& connection_;
  };
  class Writer final : public BodyWriter {
   public:
    Writer(Connection& connection, Framing framing) : connection_(connection), framing_(framing) {}
    void write(std::span<const std::byte> bytes) override {
      if (bytes.empty()) return;
      written_ += bytes.size();
      connection_.wait_for(connection_.write_piece(bytes, framing_));
    }
    std::uint64_t written() const { return written_; }

   private:
    Connection& connection_;
    const Framing framing_;
    std::uint64_t written_ = 0;
  };

  template <class T>
  T wait_for(asio::awaitable<T> work) {
    try {
      return asio::co_spawn(surroundings_.io, std::move(work), asio::use_future).get();
    } catch (const std::exception& error) {
      throw ConnectionLost(error.what());
    }
  }

  void expire_after(std::chrono::milliseconds time) { beast::get_lowest_layer(stream_).expires_after(time); }

  // Whether the connection can carry another request.
  asio::awaitable<bool> one_request() {
    Parser parser;
    parser.header_limit(static_cast<std::uint32_t>(limits_.header_bytes));
    parser.body_limit(boost::none);
    parser_ = &parser;
    live_->idle = buffer_.size() == 0;
    expire_after(limits_.header_time);
    error_code error;
    co_await beast::http::async_read_header(stream_, buffer_, parser, asio::redirect_error(asio::use_awaitable, error));
    live_->idle = false;
    if (error) {
      if (const int status = status_of(error); status != 0) {
        const Request unread;
        const Response refused = refusal(surroundings_.options, status, unread);
        co_await respond(refused, false);
      }
      co_return false;
    }
    Request request;
    read_head(parser, request);
    describe_ends(request);
    keep_alive_ = parser.get().keep_alive();
    http_1_1_ = parser.get().version() >= 11;
    continue_awaited_ = http_1_1_ && base::lower(request.header("expect").value_or("")) == "100-continue";
    is_head_ = request.method == "HEAD";
    co_return co_await answer(request);
  }

  // What a header that cannot be read is answered with; 0 for nothing, when the peer just went.
  static int status_of(const error_code& error) {
    using HttpError = beast::http::error;
    if (error == HttpError::header_limit || error == HttpError::buffer_overflow) return 431;
    if (error == HttpError::end_of_stream || error == HttpError::partial_message) return 0;
    return error.category() == make_error_code(HttpError::end_of_stream).category() ? 400 : 0;
  }

  void describe_ends(Request& request) {
    const auto& socket = beast::get_lowest_layer(stream_).socket();
    error_code error;
    const auto peer = socket.remote_endpoint(error);
    const auto local = socket.local_endpoint(error);
    request.peer_address = numeric(peer.address());
    request.peer_port = peer.port();
    request.local_address = numeric(local.address());
    request.local_port = local.port();
    request.listener = live_->listener;
    request.secure = !std::is_same_v<Stream, beast::tcp_stream>;
  }

  asio::awaitable<bool> answer(Request& request) {
    const Options& options = surroundings_.options;
    const Admission admission = options.admit ? options.admit(request) : Admission{};
    Reader reader(*this);
    if (admission.stream) {
      request.stream = &reader;
    } else {
      const bool fits =
          co_await read_buffered(request.body, admission.body_bytes > 0 ? admission.body_bytes : limits_.body_bytes);
      if (!fits) {
        const Response refused = refusal(options, 413, request);
        co_await respond(refused, false);
        co_return false;
      }
    }
    if (surroundings_.requests.fetch_add(1) >= limits_.request_threads + limits_.request_queue) {
      --surroundings_.requests;
      const bool reusable = can_carry_another();
      const Response refused = refusal(options, 503, request);
      co_await respond(refused, reusable);
      co_return reusable;
    }
    Response response;
    const std::function<void()> work = [&] { response = run_handler(options.handler, request); };
    co_await on_pool(work);
    bool reusable = can_carry_another();
    if (response.stream) {
      reusable = co_await respond_streaming(response, reusable);
    } else {
      co_await respond(response, reusable);
    }
    co_return reusable;
  }

  // A body that the handler left unread stands between this request and the next.
  bool can_carry_another() const { return keep_alive_ && parser_->is_done() && !live_->closing; }

  // Runs work on the request pool, and goes on here, on the io thread, when it is done. The request counts until then.
  asio::awaitable<void> on_pool(const std::function<void()>& work) {
    auto start = [this, &work](auto resume) {
      asio::post(surroundings_.pool, [this, &work, resume = std::move(resume)]() mutable {
        work();
        --surroundings_.requests;
        asio::post(surroundings_.io, std::move(resume));
      });
    };
    co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(start, asio::use_awaitable);
  }

  // False when the body is larger than most.
  asio::awaitable<bool> read_buffered(std::string& body, std::size_t most) {
    if (const auto length = parser_->content_length(); length && *length > most) co_return false;
    if (parser_->is_done()) co_return true;
    co_await send_continue();
    expire_after(limits_.body_time);  // once: a peer that drips bytes does not extend it
    std::vector<std::byte> piece(piece_bytes);
    while (!parser_->is_done()) {
      const std::size_t count = co_await fill(piece);
      if (body.size() + count > most) co_return false;
      body.append(reinterpret_cast<const char*>(piece.data()), count);
    }
    co_return true;
  }

  asio::awaitable<std::size_t> read_body(std::span<std::byte> out) {
    if (parser_->is_done()) co_return 0;
    co_await send_continue();
    expire_after(limits_.body_time);
    co_return co_await fill(out);
  }

  asio::awaitable<std::size_t> fill(std::span<std::byte> out) {
    auto& body = parser_->get().body();
    body.data = out.data();
    body.size = out.size();
    while (!parser_->is_done() && body.size > 0) {
      error_code error;
      co_await beast::http::async_read(stream_, buffer_, *parser_, asio::redirect_error(asio::use_awaitable, error));
      if (error && error != beast::http::error::need_buffer) throw system_error(error);
    }
    co_return out.size() - body.size;
  }

  asio::awaitable<void> send_continue() {
    if (!continue_awaited_) co_return;
    continue_awaited_ = false;
    static constexpr std::string_view text = "HTTP/1.1 100 Continue\r\n\r\n";
    expire_after(limits_.write_time);
    co_await asio::async_write(stream_, asio::buffer(text), asio::use_awaitable);
  }

  asio::awaitable<void> respond(const Response& response, bool keep_alive) {
    const bool bare = response.status == 204 || response.status == 304;
    const std::string head =
        response_head(response, bare ? Framing::none : Framing::length, response.body.size(), keep_alive);
    const std::string_view body = bare || is_head_ ? std::string_view() : std::string_view(response.body);
    const std::array<asio::const_buffer, 2> parts{asio::buffer(head), asio::buffer(body)};
    expire_after(limits_.write_time);
    co_await asio::async_write(stream_, parts, asio::use_awaitable);
  }

  asio::awaitable<bool> respond_streaming(const Response& response, bool keep_alive) {
    const Framing framing = response.stream_length ? Framing::length
                            : http_1_1_            ? Framing::chunks
                                                   : Framing::until_close;
    if (framing == Framing::until_close) keep_alive = false;
    const std::string head = response_head(response, framing, response.stream_length.value_or(0), keep_alive);
    expire_after(limits_.write_time);
    co_await asio::async_write(stream_, asio::buffer(head), asio::use_awaitable);
    if (is_head_) co_return keep_alive;
    bool whole = false;
    const std::function<void()> work = [&] { whole = run_stream(response, framing); };
    ++surroundings_.requests;
    co_await on_pool(work);
    if (!whole) co_return cut();
    static constexpr std::string_view last_chunk = "0\r\n\r\n";
    if (framing == Framing::chunks) co_await asio::async_write(stream_, asio::buffer(last_chunk), asio::use_awaitable);
    co_return keep_alive;
  }

  // Whether all of the body went out, as long as it was promised.
  bool run_stream(const Response& response, Framing framing) {
    Writer writer(*this, framing);
    try {
      response.stream(writer);
    } catch (const ConnectionLost&) {
      return false;
    } catch (const std::exception& error) {
      base::log_error("http", "a response is cut short: {}", error.what());
      return false;
    }
    return !response.stream_length || *response.stream_length == writer.written();
  }

  // No last chunk and no orderly end: the client must see that something is missing.
  bool cut() {
    beast::get_lowest_layer(stream_).close();
    return false;
  }

  asio::awaitable<bool> write_piece(std::span<const std::byte> bytes, Framing framing) {
    std::string size;
    if (framing == Framing::chunks) size = fmt::format("{:x}\r\n", bytes.size());
    static constexpr std::string_view end = "\r\n";
    const std::array<asio::const_buffer, 3> parts{
        asio::buffer(size), asio::buffer(bytes.data(), bytes.size()),
        framing == Framing::chunks ? asio::buffer(end) : asio::const_buffer()};
    expire_after(limits_.write_time);
    co_await asio::async_write(stream_, parts, asio::use_awaitable);
    co_return true;
  }

  Surroundings& surroundings_;
  const Limits& limits_;
  Stream& stream_;
  const std::shared_ptr<Live> live_;
  beast::flat_buffer buffer_;
  // Of the request at hand:
  Parser* parser_ = nullptr;
  bool keep_alive_ = false;
  bool http_1_1_ = true;
  bool is_head_ = false;
  bool continue_awaited_ = false;
};

// Closes so that the peer can read our last response: bytes of its that nobody read would make the kernel reset the
// connection, and a reset throws away what the peer has not read yet.
asio::awaitable<void> linger(beast::tcp_stream& stream, std::chrono::milliseconds at_most) {
  error_code error;
  stream.socket().shutdown(Tcp::socket::shutdown_send, error);
  std::vector<std::byte> piece(piece_bytes);
  stream.expires_after(at_most);
  for (std::uint64_t drained = 0; !error && drained < most_drained;) {
    drained += co_await stream.async_read_some(asio::buffer(piece), asio::redirect_error(asio::use_awaitable, error));
  }
  stream.close();
}

// A server that stops is waited for by its operator.
std::chrono::milliseconds linger_time(const Live& live) {
  return live.closing ? std::chrono::milliseconds(100) : std::chrono::milliseconds(2000);
}

asio::awaitable<void> serve_plain(Surroundings& surroundings, Tcp::socket socket, std::shared_ptr<Live> live) {
  beast::tcp_stream stream(std::move(socket));
  live->cut = [&stream] { stream.close(); };
  Connection<beast::tcp_stream> connection(surroundings, stream, live);
  co_await connection.run();
  live->idle = true;  // nothing is owed any more: a stop may cut it
  co_await linger(stream, linger_time(*live));
}

asio::awaitable<void> serve_tls(Surroundings& surroundings, Tcp::socket socket, asio::ssl::context& tls,
                                std::shared_ptr<Live> live) {
  asio::ssl::stream<beast::tcp_stream> stream(beast::tcp_stream(std::move(socket)), tls);
  auto& lowest = beast::get_lowest_layer(stream);
  live->cut = [&lowest] { lowest.close(); };
  lowest.expires_after(surroundings.options.limits.header_time);
  co_await stream.async_handshake(asio::ssl::stream_base::server, asio::use_awaitable);
  Connection<asio::ssl::stream<beast::tcp_stream>> connection(surroundings, stream, live);
  co_await connection.run();
  live->idle = true;
  lowest.expires_after(linger_time(*live));
  error_code error;
  co_await stream.async_shutdown(asio::redirect_error(asio::use_awaitable, error));
  co_await linger(lowest, linger_time(*live));
}

}  // namespace

asio::awaitable<void> serve(Surroundings& surroundings, Tcp::socket socket, std::shared_ptr<asio::ssl::context> tls,
                            std::shared_ptr<Live> live) {
  try {
    error_code error;
    socket.set_option(Tcp::no_delay(true), error);
    if (tls) {
      co_await serve_tls(surroundings, std::move(socket), *tls, live);
    } else {
      co_await serve_plain(surroundings, std::move(socket), live);
    }
  } catch (const std::exception& error) {
    base::log_debug("http", "connection: {}", error.what());
  }
  live->cut = nullptr;
}

asio::awaitable<void> turn_away(Surroundings& surroundings, Tcp::socket socket) {
  try {
    beast::tcp_stream stream(std::move(socket));
    const Request unread;
    const Response busy = refusal(surroundings.options, 503, unread);
    const std::string text = response_head(busy, Framing::length, busy.body.size(), false) + busy.body;
    stream.expires_after(std::chrono::seconds(2));
    co_await asio::async_write(stream, asio::buffer(text), asio::use_awaitable);
    co_await linger(stream, std::chrono::seconds(2));
  } catch (const std::exception& error) {
    base::log_debug("http", "turned away: {}", error.what());
  }
}

}  // namespace kiln::http
