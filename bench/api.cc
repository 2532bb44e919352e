// kiln-bench-api: the load of ./dev bench api, and what it needs around it.
//
//   hello                                                a bare server of src/http that says hello; ends with its input
//   load SERVER REGION KEY SECRET CONNECTIONS COUNT      signs and sends COUNT requests over so many connections
//   fill CATALOG COUNT                                   as many copies of the catalog's one image, under other names
//
// load reads the requests from its input, a line each: the service's signing name, a space and the form; it goes
// through them in turns and writes a number that is never the same in place of {n}. What it prints is one line of JSON.

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <iostream>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "base/clock.h"
#include "base/digest.h"
#include "base/ids.h"
#include "catalog/images.h"
#include "http/server.h"
#include "remote/http_client.h"
#include "wire/sigv4.h"

namespace kiln::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Form {
  std::string service, text;
};

struct Load {
  std::string server, region;
  wire::Credentials key;
  unsigned connections = 1;
  std::size_t count = 1;
  std::vector<Form> forms;
};

struct Outcome {
  std::vector<double> milliseconds;
  std::size_t errors = 0, bytes = 0;
  std::string first_error;
};

std::string numbered(std::string text, std::size_t number) {
  for (std::size_t at; (at = text.find("{n}")) != std::string::npos;) text.replace(at, 3, std::to_string(number));
  return text;
}

http::Response hello(http::Request&) { return {.headers = {{"Content-Type", "text/plain"}}, .body = "hello\n"}; }

void serve_hello() {
  http::Server server({.handler = hello});
  std::printf("%d\n", server.port(server.listen({})));
  std::fflush(stdout);
  while (std::cin.get() != std::char_traits<char>::eof()) {
  }
  server.stop(std::chrono::seconds(1));
}

// One connection: takes the next request until none is left.
Outcome run_connection(const Load& load, std::atomic<std::size_t>& next) {
  remote::HttpClient client(load.server, "");
  base::SystemClock clock;
  Outcome outcome;
  for (std::size_t number; (number = next++) < load.count;) {
    const auto& form = load.forms[number % load.forms.size()];
    const auto body = numbered(form.text, number);
    const auto begin = Clock::now();
    const wire::ToSign to_sign{
        .method = "POST",
        .path = "/",
        .query = "",
        .headers = {{"Host", client.host()}, {"Content-Type", "application/x-www-form-urlencoded"}},
        .body_digest = base::sha256(body).hex(),
        .send_digest = true};
    const auto headers =
        wire::sign(to_sign, load.key, {.region = load.region, .service = form.service, .time = clock.now()});
    const auto answer = client.send({.method = "POST", .target = "/", .headers = headers, .body = body});
    outcome.milliseconds.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
    outcome.bytes += answer.body.size();
    if (answer.status == 200) continue;
    if (outcome.errors++ == 0) outcome.first_error = body + " -> " + std::string(base::as_text(answer.body));
  }
  return outcome;
}

Outcome run_all(const Load& load) {
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  Outcome all;
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < load.connections; ++i) {
      threads.emplace_back([&] {
        Outcome one;
        try {
          one = run_connection(load, next);
        } catch (const std::exception& failure) {
          one.errors = 1;
          one.first_error = failure.what();
        }
        const std::lock_guard lock(mutex);
        all.milliseconds.insert(all.milliseconds.end(), one.milliseconds.begin(), one.milliseconds.end());
        all.errors += one.errors;
        all.bytes += one.bytes;
        if (all.first_error.empty()) all.first_error = one.first_error;
      });
    }
  }
  return all;
}

void run_load(Load load) {
  for (std::string line; std::getline(std::cin, line);) {
    const auto space = line.find(' ');
    if (space == std::string::npos) throw std::runtime_error("a line without a form: " + line);
    load.forms.push_back({line.substr(0, space), line.substr(space + 1)});
  }
  if (load.forms.empty()) throw std::runtime_error("nothing to send");
  const auto begin = Clock::now();
  auto all = run_all(load);
  const auto seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  if (all.errors > 0) std::fprintf(stderr, "%zu errors, first: %s\n", all.errors, all.first_error.c_str());
  if (all.milliseconds.empty()) throw std::runtime_error("nothing was answered");
  std::ranges::sort(all.milliseconds);
  const auto at = [&](double part) {
    return all.milliseconds[static_cast<std::size_t>(part * static_cast<double>(all.milliseconds.size() - 1))];
  };
  std::printf("{\"seconds\": %.4f, \"rate\": %.1f, \"p50\": %.4f, \"p99\": %.4f, \"errors\": %zu, \"bytes\": %zu}\n",
              seconds, static_cast<double>(all.milliseconds.size()) / seconds, at(0.5), at(0.99), all.errors,
              all.bytes);
}

void fill(const std::string& file, std::size_t count) {
  base::SystemClock clock;
  const auto catalog = catalog::open_sqlite(file, clock);
  for (std::size_t done = 0; done < count;) {
    const auto until = std::min(count, done + 20'000);
    catalog->run_in_txn([&](catalog::Txn& txn) {
      auto image = catalog::select_one<catalog::Image>(txn, "ORDER BY created LIMIT 1");
      if (!image) throw std::runtime_error(file + " has no image to copy");
      auto devices = catalog::image_devices(txn, image->region, image->id);
      for (auto number = done; number < until; ++number) {
        image->id = base::new_id("ami");
        image->name = "filled-" + std::to_string(number);
        ++image->created;
        catalog::insert(txn, *image);
        for (auto& device : devices) {
          device.image_id = image->id;
          catalog::insert(txn, device);
        }
      }
    });
    done = until;
  }
}

int run(const std::vector<std::string>& words) {
  const auto is = [&](const char* name, std::size_t arguments) {
    return !words.empty() && words[0] == name && words.size() == arguments + 1;
  };
  if (is("hello", 0)) return serve_hello(), 0;
  if (is("load", 6)) {
    run_load({.server = words[1],
              .region = words[2],
              .key = {words[3], words[4]},
              .connections = static_cast<unsigned>(std::stoul(words[5])),
              .count = std::stoul(words[6])});
    return 0;
  }
  if (is("fill", 2)) return fill(words[1], std::stoul(words[2])), 0;
  std::fprintf(stderr,
               "usage: kiln-bench-api hello | load SERVER REGION KEY SECRET CONNECTIONS COUNT | "
               "fill CATALOG COUNT; see bench/api.cc\n");
  return 2;
}

}  // namespace
}  // namespace kiln::bench

int main(int count, char** arguments) {
  try {
    return kiln::bench::run({arguments + 1, arguments + count});
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "kiln-bench-api: %s\n", failure.what());
    return 1;
  }
}
