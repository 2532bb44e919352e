#pragma once
// Keys in files of this host. docs/formats/keys.md
//
//   <keys>/<key id>.key    the material of one key, encrypted by the root key
//   <keys>/<key id>.gone   being destroyed: is overwritten and removed, by the next open() after a crash
//   <keys>/<key id>.new    being made: the same
//   <root file>            the root key, by default <keys>/root; may lie on other media
//
// Owned by the daemon's wiring; one process at a time, which holds the lock of the data directory. Thread-safe: no
// state but the root key, which stays in memory; material is read from its file for each use and wiped after it, so
// that what destroy() took away can be used by nobody. All files are 0600.

#include <memory>

#include "base/files.h"
#include "keys/key_file.h"
#include "keys/key_store.h"

namespace kiln::keys {

class LocalKeyStore final : public KeyStore {
 public:
  struct Options {
    base::Files& files;
    base::Path directory;
    base::Path root_file;  // empty: root in the directory
  };
  // Makes the directory, and the root key when there is neither a root file nor any key; finishes what a crash
  // interrupted. Fault::failed when there are keys and no root key: a new one could not open them.
  static base::Result<std::unique_ptr<LocalKeyStore>> open(const Options& options);

  base::Status create(const KeyId& key) override;
  base::Result<base::Bytes> encrypt(const KeyId& key, std::span<const std::byte> plain,
                                    std::string_view context) override;
  base::Result<SecretBytes> decrypt(const KeyId& key, std::span<const std::byte> ciphertext,
                                    std::string_view context) override;
  base::Status destroy(const KeyId& key) override;
  base::Result<std::vector<KeyId>> list() override;

 private:
  LocalKeyStore(const Options& options, const RootKey& root) : options_(options), root_(root) {}
  base::Path path_of(const KeyId& key, const char* ending) const;
  base::Result<Secret> material_of(const KeyId& key);

  const Options options_;
  const RootKey root_;
};

}  // namespace kiln::keys
