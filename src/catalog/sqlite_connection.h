#pragma once
// One connection to a SQLite file: statements prepared once, values bound, failures told as DatabaseError.
//
// Owned by the driver (sqlite.cc), which lends it to one thread at a time. Not thread-safe. Knows nothing of retries
// and queues; a transaction that is open when the connection goes is rolled back by SQLite.

#include <memory>
#include <unordered_map>

#include "catalog/database.h"

struct sqlite3;
struct sqlite3_stmt;

namespace kiln::catalog {

// "$2" names a parameter in SQLite and is numbered by first appearance; "?2" is the second one, as $2 is in PostgreSQL.
std::string number_parameters(std::string_view sql);

class SqliteConnection final : public Txn {
 public:
  enum class Access { read_only, read_write };  // read_write creates the file, for its owner's eyes only

  SqliteConnection(const std::filesystem::path& file, Access access);
  ~SqliteConnection() override;
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;

  std::vector<Row> query(std::string_view sql, const std::vector<Value>& parameters) override;
  std::int64_t execute(std::string_view sql, const std::vector<Value>& parameters) override;

  // Statements without parameters, one after the other: transactions, settings, schema files.
  void run_script(const std::string& sql);
  // Ends the transaction if one is open; some failures have ended it already. Never throws.
  void roll_back() noexcept;
  bool in_transaction() const;
  const std::string& name() const { return name_; }

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  sqlite3_stmt* prepared(std::string_view sql);
  DatabaseError error(std::string_view doing) const;

  std::string name_;
  std::unique_ptr<sqlite3, Close> database_;
  std::unordered_map<std::string, std::unique_ptr<sqlite3_stmt, Finalize>> statements_;  // by the SQL as it was given
};

}  // namespace kiln::catalog
