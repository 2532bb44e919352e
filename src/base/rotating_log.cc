#include "base/rotating_log.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/log.h"
#include "base/text.h"

namespace kiln::base {
namespace {

constexpr std::size_t most_at_once = 1 << 20;  // bytes of one write
constexpr Micros sync_interval = seconds(1), said_again = seconds(60);

// 20260102T030405.678901Z: sorts as time does.
std::string name_of_time(Micros now) {
  const auto second = to_amz_date(now);
  auto micros = std::to_string(now % 1'000'000);
  return second.substr(0, second.size() - 1) + '.' + std::string(6 - micros.size(), '0') + micros + 'Z';
}

// Where the last whole line of what a file ends with ends. A power cut can leave zeros where lines would have been.
std::size_t end_of_lines(std::string_view tail) {
  const auto zero = tail.find('\0');
  const auto newline = tail.substr(0, zero).rfind('\n');
  return newline == std::string_view::npos ? 0 : newline + 1;
}

}  // namespace

RotatingLog::RotatingLog(Files& files, Clock& clock, Options options)
    : files_(files), clock_(clock), options_(std::move(options)), thread_([this] { work(); }) {}

RotatingLog::~RotatingLog() {
  {
    const Lock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void RotatingLog::write(std::string line) {
  line += '\n';
  std::uint64_t dropped = 0;
  {
    const Lock lock(mutex_);
    if (queued_bytes_ + line.size() > options_.queue_bytes) {
      ++untold_;
      dropped = ++dropped_;
    } else {
      queued_bytes_ += line.size();
      queue_.push_back(std::move(line));
    }
  }
  if (dropped == 0) return changed_.notify_all();
  // The first, and then ever fewer: whoever drops thousands a second must not fill the other log too.
  if ((dropped & (dropped - 1)) == 0) {
    log_error(options_.name, "LINES ARE LOST: {} of the {} log so far, which cannot be written to {}", dropped,
              options_.name, path().string());
  }
}

bool RotatingLog::flush(std::chrono::milliseconds at_most) {
  const Lock lock(mutex_);
  return changed_.wait_for(mutex_, at_most, [this]() KILN_NOT_ANALYSED { return queue_.empty() && !writing_; });
}

std::uint64_t RotatingLog::dropped() {
  const Lock lock(mutex_);
  return dropped_;
}

void RotatingLog::work() {
  std::string lines;
  std::uint64_t telling = 0;
  for (;;) {
    bool stopping = false;
    {
      const Lock lock(mutex_);
      writing_ = !lines.empty();
      if (!writing_) changed_.notify_all();
      const auto wait = writing_ ? options_.retry : std::chrono::milliseconds(unsynced_ ? 1000 : 60'000);
      changed_.wait_for(mutex_, wait, [&]() KILN_NOT_ANALYSED { return stopping_ || (!writing_ && !queue_.empty()); });
      stopping = stopping_;
      const bool fresh = !writing_;
      while (fresh && !queue_.empty() &&
             lines.size() + queue_.front().size() <= std::max(most_at_once, queue_.front().size())) {
        lines += queue_.front();
        queued_bytes_ -= queue_.front().size();
        queue_.pop_front();
      }
      writing_ = !lines.empty();
      telling = untold_;
    }
    if (!lines.empty()) {
      std::string told;
      if (telling != 0 && options_.gap) told = options_.gap(telling) + '\n';
      if (const auto written = put(told + lines)) {
        lines.clear();
        if (said_failed_ != 0) log_warning(options_.name, "{} can be written again", path().string());
        said_failed_ = 0;
        const Lock lock(mutex_);
        untold_ -= telling;
      } else {
        say_failed(written.error());
        if (stopping) return;  // it will not get better while somebody waits for the end
      }
    }
    if (file_ && unsynced_ && (stopping || clock_.monotonic() - synced_ >= sync_interval)) {
      synced_ = clock_.monotonic();
      if (const auto synced = file_->sync_data(); !synced) say_failed(synced.error());
      unsynced_ = false;
    }
    const Lock lock(mutex_);
    if (stopping && queue_.empty() && lines.empty()) return;
  }
}

Status RotatingLog::put(std::string_view lines) {
  if (!file_) KILN_TRY(open());
  if (size_bytes_ > 0 && size_bytes_ + lines.size() > options_.file_bytes) KILN_TRY(rotate());
  const auto written = file_->write_at(size_bytes_, as_bytes(lines));
  if (!written) {
    // What of them did arrive goes again, or they would be there twice. If not even that is possible, opening does it.
    if (!file_->truncate(size_bytes_)) file_.reset();
    return written.error();
  }
  size_bytes_ += lines.size();
  unsynced_ = true;
  return {};
}

Status RotatingLog::open() {
  KILN_TRY(files_.make_directories(options_.directory));
  const bool there = files_.exists(path()).ok() && *files_.exists(path());
  auto file = files_.open(path(), there ? Open::read_write : Open::create_private);
  if (!file) return file.error();
  const auto size = (*file)->size();
  if (!size) return size.error();
  const std::uint64_t from = *size > most_at_once ? *size - most_at_once : 0;
  std::string tail(*size - from, '\0');
  KILN_TRY((*file)->read_exactly(from, std::as_writable_bytes(std::span(tail))));
  size_bytes_ = from + end_of_lines(tail);
  if (size_bytes_ != *size) KILN_TRY((*file)->truncate(size_bytes_));
  file_ = *std::move(file);
  return files_.sync_directory(options_.directory);
}

Status RotatingLog::rotate() {
  if (const auto synced = file_->sync_data(); !synced) say_failed(synced.error());
  unsynced_ = false;
  KILN_TRY(files_.rename(path(), options_.directory / (options_.name + "-" + name_of_time(clock_.now()) + ".log")));
  file_.reset();
  size_bytes_ = 0;
  remove_old();
  return open();
}

void RotatingLog::remove_old() {
  const auto names = files_.list(options_.directory);
  if (!names) return say_failed(names.error());
  std::vector<std::string> full;
  for (const auto& name : *names) {
    if (name.starts_with(options_.name + "-") && name.ends_with(".log")) full.push_back(name);
  }
  for (std::size_t i = 0; i + static_cast<std::size_t>(options_.files) < full.size(); ++i) {
    if (const auto removed = files_.remove(options_.directory / full[i]); !removed) say_failed(removed.error());
  }
}

void RotatingLog::say_failed(const Error& error) {
  const auto now = clock_.monotonic();
  if (said_failed_ != 0 && now - said_failed_ < said_again) return;
  said_failed_ = std::max<Micros>(now, 1);
  log_error(options_.name, "THE {} LOG IS NOT WRITTEN, requests go on without it: {}", options_.name, error.message());
}

}  // namespace kiln::base
