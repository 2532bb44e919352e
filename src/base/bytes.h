#pragma once
// Little-endian fields of our file formats: written by appending, read with bounds.
//
// A Reader never reads past its end: a short read gives zeros and makes ok() false, so a decoder reads a whole header
// and asks once. It does not own the bytes.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace kiln::base {

static_assert(std::endian::native == std::endian::little, "our formats are written by plain copies");

using Bytes = std::vector<std::byte>;

inline std::span<const std::byte> as_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }
inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline void append(Bytes& out, std::span<const std::byte> bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

template <class Integer>
void append_int(Bytes& out, Integer value) {
  std::byte raw[sizeof value];
  std::memcpy(raw, &value, sizeof value);
  out.insert(out.end(), raw, raw + sizeof value);
}

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : rest_(bytes) {}

  template <class Integer>
  Integer read_int() {
    Integer value{};
    const auto raw = read(sizeof value);
    if (raw.size() == sizeof value) std::memcpy(&value, raw.data(), sizeof value);
    return value;
  }
  // The next count bytes, or an empty span when there are fewer.
  std::span<const std::byte> read(std::size_t count) {
    if (count > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const auto taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  bool ok() const { return ok_; }
  std::size_t remaining() const { return rest_.size(); }

 private:
  std::span<const std::byte> rest_;
  bool ok_ = true;
};

}  // namespace kiln::base
