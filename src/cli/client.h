#pragma once
// One command of the daemon's, asked over <data>/kilnd.sock.
//
// Calls on_line for each line that is neither done nor error and returns the content of done. Throws std::runtime_error
// with the daemon's own sentence when the answer is an error, or when there is no daemon.

#include <boost/json/object.hpp>
#include <functional>
#include <string>

namespace kiln::cli {

struct Ask {
  std::string data_directory;
  boost::json::object request;
  int descriptor = -1;  // passed along with the request
};

boost::json::object ask(const Ask& what,
                        const std::function<void(const std::string& kind, const boost::json::object&)>& on_line);

// Members of an answer; zero or empty when it has no such member.
std::uint64_t number(const boost::json::object& from, const char* name);
std::string text(const boost::json::object& from, const char* name);

}  // namespace kiln::cli
