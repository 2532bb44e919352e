#pragma once
// A hash table from record ids to small values, for walks over every record of a store.
//
// Keyed by the first 16 bytes of the id: two records of a store that agree in them would need 2^64 hashes of chunks to
// be made. Open addressing at most three quarters full, so a record takes 16 bytes and the value, times 1.3 to 2.7:
// std::unordered_map of whole digests takes three times as much. Nothing is removed. Owned by one thread; pointers to
// values last until the next insert.

#include <cstring>
#include <utility>
#include <vector>

#include "base/digest.h"

namespace kiln::blocks {

template <class Value>
class RecordTable {
 public:
  std::size_t size() const { return used_; }

  Value* find(const base::Digest& id) {
    if (slots_.empty()) return nullptr;
    auto& slot = slots_[place_of(Key(id))];
    return slot.key.is_empty() ? nullptr : &slot.value;
  }
  const Value* find(const base::Digest& id) const { return const_cast<RecordTable*>(this)->find(id); }

  // The value of id, and whether it was not there before. id is not null.
  std::pair<Value*, bool> insert(const base::Digest& id) {
    if (used_ + 1 > slots_.size() / 4 * 3) grow();
    const Key key(id);
    auto& slot = slots_[place_of(key)];
    if (!slot.key.is_empty()) return {&slot.value, false};
    slot.key = key;
    ++used_;
    return {&slot.value, true};
  }

  template <class Body>
  void for_each(Body body) const {
    for (const auto& slot : slots_) {
      if (!slot.key.is_empty()) body(slot.value);
    }
  }

 private:
  struct Key {
    std::uint64_t words[2] = {};

    Key() = default;
    explicit Key(const base::Digest& id) { std::memcpy(words, id.bytes.data(), sizeof words); }
    bool operator==(const Key&) const = default;
    bool is_empty() const { return words[0] == 0 && words[1] == 0; }
  };
  struct Slot {
    Key key;
    Value value{};
  };

  // Where key is, or belongs. There is always an empty slot.
  std::size_t place_of(const Key& key) const {
    const auto mask = slots_.size() - 1;
    auto at = key.words[0] & mask;
    while (!slots_[at].key.is_empty() && slots_[at].key != key) at = (at + 1) & mask;
    return at;
  }

  void grow() {
    std::vector<Slot> old(slots_.empty() ? 1024 : slots_.size() * 2);
    old.swap(slots_);
    for (auto& slot : old) {
      if (!slot.key.is_empty()) slots_[place_of(slot.key)] = std::move(slot);
    }
  }

  std::vector<Slot> slots_;  // a power of two
  std::size_t used_ = 0;
};

}  // namespace kiln::blocks
