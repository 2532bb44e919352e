#pragma once
// Rows as plain structs: one macro line per struct lists its columns, and five functions read and write it.
//
//   struct KeyPair { std::string region, account, name, id; base::Micros created = 0; };
//   KILN_ROW(kiln::catalog::KeyPair, "key_pair", 3, region, account, name, id, created)
//
// The number says how many of the first columns are the primary key. Column names are member names. Members are
// std::string, std::int64_t (also base::Micros), int, bool, or std::optional of those. All calls need an open
// transaction and throw DatabaseError.

#include <span>
#include <type_traits>
#include <utility>

#include "catalog/database.h"

namespace kiln::catalog {

struct Column {
  std::string_view name;
  Value (*get)(const void* row);
  void (*set)(void* row, const Value& value);
};

template <class T>
struct TableOf;  // specialised by KILN_ROW: name, key_columns, columns

// The untyped halves, in table.cc.
void insert_row(Txn& txn, std::string_view table, std::span<const Column> columns, const void* row);
bool update_row(Txn& txn, std::string_view table, std::span<const Column> columns, std::size_t keys, const void* row);
void upsert_row(Txn& txn, std::string_view table, std::span<const Column> columns, std::size_t keys, const void* row);
bool remove_row(Txn& txn, std::string_view table, std::span<const Column> columns, std::size_t keys, const void* row);
std::vector<Row> select_rows(Txn& txn, std::string_view table, std::span<const Column> columns, std::string_view rest,
                             const std::vector<Value>& parameters);

template <class T>
void insert(Txn& txn, const T& row) {  // DatabaseError::Kind::constraint when the key is taken
  insert_row(txn, TableOf<T>::name, TableOf<T>::columns, &row);
}
template <class T>
bool update(Txn& txn, const T& row) {  // by its primary key; false when it is not there
  return update_row(txn, TableOf<T>::name, TableOf<T>::columns, TableOf<T>::key_columns, &row);
}
template <class T>
void upsert(Txn& txn, const T& row) {
  upsert_row(txn, TableOf<T>::name, TableOf<T>::columns, TableOf<T>::key_columns, &row);
}
template <class T>
bool remove(Txn& txn, const T& row) {  // by its primary key; false when it was not there
  return remove_row(txn, TableOf<T>::name, TableOf<T>::columns, TableOf<T>::key_columns, &row);
}

// select<Image>(txn, "WHERE region = $1 ORDER BY id", {region})
template <class T>
std::vector<T> select(Txn& txn, std::string_view rest, const std::vector<Value>& parameters = {}) {
  std::vector<T> found;
  for (const Row& values : select_rows(txn, TableOf<T>::name, TableOf<T>::columns, rest, parameters)) {
    T& row = found.emplace_back();
    for (std::size_t i = 0; i < values.size(); ++i) TableOf<T>::columns[i].set(&row, values[i]);
  }
  return found;
}
template <class T>
std::optional<T> select_one(Txn& txn, std::string_view rest, const std::vector<Value>& parameters = {}) {
  auto found = select<T>(txn, rest, parameters);
  if (found.empty()) return {};
  return std::move(found.front());
}

// How each type of member is stored.
template <class M>
struct Stored {
  static Value get(const M& member) {
    if constexpr (std::is_same_v<M, std::string>) {
      return member;
    } else {
      static_assert(std::is_integral_v<M>);
      return static_cast<std::int64_t>(member);
    }
  }
  static void set(M& member, const Value& value) {
    if constexpr (std::is_same_v<M, std::string>) {
      const auto* text = std::get_if<std::string>(&value);
      member = text == nullptr ? std::string() : *text;
    } else {
      const auto* number = std::get_if<std::int64_t>(&value);
      member = number == nullptr ? M{} : static_cast<M>(*number);
    }
  }
};
template <class M>
struct Stored<std::optional<M>> {
  static Value get(const std::optional<M>& member) { return member ? Stored<M>::get(*member) : Value{}; }
  static void set(std::optional<M>& member, const Value& value) {
    if (std::holds_alternative<std::monostate>(value)) {
      member.reset();
    } else {
      Stored<M>::set(member.emplace(), value);
    }
  }
};

template <auto member>
struct MemberColumn;
template <class T, class M, M T::*member>
struct MemberColumn<member> {
  static Value get(const void* row) { return Stored<M>::get(static_cast<const T*>(row)->*member); }
  static void set(void* row, const Value& value) { Stored<M>::set(static_cast<T*>(row)->*member, value); }
};

}  // namespace kiln::catalog

// Applies a macro to each argument, with a comma between; up to 250 of them.
#define KILN_ROW_PARENS ()
#define KILN_ROW_EXPAND(...) KILN_ROW_EXPAND3(KILN_ROW_EXPAND3(KILN_ROW_EXPAND3(KILN_ROW_EXPAND3(__VA_ARGS__))))
#define KILN_ROW_EXPAND3(...) KILN_ROW_EXPAND2(KILN_ROW_EXPAND2(KILN_ROW_EXPAND2(KILN_ROW_EXPAND2(__VA_ARGS__))))
#define KILN_ROW_EXPAND2(...) KILN_ROW_EXPAND1(KILN_ROW_EXPAND1(KILN_ROW_EXPAND1(KILN_ROW_EXPAND1(__VA_ARGS__))))
#define KILN_ROW_EXPAND1(...) __VA_ARGS__
#define KILN_ROW_EACH(...) __VA_OPT__(KILN_ROW_EXPAND(KILN_ROW_STEP(__VA_ARGS__)))
#define KILN_ROW_STEP(first, ...) KILN_ROW_COLUMN(first), __VA_OPT__(KILN_ROW_AGAIN KILN_ROW_PARENS(__VA_ARGS__))
#define KILN_ROW_AGAIN() KILN_ROW_STEP
#define KILN_ROW_COLUMN(member)                                     \
  ::kiln::catalog::Column {                                         \
#member, &::kiln::catalog::MemberColumn < &Self::member> ::get, \
        &::kiln::catalog::MemberColumn < &Self::member> ::set       \
  }

// At global namespace scope.
#define KILN_ROW(Type, table_name, keys, ...)                                          \
  template <>                                                                          \
  struct kiln::catalog::TableOf<Type> {                                                \
    using Self = Type;                                                                 \
    static constexpr std::string_view name = table_name;                               \
    static constexpr std::size_t key_columns = keys;                                   \
    static constexpr ::kiln::catalog::Column columns[] = {KILN_ROW_EACH(__VA_ARGS__)}; \
  };
