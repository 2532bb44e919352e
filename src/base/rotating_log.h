#pragma once
// Lines of text that are kept: a file that grows to a size, then takes a name with the time and leaves its place to a
// new one; the oldest files go. Beside log.h, which tells the operator what happens, this is a record that others read.
//
//   directory/audit.log                          the lines of now
//   directory/audit-20260102T030405.678901Z.log  those before, by the time at which the file was full
//
// write() queues and returns: one thread of its own does all that waits for the disk, and syncs once a second. A disk
// that fails or is full holds up nobody: the lines wait in memory, and when that is full too, are dropped and counted,
// which the log says at once and as long as it lasts, and the file as soon as it can.
// After a crash of the process the lines of its last moments may be missing, after a power cut those of its last
// second; what is there are whole lines, since the next start cuts off the rest of the last one.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/files.h"
#include "base/mutex.h"

namespace kiln::base {

class RotatingLog {
 public:
  struct Options {
    Path directory;
    std::string name = "audit";
    std::uint64_t file_bytes = 64 << 20;  // a file that holds more is full
    int files = 16;                       // full ones that are kept
    std::size_t queue_bytes = 16 << 20;   // of lines that wait for the disk
    // The line that stands for so many that were dropped.
    std::function<std::string(std::uint64_t dropped)> gap;
    std::chrono::milliseconds retry = std::chrono::seconds(1);  // after a failure
  };

  RotatingLog(Files& files, Clock& clock, Options options);
  ~RotatingLog();  // writes what waits, if the disk takes it
  RotatingLog(const RotatingLog&) = delete;
  RotatingLog& operator=(const RotatingLog&) = delete;

  // Without its newline. Any thread; waits for no disk.
  void write(std::string line);
  // Waits until all that was written before is in the file; false when it is not after so long.
  bool flush(std::chrono::milliseconds at_most);
  std::uint64_t dropped();  // since the start

 private:
  void work();
  Status put(std::string_view lines);
  Status open();
  Status rotate();
  void remove_old();
  void say_failed(const Error& error);
  Path path() const { return options_.directory / (options_.name + ".log"); }

  Files& files_;
  Clock& clock_;
  const Options options_;

  // The writing thread's own:
  std::unique_ptr<File> file_;
  std::uint64_t size_bytes_ = 0;
  bool unsynced_ = false;
  Micros said_failed_ = 0, synced_ = 0;  // by the monotonic clock; 0: not

  Mutex mutex_;
  Condition changed_;
  std::deque<std::string> queue_ KILN_GUARDED_BY(mutex_);
  std::size_t queued_bytes_ KILN_GUARDED_BY(mutex_) = 0;
  std::uint64_t dropped_ KILN_GUARDED_BY(mutex_) = 0;  // in all
  std::uint64_t untold_ KILN_GUARDED_BY(mutex_) = 0;   // of them, those that the file does not say
  bool writing_ KILN_GUARDED_BY(mutex_) = false;       // lines are out of the queue and not in the file
  bool stopping_ KILN_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace kiln::base
