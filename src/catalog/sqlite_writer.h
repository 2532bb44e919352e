#pragma once
// The one connection that writes: a queue in front of it, and one commit for those who queue together.
//
// Owned by the driver (sqlite.cc). Thread-safe. A body runs on its caller's thread, one at a time, in the order of
// arrival. Whoever finds somebody waiting behind him hands the open transaction on instead of committing it, and the
// last one commits for all: one sync of the disk serves every transaction of the group. Each body has a savepoint, so
// one that throws takes only its own changes with it. run() returns when the group is durable, or throws if it is not;
// a crash before that leaves nothing of the group.
// Bodies run with no mutex held. Checkpoints happen here too, inside commits (see docs/decisions/catalog-on-sqlite.md).

#include <deque>
#include <exception>

#include "base/mutex.h"
#include "catalog/sqlite_connection.h"

namespace kiln::catalog {

class SqliteWriter {
 public:
  explicit SqliteWriter(const std::filesystem::path& file);

  // Throws what body threw, or DatabaseError: Kind::busy when another process holds the file, Kind::other when the
  // queue does not move for a minute or the disk fails.
  void run(const std::function<void(Txn&)>& body);
  SqliteConnection& connection() { return connection_; }  // before the first run()

 private:
  // Why nothing of a group is there. Each member throws an exception of its own made from it.
  struct Failure {
    DatabaseError::Kind kind = DatabaseError::Kind::other;
    std::string message;
  };
  // Those who share one commit. Guarded by mutex_.
  struct Group {
    int members = 0;
    bool ended = false;
    std::optional<Failure> failure;
    base::Condition end;
  };
  struct Waiter {
    bool called = false;
    std::shared_ptr<Group> group;  // whose transaction is handed over; none when there is no open one
    base::Condition call;
  };

  std::shared_ptr<Group> take_turn();
  void run_member(const std::function<void(Txn&)>& body);
  void end_group(const std::shared_ptr<Group>& group, std::optional<Failure> failure);
  static Failure failure_of(const std::exception_ptr& thrown);
  void commit(const std::shared_ptr<Group>& group);
  bool hand_on(const std::shared_ptr<Group>& group);
  void call_next(std::shared_ptr<Group> group) KILN_REQUIRES(mutex_);

  SqliteConnection connection_;  // of him whose turn it is
  base::Mutex mutex_;
  bool taken_ KILN_GUARDED_BY(mutex_) = false;
  std::deque<Waiter*> waiting_ KILN_GUARDED_BY(mutex_);
};

}  // namespace kiln::catalog
