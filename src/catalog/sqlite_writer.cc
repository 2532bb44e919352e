#include "catalog/sqlite_writer.h"

#include <algorithm>

namespace kiln::catalog {
namespace {

constexpr std::chrono::seconds longest_queue{60};
constexpr int largest_group = 64;  // so that the first of a group is not kept from its answer for long

}  // namespace

SqliteWriter::SqliteWriter(const std::filesystem::path& file)
    : connection_(file, SqliteConnection::Access::read_write) {
  const auto mode = connection_.query("PRAGMA journal_mode = WAL", {});
  if (mode.empty() || mode[0][0] != Value("wal")) {
    throw DatabaseError(DatabaseError::Kind::other, connection_.name() + ": its file system cannot hold a WAL");
  }
  connection_.run_script(
      "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;"
      "PRAGMA journal_size_limit = 67108864;");
}

void SqliteWriter::run(const std::function<void(Txn&)>& body) {
  std::shared_ptr<Group> group = take_turn();
  const bool first = group == nullptr;
  if (first) group = std::make_shared<Group>();
  std::exception_ptr mine;
  try {
    if (first) connection_.run_script("BEGIN IMMEDIATE");
    run_member(body);
  } catch (...) {
    mine = std::current_exception();
  }
  if (!connection_.in_transaction()) {
    // It never began, or it ended by itself (a full disk, a failed read): nobody of the group has anything.
    end_group(group, failure_of(mine));
  } else if (!hand_on(group)) {
    commit(group);
  }
  if (mine) std::rethrow_exception(mine);
  base::Lock lock(mutex_);
  if (group->failure) throw DatabaseError(group->failure->kind, group->failure->message);
}

std::shared_ptr<SqliteWriter::Group> SqliteWriter::take_turn() {
  base::Lock lock(mutex_);
  if (!taken_) {
    taken_ = true;
    return nullptr;
  }
  Waiter me;
  waiting_.push_back(&me);
  if (!me.call.wait_for(mutex_, longest_queue, [&] { return me.called; })) {
    waiting_.erase(std::find(waiting_.begin(), waiting_.end(), &me));
    throw DatabaseError(DatabaseError::Kind::other, connection_.name() + ": the queue of writers does not move");
  }
  return me.group;
}

void SqliteWriter::run_member(const std::function<void(Txn&)>& body) {
  connection_.run_script("SAVEPOINT member");
  try {
    body(connection_);
  } catch (...) {
    if (connection_.in_transaction()) connection_.run_script("ROLLBACK TO member; RELEASE member");
    throw;
  }
  connection_.run_script("RELEASE member");
}

// Gives the turn and the open transaction to the next in the queue and waits until the group's last member has
// committed; false when there is nobody, or the group is large enough. The wait has no deadline of its own: whether the
// changes are there is not known before it ends, and it ends after largest_group bodies.
bool SqliteWriter::hand_on(const std::shared_ptr<Group>& group) {
  base::Lock lock(mutex_);
  if (++group->members >= largest_group || waiting_.empty()) return false;
  call_next(group);
  group->end.wait(mutex_, [&] { return group->ended; });
  return true;
}

void SqliteWriter::commit(const std::shared_ptr<Group>& group) {
  std::optional<Failure> failure;
  try {
    connection_.run_script("COMMIT");
  } catch (const DatabaseError& error) {
    failure = Failure{error.kind(), error.what()};
    connection_.roll_back();
  }
  end_group(group, std::move(failure));
}

// What the others of a group are told when one member's failure ended the transaction. An exception that is not the
// database's may be about its caller's request.
SqliteWriter::Failure SqliteWriter::failure_of(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const DatabaseError& error) {
    return {error.kind(), error.what()};
  } catch (...) {
    return {DatabaseError::Kind::other, "the transaction was rolled back with that of another caller"};
  }
}

void SqliteWriter::end_group(const std::shared_ptr<Group>& group, std::optional<Failure> failure) {
  base::Lock lock(mutex_);
  group->ended = true;
  group->failure = std::move(failure);
  group->end.notify_all();
  call_next(nullptr);
}

void SqliteWriter::call_next(std::shared_ptr<Group> group) {
  if (waiting_.empty()) {
    taken_ = false;
    return;
  }
  Waiter& next = *waiting_.front();
  waiting_.pop_front();
  next.group = std::move(group);
  next.called = true;
  next.call.notify_one();  // under the mutex: the waiter lives on its thread's stack
}

}  // namespace kiln::catalog
