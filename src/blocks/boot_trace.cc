#include "blocks/boot_trace.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "blocks/manifest.h"

namespace kiln::blocks {
namespace {

using base::Error;
using base::Fault;
using base::Result;

// Reads a number that a character ends; what follows is left in text.
template <class Number>
bool take_number(std::string_view& text, char end, Number& number) {
  const auto stop = std::min(text.find(end), text.size());
  const auto [last, failure] = std::from_chars(text.data(), text.data() + stop, number);
  const bool whole = failure == std::errc() && last == text.data() + stop && stop > 0;
  text.remove_prefix(std::min(stop + 1, text.size()));
  return whole;
}

}  // namespace

std::vector<std::uint64_t> trace_of(std::span<const std::vector<Touch>> launches) {
  std::map<std::uint64_t, std::vector<std::uint32_t>> times;
  for (const auto& launch : launches) {
    for (const auto& touch : launch) times[touch.chunk_index].push_back(touch.after_ms);
  }
  const auto least = std::min<std::size_t>(2, launches.size());
  std::vector<std::pair<std::uint32_t, std::uint64_t>> order;
  for (auto& [chunk, when] : times) {
    if (when.size() < least) continue;
    std::ranges::sort(when);
    order.emplace_back(when[(when.size() - 1) / 2], chunk);
  }
  std::ranges::sort(order);
  std::vector<std::uint64_t> chunks;
  for (const auto& [when, chunk] : order) chunks.push_back(chunk);
  if (chunks.size() > max_touches) chunks.resize(max_touches);
  return chunks;
}

std::string touches_text(std::span<const Touch> touches) {
  std::string text;
  for (const auto& touch : touches) {
    if (!text.empty()) text += ' ';
    text += std::to_string(touch.chunk_index) + '@' + std::to_string(touch.after_ms);
  }
  return text;
}

Result<std::vector<Touch>> parse_touches(std::string_view text) {
  std::vector<Touch> touches;
  std::unordered_set<std::uint64_t> seen;
  if (text.ends_with(' ')) return Error(Fault::corrupt, "a list of first touches that ends in a space");
  while (!text.empty()) {
    Touch touch;
    const bool read = take_number(text, '@', touch.chunk_index) && take_number(text, ' ', touch.after_ms);
    if (!read || touch.chunk_index >= max_disk_chunks || !seen.insert(touch.chunk_index).second ||
        touches.size() == max_touches) {
      return Error(Fault::corrupt,
                   "a list of first touches that breaks at number " + std::to_string(touches.size() + 1));
    }
    touches.push_back(touch);
  }
  return touches;
}

void TouchRecorder::note(std::uint64_t chunk_index, Clock::time_point now) {
  base::Lock lock(mutex_);
  if (!recording()) return;
  if (now - start_ >= trace_window || now - latest_ >= trace_pause) {
    recording_ = false;
    return;
  }
  if (!seen_.insert(chunk_index).second) return;
  latest_ = now;
  const auto after = std::chrono::duration_cast<std::chrono::milliseconds>(now - start_).count();
  touches_.push_back({.chunk_index = chunk_index, .after_ms = static_cast<std::uint32_t>(after)});
  if (touches_.size() == max_touches) recording_ = false;
}

LaunchTouches TouchRecorder::touches(Clock::time_point now) {
  base::Lock lock(mutex_);
  if (now - start_ >= trace_window || now - latest_ >= trace_pause) recording_ = false;
  return {.touches = touches_, .complete = !recording()};
}

}  // namespace kiln::blocks
