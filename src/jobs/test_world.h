#pragma once
// For this folder's tests: a catalog, a log of what steps did outside of it, and waits with a deadline.

#include <gtest/gtest.h>

#include "base/mutex.h"
#include "catalog/tags.h"
#include "catalog/temp_catalog.h"
#include "jobs/jobs.h"

namespace kiln::jobs {

inline constexpr base::Micros soon = base::seconds(20);
inline const std::string region = "us-east-1";

// Something that steps do to the world, in order; waits for a number of things.
class Log {
 public:
  void add(const std::string& what) {
    base::Lock lock(mutex_);
    lines_.push_back(what);
    changed_.notify_all();
  }
  std::vector<std::string> lines() {
    base::Lock lock(mutex_);
    return lines_;
  }
  // Waits until what was added so many times; false at the deadline.
  bool wait_for(const std::string& what, std::ptrdiff_t times = 1) {
    base::Lock lock(mutex_);
    return changed_.wait_for(mutex_, std::chrono::microseconds(soon), [&]() KILN_REQUIRES(mutex_) {
      return std::count(lines_.begin(), lines_.end(), what) >= times;
    });
  }

 private:
  base::Mutex mutex_;
  base::Condition changed_;
  std::vector<std::string> lines_ KILN_GUARDED_BY(mutex_);
};

class JobsTest : public testing::Test {
 protected:
  std::string start(Runner& runner, const std::string& kind, const std::string& subject = "i-1",
                    const std::map<std::string, std::string>& arguments = {}) {
    const auto id = catalog::in_txn(*catalog_.database, [&](catalog::Txn& txn) {
      return runner.start(txn, {.region = region, .kind = kind, .subject = subject, .arguments = arguments});
    });
    runner.wake();
    return id;
  }
  catalog::Job job(const std::string& id) {
    return catalog::in_read(*catalog_.database,
                            [&](catalog::Txn& txn) { return catalog::find_job(txn, region, id).value(); });
  }
  // What jobs wrote into the catalog: tags stand for any row.
  std::string rows() {
    std::string text;
    catalog_.database->read([&](catalog::Txn& txn) {
      for (const auto& tag : catalog::tags_of(txn, region, "")) text += tag.key + "=" + tag.value + " ";
    });
    return text;
  }
  static void write(catalog::Txn& txn, const std::string& key, const std::string& value) {
    catalog::set_tags(txn, {{.region = region, .resource_id = "i-1", .key = key, .value = value}});
  }
  // A step that logs its name.
  Step logs(const std::string& name) {
    return {.name = name,
            .run = [this, name](Context&) { log_.add(name); },
            .undo = [this, name](Context&) { log_.add("undo " + name); }};
  }
  std::unique_ptr<Runner> runner(const std::string& owner, std::vector<Kind> kinds, Runner::Options options = {}) {
    options.owner = owner;
    auto made = std::make_unique<Runner>(*catalog_.database, catalog_.clock, std::move(options));
    for (Kind& kind : kinds) made->add(std::move(kind));
    return made;
  }

  catalog::TempCatalog catalog_;
  Log log_;
};

}  // namespace kiln::jobs
