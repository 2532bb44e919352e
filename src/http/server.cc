#include "http/server.h"

#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <map>
#include <set>
#include <thread>

#include "base/log.h"
#include "base/mutex.h"
#include "http/connection.h"

namespace kiln::http {
namespace {

using boost::system::error_code;
using Tcp = asio::ip::tcp;

std::shared_ptr<asio::ssl::context> load(const std::optional<Tls>& tls) {
  if (!tls) return nullptr;
  try {
    auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
    context->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                         asio::ssl::context::no_tlsv1_1);
    context->use_certificate_chain_file(tls->certificate_file);
    context->use_private_key_file(tls->key_file, asio::ssl::context::pem);
    return context;
  } catch (const std::exception& error) {
    throw std::runtime_error("certificate " + tls->certificate_file + " with key " + tls->key_file + ": " +
                             error.what());
  }
}

int family_of(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0 ||
      (address.ss_family != AF_INET && address.ss_family != AF_INET6)) {
    throw std::runtime_error("descriptor " + std::to_string(fd) + " is not a TCP socket");
  }
  return address.ss_family;
}

}  // namespace

class Server::Loop {
 public:
  explicit Loop(Options options)
      : options_(std::move(options)),
        pool_(options_.limits.request_threads),
        work_(asio::make_work_guard(io_)),
        surroundings_{.io = io_, .pool = pool_, .options = options_},
        thread_([this] { io_.run(); }) {}

  ListenerId add(base::Fd socket, const std::optional<Tls>& tls) {
    auto context = load(tls);
    const auto protocol = family_of(socket.get()) == AF_INET ? Tcp::v4() : Tcp::v6();
    auto listener = std::make_shared<Listener>(Tcp::acceptor(io_));
    listener->acceptor.assign(protocol, socket.release());
    listener->tls = std::move(context);
    const int port = listener->acceptor.local_endpoint().port();
    ListenerId id = 0;
    {
      const base::Lock lock(mutex_);
      id = listener->id = next_id_++;
      ports_[id] = port;
    }
    on_io([this, id, listener] {
      listeners_[id] = listener;
      asio::co_spawn(io_, accept(listener), asio::detached);
    });
    return id;
  }

  int port(ListenerId id) {
    const base::Lock lock(mutex_);
    return ports_.at(id);
  }

  void remove(ListenerId id) {
    on_io([this, id] {
      close_listener(id);
      for (const auto& live : live_) {
        if (live->listener == id) end(*live);
      }
    });
  }

  std::size_t connections() {
    const base::Lock lock(mutex_);
    return count_;
  }

  void stop(std::chrono::milliseconds grace) {
    if (!thread_.joinable()) return;
    on_io([this] {
      while (!listeners_.empty()) close_listener(listeners_.begin()->first);
      for (const auto& live : live_) end(*live);
    });
    if (!wait_until_empty(grace)) {
      on_io([this] {
        for (const auto& live : live_) {
          if (live->cut) live->cut();
        }
      });
    }
    pool_.join();  // handlers that still run; the io thread goes on, so that their streams fail and let them end
    wait_until_empty(std::chrono::seconds(5));
    work_.reset();
    io_.stop();
    thread_.join();
  }

 private:
  struct Listener {
    explicit Listener(Tcp::acceptor a) : acceptor(std::move(a)) {}
    ListenerId id = 0;
    Tcp::acceptor acceptor;
    std::shared_ptr<asio::ssl::context> tls;
  };

  // Runs work on the io thread and waits for it.
  template <class Work>
  void on_io(Work work) {
    asio::post(io_, asio::use_future(std::move(work))).get();
  }

  void close_listener(ListenerId id) {
    const auto found = listeners_.find(id);
    if (found == listeners_.end()) return;
    error_code error;
    found->second->acceptor.close(error);
    listeners_.erase(found);
  }

  static void end(Live& live) {
    live.closing = true;
    if (live.idle && live.cut) live.cut();
  }

  bool wait_until_empty(std::chrono::milliseconds at_most) {
    const base::Lock lock(mutex_);
    return empty_.wait_for(mutex_, at_most, [this]() KILN_REQUIRES(mutex_) { return count_ == 0; });
  }

  asio::awaitable<void> accept(std::shared_ptr<Listener> listener) {
    while (listener->acceptor.is_open()) {
      error_code error;
      Tcp::socket socket = co_await listener->acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (!listener->acceptor.is_open()) break;
      if (error) {
        // Mostly too many open files: those that are open must end first, and trying at once would spin.
        base::log_warning("http", "accept: {}", error.message());
        asio::steady_timer timer(io_, std::chrono::milliseconds(100));
        co_await timer.async_wait(asio::use_awaitable);
        continue;
      }
      if (live_.size() < options_.limits.connections) {
        take(std::move(socket), *listener);
      } else if (turned_away_ < options_.limits.connections && !listener->tls) {
        ++turned_away_;
        asio::co_spawn(io_, turn_away(surroundings_, std::move(socket)),
                       [this](std::exception_ptr) { --turned_away_; });
      }
    }
  }

  void take(Tcp::socket socket, const Listener& listener) {
    auto live = std::make_shared<Live>();
    live->listener = listener.id;
    live_.insert(live);
    count_connections();
    asio::co_spawn(io_, serve(surroundings_, std::move(socket), listener.tls, live), [this, live](std::exception_ptr) {
      live_.erase(live);
      count_connections();
    });
  }

  void count_connections() {
    const base::Lock lock(mutex_);
    count_ = live_.size();
    if (count_ == 0) empty_.notify_all();
  }

  const Options options_;
  asio::io_context io_{1};
  asio::thread_pool pool_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  Surroundings surroundings_;

  // The io thread's own:
  std::map<ListenerId, std::shared_ptr<Listener>> listeners_;
  std::set<std::shared_ptr<Live>> live_;
  std::size_t turned_away_ = 0;

  base::Mutex mutex_;
  base::Condition empty_;
  std::map<ListenerId, int> ports_ KILN_GUARDED_BY(mutex_);
  ListenerId next_id_ KILN_GUARDED_BY(mutex_) = 1;
  std::size_t count_ KILN_GUARDED_BY(mutex_) = 0;

  std::thread thread_;  // last: it uses all of the above
};

Server::Server(Options options) : loop_(std::make_unique<Loop>(std::move(options))) {}
Server::~Server() { stop(std::chrono::seconds(1)); }

ListenerId Server::listen(const ListenOn& where, const std::optional<Tls>& tls) {
  return loop_->add(listen_on(where), tls);
}
ListenerId Server::adopt(base::Fd listening_socket, const std::optional<Tls>& tls) {
  return loop_->add(std::move(listening_socket), tls);
}
int Server::port(ListenerId listener) const { return loop_->port(listener); }
void Server::remove(ListenerId listener) { loop_->remove(listener); }
std::size_t Server::connections() const { return loop_->connections(); }
void Server::stop(std::chrono::milliseconds grace) { loop_->stop(grace); }

}  // namespace kiln::http
