#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <random>
#include <set>
#include <thread>

#include "base/fd.h"
#include "catalog/accounts.h"
#include "catalog/temp_catalog.h"

// What a writer was told is what is there, when its process is killed under load and when the disk is full.

namespace kiln::catalog {
namespace {

// What a child process reports of its transactions, one line each, so small that the pipe keeps lines whole.
struct Pipe {
  base::Fd read, write;
  Pipe() {
    int ends[2] = {-1, -1};
    if (::pipe(ends) != 0) throw std::runtime_error("pipe");
    read = base::Fd(ends[0]);
    write = base::Fd(ends[1]);
  }
  void tell(const std::string& line) const {
    if (::write(write.get(), (line + "\n").data(), line.size() + 1) < 0) _exit(3);
  }
  // Everything up to the end, or the first count lines.
  std::vector<std::string> lines(std::size_t count = SIZE_MAX) {
    std::vector<std::string> found;
    char buffer[4096];
    while (found.size() < count) {
      const auto got = ::read(read.get(), buffer, sizeof buffer);
      if (got <= 0) break;
      for (ssize_t i = 0; i < got; ++i) {
        if (buffer[i] == '\n') {
          found.push_back(std::exchange(line_, {}));
        } else {
          line_ += buffer[i];
        }
      }
    }
    return found;
  }

 private:
  std::string line_;
};

// Inserts accounts named "<writer>-<n>" from several threads and tells how each ended, without end.
[[noreturn]] void write_under_load(const std::filesystem::path& file, const Pipe& pipe, std::size_t row_bytes) {
  base::ManualClock clock;
  const auto database = open_sqlite(file, clock);
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 8; ++writer) {
    writers.emplace_back([&, writer] {
      for (int n = 0;; ++n) {
        const std::string id = std::to_string(writer) + "-" + std::to_string(n);
        try {
          database->run_in_txn([&](Txn& txn) { insert(txn, Account{id, std::string(row_bytes, 'x'), n}); });
          pipe.tell("+" + id);
        } catch (const DatabaseError&) {
          pipe.tell("-" + id);
        }
      }
    });
  }
  for (auto& writer : writers) writer.join();
  _exit(0);
}

std::set<std::string> accounts(const std::filesystem::path& file) {
  base::ManualClock clock;
  std::set<std::string> found;
  const auto database = open_sqlite(file, clock);
  database->read([&](Txn& txn) {
    for (const auto& account : select<Account>(txn, "")) found.insert(account.id);
    EXPECT_EQ(txn.query("PRAGMA integrity_check").at(0).at(0), Value("ok"));
  });
  return found;
}

void end(pid_t child) {
  ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
}

TEST(Durability, what_was_acknowledged_is_there_after_kill_9_under_load) {
  TempDirectory directory;
  const auto file = directory.path() / "c.db";
  const char* given = std::getenv("KILN_SEED");
  const unsigned seed = given != nullptr ? static_cast<unsigned>(std::stoul(given)) : std::random_device{}();
  SCOPED_TRACE("KILN_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  for (int life = 0; life < 5; ++life) {
    std::filesystem::remove(file);
    for (const char* suffix : {"-wal", "-shm"}) std::filesystem::remove(file.string() + suffix);
    Pipe pipe;
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) write_under_load(file, pipe, 10);
    pipe.write.reset();
    auto told = pipe.lines(1 + random() % 300);
    end(child);
    for (auto& line : pipe.lines()) told.push_back(std::move(line));
    const auto found = accounts(file);
    for (const auto& line : told) {
      EXPECT_EQ(line[0], '+') << line;
      EXPECT_TRUE(found.contains(line.substr(1))) << line << " was acknowledged and is gone";
    }
  }
}

TEST(Durability, on_a_full_disk_each_writer_is_told_the_truth) {
  TempDirectory directory;
  const auto file = directory.path() / "c.db";
  Pipe pipe;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // No file of this process grows past a limit: writes fail as on a full disk, in bodies and in commits.
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{2'000'000, 2'000'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    write_under_load(file, pipe, 20'000);
  }
  pipe.write.reset();
  std::vector<std::string> told;
  for (std::size_t refused = 0; refused < 100;) {
    const auto more = pipe.lines(1);
    ASSERT_FALSE(more.empty());
    for (const auto& line : more) {
      if (line[0] == '-') ++refused;
      told.push_back(line);
    }
  }
  end(child);
  for (auto& line : pipe.lines()) told.push_back(std::move(line));
  const auto found = accounts(file);
  EXPECT_GT(found.size(), 20u);
  for (const auto& line : told) {
    EXPECT_EQ(found.contains(line.substr(1)), line[0] == '+') << line;
  }
}

}  // namespace
}  // namespace kiln::catalog
