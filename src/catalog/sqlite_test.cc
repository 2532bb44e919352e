#include "catalog/sqlite.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <latch>
#include <thread>

#include "catalog/accounts.h"
#include "catalog/temp_catalog.h"

namespace kiln::catalog {
namespace {

DatabaseError::Kind kind_of(const std::function<void()>& action, std::string* message = nullptr) {
  try {
    action();
  } catch (const DatabaseError& error) {
    if (message != nullptr) *message = error.what();
    return error.kind();
  }
  ADD_FAILURE() << "no DatabaseError";
  return DatabaseError::Kind::other;
}

std::int64_t number(Txn& txn, std::string_view sql) { return std::get<std::int64_t>(txn.query(sql).at(0).at(0)); }

constexpr Migration one{1, "0001.sql", "CREATE TABLE a (\n  x BIGINT NOT NULL\n);\n"};
constexpr Migration two{2, "0002_b.sql", "CREATE TABLE b (\n  y TEXT\n);\nINSERT INTO b (y) VALUES ('made by 2');\n"};

TEST(Migrations, are_applied_once_each_and_only_those_that_are_missing) {
  TempDirectory directory;
  base::ManualClock clock(77);
  const auto file = directory.path() / "c.db";
  const Migration both[] = {one, two};
  open_sqlite_with(file, clock, {both, 1})->run_in_txn([](Txn& txn) { txn.execute("INSERT INTO a VALUES (5)"); });
  for (int time = 0; time < 2; ++time) {
    const auto database = open_sqlite_with(file, clock, both);
    database->read([](Txn& txn) {
      EXPECT_EQ(number(txn, "SELECT x FROM a"), 5);
      EXPECT_EQ(number(txn, "SELECT COUNT(*) FROM b"), 1);
      const auto rows = txn.query("SELECT version, name, applied_at FROM schema_version ORDER BY version");
      ASSERT_EQ(rows.size(), 2u);
      EXPECT_EQ(rows[1], (Row{std::int64_t{2}, "0002_b.sql", std::int64_t{77}}));
    });
  }
}

TEST(Migrations, a_file_that_changed_after_it_was_applied_is_refused) {
  TempDirectory directory;
  base::ManualClock clock;
  const auto file = directory.path() / "c.db";
  open_sqlite_with(file, clock, {&one, 1});
  const Migration changed{1, "0001.sql", "CREATE TABLE a (\n  x TEXT\n);\n"};
  std::string message;
  EXPECT_EQ(kind_of(
                [&] {
                  open_sqlite_with(file, clock, {&changed, 1});
                },
                &message),
            DatabaseError::Kind::changed_migration);
  EXPECT_NE(message.find("0001.sql"), std::string::npos) << message;
}

TEST(Migrations, a_newer_schema_is_refused_by_name_and_left_alone) {
  TempDirectory directory;
  base::ManualClock clock;
  const auto file = directory.path() / "c.db";
  const Migration both[] = {one, two};
  open_sqlite_with(file, clock, both);
  std::string message;
  EXPECT_EQ(kind_of([&] { open_sqlite_with(file, clock, {both, 1}); }, &message), DatabaseError::Kind::newer_schema);
  EXPECT_NE(message.find("0002_b.sql"), std::string::npos) << message;
  open_sqlite_with(file, clock, both);
}

TEST(Migrations, one_that_fails_leaves_the_version_before_it) {
  TempDirectory directory;
  base::ManualClock clock;
  const auto file = directory.path() / "c.db";
  const Migration broken[] = {one,
                              {2, "0002_b.sql", "CREATE TABLE b (\n  y TEXT\n);\nINSERT INTO nowhere VALUES (1);"}};
  EXPECT_EQ(kind_of([&] { open_sqlite_with(file, clock, broken); }), DatabaseError::Kind::other);
  const Migration both[] = {one, two};
  open_sqlite_with(file, clock, both)->read([](Txn& txn) { EXPECT_EQ(number(txn, "SELECT COUNT(*) FROM b"), 1); });
}

TEST(Migrations, the_embedded_ones_are_numbered_without_a_gap) {
  int version = 0;
  for (const Migration& migration : migrations()) EXPECT_EQ(migration.version, ++version);
  EXPECT_GE(version, 1);
}

TEST(Sqlite, the_file_is_for_its_owner_only) {
  TempCatalog catalog;
  catalog.database->run_in_txn([](Txn& txn) { insert(txn, Account{"1", "a", 1}); });
  for (const auto& entry : std::filesystem::directory_iterator(catalog.directory.path())) {
    const auto others = std::filesystem::perms::group_all | std::filesystem::perms::others_all;
    EXPECT_EQ(entry.status().permissions() & others, std::filesystem::perms::none) << entry.path();
  }
}

TEST(Sqlite, a_file_that_is_no_database_is_refused) {
  TempDirectory directory;
  base::ManualClock clock;
  const auto file = directory.path() / "c.db";
  {
    std::unique_ptr<FILE, int (*)(FILE*)> out(std::fopen(file.c_str(), "w"), &std::fclose);
    std::fputs(std::string(5000, 'x').c_str(), out.get());
  }
  EXPECT_EQ(kind_of([&] { open_sqlite(file, clock); }), DatabaseError::Kind::other);
}

TEST(Sqlite, parameters_are_bound_by_their_number_not_by_first_appearance) {
  EXPECT_EQ(number_parameters("SELECT $2, '$1 it''s $3', $10"), "SELECT ?2, '$1 it''s $3', ?10");
  TempCatalog catalog;
  catalog.database->read([](Txn& txn) {
    EXPECT_EQ(txn.query("SELECT $2, $1, $2", {"one", std::int64_t{2}}).at(0),
              (Row{std::int64_t{2}, "one", std::int64_t{2}}));
    EXPECT_EQ(txn.query("SELECT $1", {Value{}}).at(0), Row{Value{}});
    EXPECT_THROW(txn.query("SELECT $1, $2", {"one"}), DatabaseError);
    EXPECT_THROW(txn.query("SELECT 1; SELECT 2"), DatabaseError);
  });
}

TEST(Sqlite, a_body_that_throws_leaves_nothing) {
  TempCatalog catalog;
  EXPECT_THROW(catalog.database->run_in_txn([](Txn& txn) {
    insert(txn, Account{"1", "a", 1});
    throw std::runtime_error("no");
  }),
               std::runtime_error);
  catalog.database->read([](Txn& txn) { EXPECT_FALSE(find_account(txn, "1")); });
  catalog.database->run_in_txn([](Txn& txn) { insert(txn, Account{"1", "a", 1}); });
}

TEST(Sqlite, a_reader_cannot_write) {
  TempCatalog catalog;
  EXPECT_THROW(catalog.database->read([](Txn& txn) { insert(txn, Account{"1", "a", 1}); }), DatabaseError);
  catalog.database->read([](Txn& txn) { EXPECT_FALSE(find_account(txn, "1")); });
}

TEST(Sqlite, a_transaction_inside_another_one_is_refused_instead_of_waiting_for_itself) {
  TempCatalog catalog, other;
  const auto nothing = [](Txn&) {};
  Database& database = *catalog.database;
  EXPECT_THROW(database.run_in_txn([&](Txn&) { database.run_in_txn(nothing); }), std::logic_error);
  EXPECT_THROW(database.run_in_txn([&](Txn&) { database.read(nothing); }), std::logic_error);
  EXPECT_THROW(database.read([&](Txn&) { database.run_in_txn(nothing); }), std::logic_error);
  EXPECT_THROW(database.read([&](Txn&) { database.read(nothing); }), std::logic_error);
  database.run_in_txn([&](Txn&) { other.database->run_in_txn(nothing); });
}

TEST(Sqlite, many_writers_lose_no_increment_and_a_failing_one_takes_only_its_own) {
  TempCatalog catalog;
  catalog.database->run_in_txn([](Txn& txn) { insert(txn, Account{"1", "counter", 0}); });
  constexpr int threads = 8, rounds = 100;
  std::vector<std::jthread> writers;
  std::atomic<int> refused = 0;
  for (int t = 0; t < threads; ++t) {
    writers.emplace_back([&, t] {
      for (int round = 0; round < rounds; ++round) {
        try {
          catalog.database->run_in_txn([&](Txn& txn) {
            Account counter = *find_account(txn, "1");
            counter.created += 1;
            update(txn, counter);
            if ((t + round) % 5 == 0) insert(txn, counter);
          });
        } catch (const DatabaseError& error) {
          if (error.kind() == DatabaseError::Kind::constraint) ++refused;
        }
      }
    });
  }
  writers.clear();
  EXPECT_EQ(refused, threads * rounds / 5);
  catalog.reopen();
  catalog.database->read([&](Txn& txn) { EXPECT_EQ(find_account(txn, "1")->created, threads * rounds - refused); });
}

TEST(Sqlite, a_reader_sees_one_moment_while_writers_go_on) {
  TempCatalog catalog;
  catalog.database->run_in_txn([](Txn& txn) { insert(txn, Account{"1", "a", 1}); });
  std::latch began(1), written(1);
  std::jthread writer([&] {
    began.wait();
    catalog.database->run_in_txn([](Txn& txn) { insert(txn, Account{"2", "b", 1}); });
    written.count_down();
  });
  catalog.database->read([&](Txn& txn) {
    EXPECT_EQ(number(txn, "SELECT COUNT(*) FROM account"), 1);
    began.count_down();
    written.wait();
    EXPECT_EQ(number(txn, "SELECT COUNT(*) FROM account"), 1);
  });
  catalog.database->read([&](Txn& txn) { EXPECT_EQ(number(txn, "SELECT COUNT(*) FROM account"), 2); });
}

TEST(Sqlite, more_readers_than_connections_take_turns) {
  TempCatalog catalog;
  std::vector<std::jthread> readers;
  std::atomic<int> done = 0;
  for (int i = 0; i < 20; ++i) {
    readers.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        catalog.database->read([](Txn& txn) { EXPECT_EQ(number(txn, "SELECT COUNT(*) FROM account"), 0); });
      }
      ++done;
    });
  }
  readers.clear();
  EXPECT_EQ(done, 20);
}

TEST(Sqlite, what_was_committed_outlives_the_process_that_dies_at_once) {
  TempDirectory directory;
  base::ManualClock clock;
  const auto file = directory.path() / "c.db";
  const pid_t child = fork();
  if (child == 0) {
    const auto database = open_sqlite(file, clock);
    database->run_in_txn([](Txn& txn) { insert(txn, Account{"1", "kept", 1}); });
    database->run_in_txn([](Txn& txn) {
      insert(txn, Account{"2", "never committed", 1});
      _exit(0);
    });
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  open_sqlite(file, clock)->read([](Txn& txn) {
    EXPECT_TRUE(find_account(txn, "1"));
    EXPECT_FALSE(find_account(txn, "2"));
  });
}

}  // namespace
}  // namespace kiln::catalog
