#include "catalog/sqlite.h"

#include <algorithm>

#include "base/files.h"
#include "base/mutex.h"
#include "catalog/sqlite_writer.h"

namespace kiln::catalog {
namespace {

constexpr std::size_t most_readers = 8;
constexpr std::chrono::seconds longest_wait{60};
constexpr int most_attempts = 5;  // each waits up to the connection's busy timeout

// A transaction inside another one of the same thread would wait for itself: for the writer at once, for a reader as
// soon as all of them are taken. It is a mistake in the program, told by the first such call.
class Inside {
 public:
  explicit Inside(const Database* database) {
    if (std::find(open_.begin(), open_.end(), database) != open_.end()) {
      throw std::logic_error("a transaction was begun inside another one of the same thread and database");
    }
    open_.push_back(database);
  }
  ~Inside() { open_.pop_back(); }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  static thread_local std::vector<const Database*> open_;
};
thread_local std::vector<const Database*> Inside::open_;

// Read-only connections, made when all others are in use. They never checkpoint: two connections that do it at once
// can lose a WAL reset in SQLite 3.40 (https://sqlite.org/wal.html#walresetbug), and the writer does it anyway.
class Readers {
 public:
  explicit Readers(std::filesystem::path file) : file_(std::move(file)) {}

  std::unique_ptr<SqliteConnection> take() {
    {
      base::Lock lock(mutex_);
      const auto may_take = [this]() KILN_REQUIRES(mutex_) { return taken_ < most_readers; };
      const bool ready = returned_.wait_for(mutex_, longest_wait, may_take);
      if (!ready) throw DatabaseError(DatabaseError::Kind::other, file_.string() + ": all readers are taken");
      ++taken_;
      if (!idle_.empty()) {
        auto connection = std::move(idle_.back());
        idle_.pop_back();
        return connection;
      }
    }
    try {
      auto connection = std::make_unique<SqliteConnection>(file_, SqliteConnection::Access::read_only);
      connection->run_script("PRAGMA wal_autocheckpoint = 0; PRAGMA query_only = ON; PRAGMA temp_store = MEMORY");
      return connection;
    } catch (...) {
      give_back(nullptr);
      throw;
    }
  }

  void give_back(std::unique_ptr<SqliteConnection> connection) {
    base::Lock lock(mutex_);
    --taken_;
    if (connection) idle_.push_back(std::move(connection));
    returned_.notify_one();
  }

 private:
  const std::filesystem::path file_;
  base::Mutex mutex_;
  base::Condition returned_;
  std::size_t taken_ KILN_GUARDED_BY(mutex_) = 0;
  std::vector<std::unique_ptr<SqliteConnection>> idle_ KILN_GUARDED_BY(mutex_);
};

class SqliteDatabase final : public Database {
 public:
  SqliteDatabase(const std::filesystem::path& file, base::Clock& clock, std::span<const Migration> known)
      : writer_(file), readers_(file) {
    migrate(writer_.connection(), known, clock.now());
    // The name of a file made just now is durable once its directory is.
    const auto directory = file.parent_path();
    const auto synced = base::posix_files().sync_directory(directory.empty() ? "." : directory);
    if (!synced) throw DatabaseError(DatabaseError::Kind::other, synced.error().message());
  }

  void run_in_txn(const std::function<void(Txn&)>& body) override {
    const Inside inside(this);
    for (int attempt = 1;; ++attempt) {
      try {
        return writer_.run(body);
      } catch (const DatabaseError& error) {
        if (error.kind() != DatabaseError::Kind::busy || attempt == most_attempts) throw;
      }
    }
  }

  void read(const std::function<void(Txn&)>& body) override {
    const Inside inside(this);
    auto connection = readers_.take();
    std::exception_ptr failure;
    try {
      connection->run_script("BEGIN");
      body(*connection);
    } catch (...) {
      failure = std::current_exception();
    }
    connection->roll_back();
    readers_.give_back(std::move(connection));
    if (failure) std::rethrow_exception(failure);
  }

 private:
  SqliteWriter writer_;
  Readers readers_;  // after the writer, so closed before it: the last one to close makes the final checkpoint
};

}  // namespace

std::unique_ptr<Database> open_sqlite_with(const std::filesystem::path& file, base::Clock& clock,
                                           std::span<const Migration> known) {
  return std::make_unique<SqliteDatabase>(file, clock, known);
}

std::unique_ptr<Database> open_sqlite(const std::filesystem::path& file, base::Clock& clock) {
  return open_sqlite_with(file, clock, migrations());
}

}  // namespace kiln::catalog
