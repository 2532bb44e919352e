#pragma once
// Errors as values, for the layers that never throw (blocks, nbd, and the files beneath them).
//
// An Error has a Fault that the caller can act on and a sentence that an operator can act on. Result<T> is a T or an
// Error; Status is a Result of nothing. Layers above control throw base::ApiError instead (api_error.h).

#include <cassert>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace kiln::base {

enum class Fault {
  invalid,      // the caller asked for something that makes no sense
  not_found,    // it is not there
  exists,       // it is there already
  corrupt,      // bytes that fail their checksum, or break their format
  unsupported,  // a version or feature this program does not know
  busy,         // somebody else holds it; trying later may help
  fenced,       // a newer owner took over; never try again
  no_space,     // ENOSPC or a quota
  io,           // the disk or the network failed
  failed,       // the thing is in its failed state until an operator acts
  no_key,       // it is encrypted, and its key is not available here
};

std::string_view to_string(Fault fault);

class [[nodiscard]] Error {
 public:
  Error(Fault fault, std::string message) : fault_(fault), message_(std::move(message)) {}

  Fault fault() const { return fault_; }
  const std::string& message() const { return message_; }

  // The same error, said of a larger thing: "snapshot snap-1: no such file".
  Error in(std::string_view where) const { return {fault_, std::string(where) + ": " + message_}; }

  // An Error of the current errno: "open /x: No such file or directory".
  static Error from_errno(std::string_view what);
  static Error from_errno(std::string_view what, int number);

 private:
  Fault fault_;
  std::string message_;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : held_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : held_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return held_.index() == 0; }
  bool ok() const { return held_.index() == 0; }

  T& operator*() & {
    assert(ok());
    return *std::get_if<0>(&held_);
  }
  const T& operator*() const& {
    assert(ok());
    return *std::get_if<0>(&held_);
  }
  // By value, so that `for (auto& x : *f())` has something to hold on to.
  T operator*() && {
    assert(ok());
    return std::move(*std::get_if<0>(&held_));
  }
  T* operator->() {
    assert(ok());
    return std::get_if<0>(&held_);
  }
  const T* operator->() const {
    assert(ok());
    return std::get_if<0>(&held_);
  }

  const Error& error() const {
    assert(!ok());
    return *std::get_if<1>(&held_);
  }

 private:
  std::variant<T, Error> held_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : held_(std::move(error)) {}

  explicit operator bool() const { return ok(); }
  bool ok() const { return held_.index() == 0; }
  const Error& error() const {
    assert(!ok());
    return *std::get_if<1>(&held_);
  }

 private:
  std::variant<std::monostate, Error> held_;
};

using Status = Result<void>;

}  // namespace kiln::base

// Returns the error of a Status or Result expression to the caller; goes on otherwise.
#define KILN_TRY(expression)                              \
  do {                                                    \
    if (auto kiln_try_ = (expression); !kiln_try_.ok()) { \
      return kiln_try_.error();                           \
    }                                                     \
  } while (false)
