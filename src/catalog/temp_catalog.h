#pragma once
// For tests: a real catalog in a directory that goes with it, on a clock that moves only when told.

#include <unistd.h>

#include <cstdlib>

#include "catalog/database.h"

namespace kiln::catalog {

class TempDirectory {
 public:
  TempDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "kiln-catalog-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
    path_ = name;
  }
  ~TempDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

struct TempCatalog {
  TempDirectory directory;
  base::ManualClock clock;
  std::unique_ptr<Database> database = open_sqlite(file(), clock);

  std::filesystem::path file() const { return directory.path() / "catalog.db"; }
  // As after a restart of the daemon.
  void reopen() {
    database.reset();
    database = open_sqlite(file(), clock);
  }
};

}  // namespace kiln::catalog
