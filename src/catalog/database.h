#pragma once
// The metadata database: values, rows, transactions. One SQL dialect over thin drivers; SQLite is the first.
//
// Owned by the daemon's wiring, lent to control and jobs. Thread-safe: write transactions queue for the one writing
// connection and are retried when the database says so, readers have connections of their own and see a snapshot.
// SQL is the common subset of SQLite and PostgreSQL: $1.. parameters, TEXT and BIGINT, ON CONFLICT, RETURNING.
// Throws DatabaseError. What run_in_txn committed is durable when it returns; a crash before that leaves nothing of it.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"

namespace kiln::catalog {

class DatabaseError : public std::runtime_error {
 public:
  enum class Kind { other, constraint, busy, newer_schema, changed_migration };
  DatabaseError(Kind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  Kind kind() const { return kind_; }

 private:
  Kind kind_;
};

// NULL, BIGINT or TEXT. Bytes that are not text are kept as hex or base64 text; a boolean is 0 or 1.
using Value = std::variant<std::monostate, std::int64_t, std::string>;
using Row = std::vector<Value>;

class Txn {
 public:
  virtual ~Txn() = default;
  virtual std::vector<Row> query(std::string_view sql, const std::vector<Value>& parameters = {}) = 0;
  // Returns the number of rows changed.
  virtual std::int64_t execute(std::string_view sql, const std::vector<Value>& parameters = {}) = 0;
};

class Database {
 public:
  virtual ~Database() = default;
  // Runs body in one serialisable transaction and commits; rolls back when it throws. The body may run several times,
  // so it changes nothing outside the transaction but its own results.
  virtual void run_in_txn(const std::function<void(Txn&)>& body) = 0;
  // The same without writes, on a snapshot.
  virtual void read(const std::function<void(Txn&)>& body) = 0;
};

// Opens or creates the database file and brings its schema up to date; refuses a newer one by name.
std::unique_ptr<Database> open_sqlite(const std::filesystem::path& file, base::Clock& clock);

// run_in_txn and read for bodies that return something.
template <class Body>
auto in_txn(Database& database, Body body) -> decltype(body(std::declval<Txn&>())) {
  std::optional<decltype(body(std::declval<Txn&>()))> result;
  database.run_in_txn([&](Txn& txn) { result.emplace(body(txn)); });
  return std::move(*result);
}
template <class Body>
auto in_read(Database& database, Body body) -> decltype(body(std::declval<Txn&>())) {
  std::optional<decltype(body(std::declval<Txn&>()))> result;
  database.read([&](Txn& txn) { result.emplace(body(txn)); });
  return std::move(*result);
}

}  // namespace kiln::catalog
