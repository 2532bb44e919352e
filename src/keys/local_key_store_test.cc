#include "keys/local_key_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/faulty_files.h"
#include "base/ids.h"
#include "base/text.h"

namespace kiln::keys {
namespace {

using base::Fault;
using base::FaultyFiles;

const KeyId first = *KeyId::from_text("11111111-1111-4111-8111-111111111111");
const KeyId second = *KeyId::from_text("22222222-2222-4222-8222-222222222222");

// The data directory is there, and stays.
void make_data(base::Files& files) {
  if (!files.make_directories("/data") || !files.sync_directory("/")) throw std::runtime_error("no data directory");
}

base::Result<std::unique_ptr<LocalKeyStore>> open_store(base::Files& files) {
  return LocalKeyStore::open({.files = files, .directory = "/data/keys", .root_file = {}});
}

std::unique_ptr<LocalKeyStore> must_open(base::Files& files) {
  auto store = open_store(files);
  if (!store) throw std::runtime_error(store.error().message());
  return std::move(*store);
}

std::string opened(KeyStore& store, const KeyId& key, const base::Bytes& text) {
  const auto plain = store.decrypt(key, text, "context");
  return plain ? std::string(base::as_text(plain->bytes()))
               : "refused: " + std::string(to_string(plain.error().fault()));
}

TEST(LocalKeyStore, what_a_key_encrypted_opens_after_a_restart_and_by_that_key_alone) {
  FaultyFiles files;
  make_data(files);
  auto store = must_open(files);
  ASSERT_TRUE(store->create(first));
  ASSERT_TRUE(store->create(second));
  EXPECT_EQ(store->create(first).error().fault(), Fault::exists);
  const auto text = store->encrypt(first, base::as_bytes("secret"), "context");
  ASSERT_TRUE(text);
  EXPECT_EQ(key_of(*text), first);
  store.reset();
  files.restart(FaultyFiles::Crash::power);
  store = must_open(files);
  EXPECT_EQ(opened(*store, first, *text), "secret");
  EXPECT_EQ(opened(*store, second, *text), "refused: corrupt");
  EXPECT_FALSE(store->decrypt(first, *text, "another context"));
  EXPECT_EQ(*store->list(), (std::vector{first, second}));
}

TEST(LocalKeyStore, a_key_file_under_another_keys_name_is_refused) {
  FaultyFiles files;
  make_data(files);
  auto store = must_open(files);
  ASSERT_TRUE(store->create(first));
  ASSERT_TRUE(files.rename("/data/keys/" + first.text() + ".key", "/data/keys/" + second.text() + ".key"));
  EXPECT_EQ(store->encrypt(second, base::as_bytes("x"), "").error().fault(), Fault::corrupt);
  EXPECT_EQ(store->encrypt(first, base::as_bytes("x"), "").error().fault(), Fault::not_found);
}

TEST(LocalKeyStore, keys_without_their_root_key_are_not_given_a_new_one) {
  FaultyFiles files;
  make_data(files);
  auto store = must_open(files);
  ASSERT_TRUE(store->create(first));
  store.reset();
  ASSERT_TRUE(files.rename("/data/keys/root", "/data/elsewhere"));
  const auto refused = open_store(files);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault(), Fault::failed);
  EXPECT_NE(refused.error().message().find("/data/keys/root"), std::string::npos);
  auto moved = LocalKeyStore::open({.files = files, .directory = "/data/keys", .root_file = "/data/elsewhere"});
  ASSERT_TRUE(moved);
  EXPECT_TRUE((*moved)->encrypt(first, base::as_bytes("x"), ""));
}

// Everything that is on the disk, as one who reads the raw disk would find it.
std::string all_content(FaultyFiles& files) {
  std::string all;
  for (const auto& name : *files.list("/data/keys")) all += *files.read_all("/data/keys/" + name);
  return all;
}

TEST(LocalKeyStore, a_destroyed_key_is_gone_however_often_destroying_it_was_interrupted) {
  for (const auto crash : {FaultyFiles::Crash::process, FaultyFiles::Crash::power}) {
    for (std::uint64_t nth = 1;; ++nth) {
      SCOPED_TRACE("dies before call " + std::to_string(nth));
      FaultyFiles files(nth);
      make_data(files);
      auto store = must_open(files);
      ASSERT_TRUE(store->create(first));
      ASSERT_TRUE(store->create(second));
      const auto text = *store->encrypt(first, base::as_bytes("secret"), "context");
      const auto kept = *store->encrypt(second, base::as_bytes("kept"), "context");
      const auto sealed = files.read_all("/data/keys/" + first.text() + ".key")->substr(60);
      files.die_before(nth);
      const bool done = store->destroy(first).ok();
      const bool died = files.died();
      store.reset();
      files.restart(crash);
      store = must_open(files);
      EXPECT_TRUE(!done || opened(*store, first, text) == "refused: not_found");
      ASSERT_TRUE(store->destroy(first)) << "again, as whoever was interrupted does";
      EXPECT_EQ(opened(*store, first, text), "refused: not_found");
      EXPECT_EQ(opened(*store, second, kept), "kept");
      EXPECT_EQ(all_content(files).find(sealed), std::string::npos);
      EXPECT_EQ(files.list("/data/keys")->size(), 2U) << "the root key and the other key";
      if (!died) break;
    }
  }
}

TEST(LocalKeyStore, a_key_that_was_made_is_there_after_a_power_cut_and_half_made_ones_are_not) {
  for (std::uint64_t nth = 1;; ++nth) {
    SCOPED_TRACE("dies before call " + std::to_string(nth));
    FaultyFiles files(nth);
    make_data(files);
    files.die_before(nth);
    bool made = false;
    if (auto store = open_store(files)) made = (*store)->create(first).ok();
    const bool died = files.died();
    files.restart(FaultyFiles::Crash::power);
    auto store = must_open(files);
    const auto keys = *store->list();
    EXPECT_TRUE(!made || keys.size() == 1);
    for (const auto& key : keys) EXPECT_TRUE(store->encrypt(key, base::as_bytes("x"), ""));
    for (const auto& name : *files.list("/data/keys")) EXPECT_EQ(name.find(".new"), std::string::npos);
    if (!died) break;
  }
}

TEST(LocalKeyStore, its_files_are_for_their_owner_alone) {
  const auto directory = std::filesystem::temp_directory_path() / ("kiln-keys-" + base::random_hex(6));
  auto store = LocalKeyStore::open({.files = base::posix_files(), .directory = directory, .root_file = {}});
  ASSERT_TRUE(store);
  ASSERT_TRUE((*store)->create(first));
  for (const auto& name : {std::string("root"), first.text() + ".key"}) {
    struct stat status {};
    ASSERT_EQ(::stat((directory / name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_mode & 0777, 0600U) << name;
  }
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace kiln::keys
