#include "keys/local_key_store.h"

#include <algorithm>

#include "base/ids.h"

namespace kiln::keys {
namespace {

using base::Bytes;
using base::Error;
using base::Fault;
using base::Files;
using base::Path;
using base::Result;
using base::Status;

constexpr std::string_view key_ending = ".key", gone_ending = ".gone", new_ending = ".new";

// Overwrites in place, so that the blocks of the file hold nothing when the file system hands them out again. What is
// overwritten is encrypted by the root key in any case: on file systems and disks that write elsewhere, that is what
// it rests on.
Status shred(Files& files, const Path& path) {
  {
    auto file = files.open(path, base::Open::read_write);
    if (!file) return file.error();
    const auto size = (*file)->size();
    if (!size) return size.error();
    const Bytes zeros(static_cast<std::size_t>(std::min<std::uint64_t>(*size, 1 << 20)));
    if (!zeros.empty()) KILN_TRY((*file)->write_at(0, zeros));
    KILN_TRY((*file)->sync_data());
  }
  KILN_TRY(files.remove(path));
  return files.sync_directory(path.parent_path());
}

// A file that is there whole or not at all: path appears by a rename.
Status put_private(Files& files, const Path& path, const Path& temporary, const Bytes& content) {
  {
    auto file = files.open(temporary, base::Open::create_private);
    if (!file) return file.error();
    KILN_TRY((*file)->write_at(0, content));
    KILN_TRY((*file)->sync_data());
  }
  KILN_TRY(files.rename(temporary, path));
  return files.sync_directory(path.parent_path());
}

Result<RootKey> read_root(Files& files, const Path& path) {
  auto text = files.read_all(path, root_file_bytes);
  if (!text) return text.error();
  auto root = decode_root(base::as_bytes(*text));
  wipe(std::as_writable_bytes(std::span(*text)));
  if (!root) return root.error().in(path.string());
  return root;
}

Result<RootKey> make_root(Files& files, const Path& path) {
  RootKey root{.id = {}, .secret = Secret::random()};
  base::fill_random(root.id.bytes);
  auto bytes = encode(root);
  const auto put = put_private(files, path, path.string() + ".new", bytes);
  wipe(bytes);
  if (!put) return put.error();
  return root;
}

bool ends_in(const std::string& name, std::string_view ending) { return name.ends_with(ending); }

}  // namespace

Result<std::unique_ptr<LocalKeyStore>> LocalKeyStore::open(const Options& given) {
  Options options = given;
  if (options.root_file.empty()) options.root_file = options.directory / "root";
  Files& files = options.files;
  KILN_TRY(files.make_directories(options.directory));
  KILN_TRY(files.sync_directory(options.directory.parent_path()));
  // The crash may have come between a rename and its sync; what is read below must not come undone.
  KILN_TRY(files.sync_directory(options.directory));
  const auto names = files.list(options.directory);
  if (!names) return names.error();
  for (const auto& name : *names) {
    if (ends_in(name, gone_ending) || ends_in(name, new_ending)) KILN_TRY(shred(files, options.directory / name));
  }
  auto root = read_root(files, options.root_file);
  if (!root && root.error().fault() == Fault::not_found) {
    if (std::ranges::any_of(*names, [](const auto& name) { return ends_in(name, key_ending); })) {
      return Error(Fault::failed, "there are keys in " + options.directory.string() + " and no root key at " +
                                      options.root_file.string() + ", without which they are of no use: put it back");
    }
    // A root key elsewhere is made by the same steps; what a crash left of them is in its own directory.
    const Path begun = options.root_file.string() + ".new";
    const auto there = files.exists(begun);
    if (!there) return there.error();
    if (*there) KILN_TRY(shred(files, begun));
    root = make_root(files, options.root_file);
  }
  if (!root) return root.error();
  return std::unique_ptr<LocalKeyStore>(new LocalKeyStore(options, *root));
}

Path LocalKeyStore::path_of(const KeyId& key, const char* ending) const {
  return options_.directory / (key.text() + ending);
}

Status LocalKeyStore::create(const KeyId& key) {
  const auto path = path_of(key, ".key");
  const auto there = options_.files.exists(path);
  if (!there) return there.error();
  if (*there) return Error(Fault::exists, "the key " + key.text() + " is there already");
  Nonce nonce;
  base::fill_random(nonce);
  return put_private(options_.files, path, path_of(key, ".new"), encode(seal_key(key, Secret::random(), root_, nonce)));
}

Result<Secret> LocalKeyStore::material_of(const KeyId& key) {
  const auto path = path_of(key, ".key");
  const auto text = options_.files.read_all(path, key_file_bytes);
  if (!text) return text.error();
  const auto file = decode_key_file(base::as_bytes(*text));
  if (!file) return file.error().in(path.string());
  if (file->key != key) {
    return Error(Fault::corrupt, path.string() + " holds the key " + file->key.text());
  }
  return open_key(*file, root_);
}

Result<Bytes> LocalKeyStore::encrypt(const KeyId& key, std::span<const std::byte> plain, std::string_view context) {
  const auto material = material_of(key);
  if (!material) return material.error();
  return encode(encrypt_with(key, *material, plain, context));
}

Result<SecretBytes> LocalKeyStore::decrypt(const KeyId& key, std::span<const std::byte> ciphertext,
                                           std::string_view context) {
  const auto text = decode_ciphertext(ciphertext);
  if (!text) return text.error();
  if (text->key != key) {
    return Error(Fault::corrupt, "the key " + text->key.text() + " encrypted this, not " + key.text());
  }
  const auto material = material_of(key);
  if (!material) return material.error();
  return decrypt_with(*material, *text, context);
}

Status LocalKeyStore::destroy(const KeyId& key) {
  const auto path = path_of(key, ".key"), gone = path_of(key, ".gone");
  // Renamed first: from here on nobody can use it, and the next start goes on with what a crash interrupts.
  const auto renamed = options_.files.rename(path, gone);
  if (!renamed && renamed.error().fault() != Fault::not_found) return renamed;
  KILN_TRY(options_.files.sync_directory(options_.directory));
  const auto shredded = shred(options_.files, gone);
  if (!shredded && shredded.error().fault() != Fault::not_found) return shredded;
  return {};
}

Result<std::vector<KeyId>> LocalKeyStore::list() {
  const auto names = options_.files.list(options_.directory);
  if (!names) return names.error();
  std::vector<KeyId> found;
  for (const auto& name : *names) {
    if (!ends_in(name, key_ending)) continue;
    const auto id = KeyId::from_text(std::string_view(name).substr(0, name.size() - key_ending.size()));
    if (id) found.push_back(*id);
  }
  return found;
}

std::optional<KeyId> key_of(std::span<const std::byte> ciphertext) {
  const auto text = decode_ciphertext(ciphertext);
  if (!text) return {};
  return text->key;
}

}  // namespace kiln::keys
