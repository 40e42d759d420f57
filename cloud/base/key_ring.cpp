// SPDX-License-Identifier: Apache-2.0
#include "cloud/base/key_ring.hpp"

#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <new>
#include <optional>
#include <utility>

#include "cloud/base/error.hpp"
#include "cloud/base/sealed_key.hpp"
#include "cloud/base/secure_file.hpp"
#include "cloud/base/sodium.hpp"

namespace muster {
namespace {

// A key file, and a record of an export: magic, id u16 big-endian, MAC key, seal key, SHA-256 of all before.
constexpr std::string_view file_magic = "MSTRKEY1";
constexpr std::size_t secret_bytes = 32;
constexpr std::size_t checksum_offset = file_magic.size() + 2 + 2 * secret_bytes;
constexpr std::size_t record_bytes = checksum_offset + crypto_hash_sha256_BYTES;
static_assert(secret_bytes == crypto_aead_xchacha20poly1305_ietf_KEYBYTES);

// A sealed text: format u8, key id u16 big-endian, nonce, ciphertext with tag. Format, id and context are
// authenticated.
constexpr std::uint8_t seal_format = 1;
constexpr std::size_t nonce_bytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t tag_bytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;
constexpr std::size_t seal_head_bytes = 3;

/// Lives in guarded, locked memory that core dumps leave out, and is wiped when freed.
struct Key {
  std::uint16_t id;
  crypto_auth_hmacsha256_state mac_state;  ///< Both key blocks already absorbed: a digest starts from a copy.
  std::array<unsigned char, secret_bytes> mac_key;
  std::array<unsigned char, secret_bytes> seal_key;
};

struct FreeKey {
  // sodium_free wipes what it frees.
  void operator()(const Key* key) const noexcept { sodium_free(const_cast<Key*>(key)); }
};
using KeyPointer = std::unique_ptr<const Key, FreeKey>;

/// A text with secrets in it, wiped when it goes.
class SecretText {
 public:
  explicit SecretText(std::string text) noexcept : text_{std::move(text)} {}
  ~SecretText() { sodium_memzero(text_.data(), text_.size()); }
  SecretText(const SecretText&) = delete;
  SecretText& operator=(const SecretText&) = delete;
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;
};

const unsigned char* as_bytes(std::string_view text) noexcept { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* as_bytes(std::string& text) noexcept { return reinterpret_cast<unsigned char*>(text.data()); }

template <class Fill>
KeyPointer make_key(std::uint16_t id, Fill fill) {
  require_sodium();
  void* memory = sodium_malloc(sizeof(Key));
  if (memory == nullptr) throw std::bad_alloc{};
  auto* key = new (memory) Key{};
  key->id = id;
  fill(*key);
  crypto_auth_hmacsha256_init(&key->mac_state, key->mac_key.data(), key->mac_key.size());
  sodium_mprotect_readonly(memory);
  return KeyPointer{key};
}

KeyPointer random_key(std::uint16_t id, Random& random) {
  return make_key(id, [&random](Key& key) {
    random.fill(key.mac_key);
    random.fill(key.seal_key);
  });
}

std::string encode_key(const Key& key) {
  std::string record{file_magic};
  record.reserve(record_bytes);  // No reallocation may leave a copy behind.
  record += static_cast<char>(key.id >> 8);
  record += static_cast<char>(key.id & 0xff);
  record.append(reinterpret_cast<const char*>(key.mac_key.data()), key.mac_key.size());
  record.append(reinterpret_cast<const char*>(key.seal_key.data()), key.seal_key.size());
  std::array<unsigned char, crypto_hash_sha256_BYTES> checksum{};
  crypto_hash_sha256(checksum.data(), as_bytes(std::string_view{record}), record.size());
  record.append(reinterpret_cast<const char*>(checksum.data()), checksum.size());
  return record;
}

/// Null when the record is damaged.
KeyPointer decode_key(std::string_view record) {
  if (record.size() != record_bytes || !record.starts_with(file_magic)) return nullptr;
  std::array<unsigned char, crypto_hash_sha256_BYTES> checksum{};
  crypto_hash_sha256(checksum.data(), as_bytes(record), checksum_offset);
  if (sodium_memcmp(checksum.data(), as_bytes(record) + checksum_offset, checksum.size()) != 0) return nullptr;
  const unsigned char* at = as_bytes(record) + file_magic.size();
  const auto id = static_cast<std::uint16_t>((at[0] << 8) | at[1]);
  if (id == 0) return nullptr;
  return make_key(id, [at](Key& key) {
    std::copy_n(at + 2, secret_bytes, key.mac_key.begin());
    std::copy_n(at + 2 + secret_bytes, secret_bytes, key.seal_key.begin());
  });
}

/// In a directory that `open` made, until a database belongs to it.
constexpr std::string_view unused_mark = ".unused";

Error last_error() noexcept { return {errno, boost::system::generic_category()}; }

Result<void> write_key(const std::filesystem::path& directory, const Key& key) {
  const SecretText record{encode_key(key)};
  return write_new_file_atomically(directory / KeyRing::file_name(key.id), record.text(), 0600);
}

/// Makes `directory` with all its keys, or not at all: it is written under another name and renamed.
Result<void> make_directory(const std::filesystem::path& directory, const std::vector<KeyPointer>& keys, bool unused) {
  std::filesystem::path target = directory;
  if (!target.has_filename()) target = target.parent_path();  // "keys/" means "keys".
  std::filesystem::path parent = target.parent_path();
  if (parent.empty()) parent = ".";
  std::string staging = (parent / ("." + target.filename().string() + ".XXXXXX")).string();
  if (::mkdtemp(staging.data()) == nullptr) return last_error();  // Made with mode 0700.
  const auto give_up = [&staging](Error error) -> Result<void> {
    std::error_code ignored;
    std::filesystem::remove_all(staging, ignored);
    return error;
  };
  // First, so that the files in it get the same owner.
  if (const auto given = give_to_owner_of(parent, staging); !given) return give_up(given.error());
  for (const KeyPointer& key : keys) {
    if (const auto written = write_key(staging, *key); !written) return give_up(written.error());
  }
  if (unused) {
    if (const auto written = write_file_atomically(staging / std::filesystem::path{unused_mark}, "", 0600); !written)
      return give_up(written.error());
  }
  if (::rename(staging.c_str(), target.c_str()) != 0) {
    if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR) return give_up(BaseError::file_exists);
    return give_up(last_error());
  }
  return sync_directory(parent);
}

/// Every key of a directory that exists; at least one.
Result<std::vector<KeyPointer>> load_directory(const std::filesystem::path& directory, const struct stat& facts) {
  if (!S_ISDIR(facts.st_mode)) return Error{ENOTDIR, boost::system::generic_category()};
  if ((facts.st_mode & 077) != 0) return BaseError::key_unreadable;

  std::vector<std::filesystem::path> files;
  std::error_code failure;
  for (std::filesystem::directory_iterator entry{directory, failure}, end; !failure && entry != end; entry.increment(failure)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with('.') && name.ends_with(".key")) files.push_back(entry->path());  // Else left over from a crash, or not ours.
  }
  if (failure) return BaseError::key_unreadable;
  if (files.size() > KeyRing::keys_max) return BaseError::key_ring_full;

  std::vector<KeyPointer> keys;
  for (const std::filesystem::path& file : files) {
    auto bytes = read_file(file, record_bytes, FileAccess::owner_only);
    if (!bytes) {
      if (bytes.error() == BaseError::over_limit) return BaseError::key_damaged;
      return BaseError::key_unreadable;
    }
    const SecretText record{std::move(bytes).value()};
    KeyPointer key = decode_key(record.text());
    if (key == nullptr || file.filename() != KeyRing::file_name(key->id)) return BaseError::key_damaged;
    keys.push_back(std::move(key));
  }
  // A directory that lost its keys is no new installation: with a fresh key every device's token would look unknown.
  if (keys.empty()) return BaseError::key_damaged;
  return keys;
}

bool same_secrets(const Key& a, const Key& b) noexcept {
  return sodium_memcmp(a.mac_key.data(), b.mac_key.data(), a.mac_key.size()) == 0 &&
         sodium_memcmp(a.seal_key.data(), b.seal_key.data(), a.seal_key.size()) == 0;
}

bool newer_first(const Key* a, const Key* b) noexcept { return a->id > b->id; }

void digest_into(TokenDigest& digest, const Key& key, std::string_view domain, std::string_view secret) noexcept {
  // The domain's length goes first, so that no domain and secret run together to another pair.
  const auto domain_size = static_cast<unsigned char>(std::min<std::size_t>(domain.size(), 255));
  crypto_auth_hmacsha256_state state = key.mac_state;  // Wiped by `final`.
  crypto_auth_hmacsha256_update(&state, &domain_size, 1);
  crypto_auth_hmacsha256_update(&state, as_bytes(domain), domain_size);
  crypto_auth_hmacsha256_update(&state, as_bytes(secret), secret.size());
  crypto_auth_hmacsha256_final(&state, digest.mac.data());
  digest.key_id = key.id;
}

}  // namespace

struct KeyRing::Impl {
  /// What readers see: newest first. Never changed once published.
  struct View {
    std::array<const Key*, keys_max> keys{};
    std::size_t count = 0;

    [[nodiscard]] const Key* find(std::uint16_t id) const noexcept {
      for (std::size_t i = 0; i < count; ++i) {
        if (keys[i]->id == id) return keys[i];
      }
      return nullptr;
    }
  };

  std::filesystem::path directory;  ///< Empty: in memory only.
  std::mutex change;                ///< Serialises add_key and remove_key; readers never take it.
  std::vector<KeyPointer> keys;     ///< Also those removed: a reader may still be using one. Freed with the ring.
  std::vector<std::unique_ptr<const View>> views;
  std::atomic<const View*> current{nullptr};

  [[nodiscard]] const View& view() const noexcept { return *current.load(std::memory_order_acquire); }

  void publish(const View& next) {
    views.push_back(std::make_unique<const View>(next));
    current.store(views.back().get(), std::memory_order_release);
  }

  void take(std::vector<KeyPointer> loaded) {
    keys = std::move(loaded);
    View all;
    for (const KeyPointer& key : keys) all.keys[all.count++] = key.get();
    std::sort(all.keys.begin(), all.keys.begin() + static_cast<std::ptrdiff_t>(all.count), newer_first);
    publish(all);
  }
};

KeyRing::KeyRing(std::unique_ptr<Impl> impl) noexcept : impl_{std::move(impl)} {}
KeyRing::~KeyRing() = default;

Result<std::unique_ptr<KeyRing>> KeyRing::open(const std::filesystem::path& directory, Random& random) {
  auto impl = std::make_unique<Impl>();
  impl->directory = directory;

  struct stat facts{};
  if (::stat(directory.c_str(), &facts) != 0) {
    if (errno != ENOENT) return last_error();
    std::vector<KeyPointer> keys;
    keys.push_back(random_key(1, random));
    MUSTER_TRY_VOID(make_directory(directory, keys, true));
    impl->take(std::move(keys));
    return std::unique_ptr<KeyRing>{new KeyRing{std::move(impl)}};
  }
  MUSTER_TRY(std::vector<KeyPointer> keys, load_directory(directory, facts));
  impl->take(std::move(keys));
  return std::unique_ptr<KeyRing>{new KeyRing{std::move(impl)}};
}

std::unique_ptr<KeyRing> KeyRing::in_memory(Random& random) {
  auto impl = std::make_unique<Impl>();
  std::vector<KeyPointer> keys;
  keys.push_back(random_key(1, random));
  impl->take(std::move(keys));
  return std::unique_ptr<KeyRing>{new KeyRing{std::move(impl)}};
}

Result<std::uint16_t> KeyRing::add_key(Random& random) {
  const std::lock_guard lock{impl_->change};
  Impl::View next = impl_->view();
  // Ids are never used twice: the newest cannot be removed, and a new one is above it.
  if (next.count == keys_max || next.keys[0]->id == 0xffff) return BaseError::key_ring_full;
  const auto id = static_cast<std::uint16_t>(next.keys[0]->id + 1);
  KeyPointer key = random_key(id, random);
  if (!impl_->directory.empty()) MUSTER_TRY_VOID(write_key(impl_->directory, *key));
  std::copy_backward(next.keys.begin(), next.keys.begin() + static_cast<std::ptrdiff_t>(next.count),
                     next.keys.begin() + static_cast<std::ptrdiff_t>(next.count) + 1);
  next.keys[0] = key.get();
  ++next.count;
  impl_->keys.push_back(std::move(key));
  impl_->publish(next);
  return id;
}

Result<bool> KeyRing::reload(Foreign foreign) {
  const std::lock_guard lock{impl_->change};
  if (impl_->directory.empty()) return false;
  struct stat facts{};
  // An error_code is also a bool: in a Result<bool> an error must be named as one.
  const auto failed = [](Error error) { return Result<bool>{boost::system::in_place_error, error}; };
  if (::stat(impl_->directory.c_str(), &facts) != 0) return failed(last_error());
  auto keys = load_directory(impl_->directory, facts);
  if (!keys) return failed(keys.error());
  std::vector<KeyPointer>& loaded = *keys;
  const Impl::View& present = impl_->view();
  Impl::View next;
  bool changed = loaded.size() != present.count;
  const std::uint16_t newest = present.keys[0]->id;
  if (foreign == Foreign::refuse &&
      std::none_of(loaded.begin(), loaded.end(), [newest](const KeyPointer& key) { return key->id == newest; }))
    return failed(BaseError::keys_foreign);
  for (const KeyPointer& key : loaded) {
    const Key* known = present.find(key->id);
    if (foreign == Foreign::refuse && known != nullptr && !same_secrets(*known, *key)) return failed(BaseError::keys_foreign);
  }
  for (KeyPointer& key : loaded) {
    const Key* known = present.find(key->id);
    if (known != nullptr && !same_secrets(*known, *key)) known = nullptr;
    next.keys[next.count++] = known != nullptr ? known : key.get();
    if (known == nullptr) {
      changed = true;
      impl_->keys.push_back(std::move(key));
    }
  }
  if (!changed) return false;
  std::sort(next.keys.begin(), next.keys.begin() + static_cast<std::ptrdiff_t>(next.count), newer_first);
  impl_->publish(next);
  return true;
}

Result<void> KeyRing::remove_key(std::uint16_t key_id) {
  const std::lock_guard lock{impl_->change};
  Impl::View next = impl_->view();
  if (next.keys[0]->id == key_id) return BaseError::key_in_use;
  const auto end = next.keys.begin() + static_cast<std::ptrdiff_t>(next.count);
  const auto found = std::find_if(next.keys.begin(), end, [key_id](const Key* key) { return key->id == key_id; });
  if (found == end) return BaseError::key_unknown;
  if (!impl_->directory.empty()) {
    if (::unlink((impl_->directory / file_name(key_id)).c_str()) != 0 && errno != ENOENT) return last_error();
    MUSTER_TRY_VOID(sync_directory(impl_->directory));
  }
  std::copy(found + 1, end, found);
  --next.count;
  impl_->publish(next);
  return {};
}

bool KeyRing::unused() const {
  struct stat facts{};
  return !impl_->directory.empty() && ::stat((impl_->directory / unused_mark).c_str(), &facts) == 0;
}

Result<void> KeyRing::mark_used() {
  if (impl_->directory.empty()) return {};
  if (::unlink((impl_->directory / unused_mark).c_str()) != 0) return errno == ENOENT ? Result<void>{} : Result<void>{last_error()};
  return sync_directory(impl_->directory);
}

std::string KeyRing::file_name(std::uint16_t key_id) {
  std::array<char, 16> name{};
  std::snprintf(name.data(), name.size(), "%04u.key", unsigned{key_id});
  return name.data();
}

std::uint16_t KeyRing::newest_key_id() const noexcept { return impl_->view().keys[0]->id; }

std::vector<std::uint16_t> KeyRing::key_ids() const {
  const Impl::View& view = impl_->view();
  std::vector<std::uint16_t> ids;
  ids.reserve(view.count);
  for (std::size_t i = 0; i < view.count; ++i) ids.push_back(view.keys[i]->id);
  return ids;
}

TokenDigests KeyRing::digest(std::string_view domain, std::string_view secret) const {
  const Impl::View& view = impl_->view();
  TokenDigests digests;
  TokenDigest* out = digests.few_.data();
  digests.count_ = view.count;
  if (view.count > digests.few_.size()) {
    digests.many_.resize(view.count);
    out = digests.many_.data();
  }
  for (std::size_t i = 0; i < view.count; ++i) digest_into(out[i], *view.keys[i], domain, secret);
  return digests;
}

Result<TokenDigest> KeyRing::digest_under(std::uint16_t key_id, std::string_view domain, std::string_view secret) const {
  const Key* key = impl_->view().find(key_id);
  if (key == nullptr) return BaseError::key_unknown;
  TokenDigest digest;
  digest_into(digest, *key, domain, secret);
  return digest;
}

std::string KeyRing::seal(std::string_view context, std::string_view plain, Random& random) const {
  const Key& key = *impl_->view().keys[0];
  std::string sealed(seal_head_bytes + nonce_bytes + plain.size() + tag_bytes, '\0');
  unsigned char* out = as_bytes(sealed);
  out[0] = seal_format;
  out[1] = static_cast<unsigned char>(key.id >> 8);
  out[2] = static_cast<unsigned char>(key.id & 0xff);
  random.fill({out + seal_head_bytes, nonce_bytes});
  std::string bound{sealed, 0, seal_head_bytes};
  bound += context;
  unsigned long long written = 0;
  crypto_aead_xchacha20poly1305_ietf_encrypt(out + seal_head_bytes + nonce_bytes, &written, as_bytes(plain), plain.size(), as_bytes(bound),
                                             bound.size(), nullptr, out + seal_head_bytes, key.seal_key.data());
  return sealed;
}

std::uint16_t key_of_sealed(std::string_view sealed) noexcept {
  if (sealed.size() < seal_head_bytes || static_cast<unsigned char>(sealed[0]) != seal_format) return 0;
  return static_cast<std::uint16_t>((static_cast<unsigned char>(sealed[1]) << 8) | static_cast<unsigned char>(sealed[2]));
}

Result<std::string> KeyRing::open_sealed(std::string_view context, std::string_view sealed) const {
  if (sealed.size() < seal_head_bytes + nonce_bytes + tag_bytes) return BaseError::seal_damaged;
  const unsigned char* in = as_bytes(sealed);
  if (in[0] != seal_format) return BaseError::seal_damaged;
  const Key* key = impl_->view().find(static_cast<std::uint16_t>((in[1] << 8) | in[2]));
  if (key == nullptr) return BaseError::key_unknown;
  std::string bound{sealed.substr(0, seal_head_bytes)};
  bound += context;
  std::string plain(sealed.size() - seal_head_bytes - nonce_bytes - tag_bytes, '\0');
  unsigned long long written = 0;
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(as_bytes(plain), &written, nullptr, in + seal_head_bytes + nonce_bytes,
                                                 sealed.size() - seal_head_bytes - nonce_bytes, as_bytes(bound), bound.size(),
                                                 in + seal_head_bytes, key->seal_key.data()) != 0) {
    return BaseError::seal_damaged;
  }
  return plain;
}

std::string KeyRing::export_keys() const {
  const Impl::View& view = impl_->view();
  std::string bytes;
  bytes.reserve(view.count * record_bytes);
  for (std::size_t i = 0; i < view.count; ++i) bytes += SecretText{encode_key(*view.keys[i])}.text();
  return bytes;
}

Result<void> KeyRing::import_keys(const std::filesystem::path& directory, std::string_view bytes) {
  if (bytes.empty() || bytes.size() % record_bytes != 0) return BaseError::key_damaged;
  if (bytes.size() / record_bytes > keys_max) return BaseError::key_ring_full;
  std::vector<KeyPointer> keys;
  for (std::size_t at = 0; at < bytes.size(); at += record_bytes) {
    KeyPointer key = decode_key(bytes.substr(at, record_bytes));
    if (key == nullptr) return BaseError::key_damaged;
    if (std::any_of(keys.begin(), keys.end(), [&key](const KeyPointer& other) { return other->id == key->id; })) {
      return BaseError::key_damaged;
    }
    keys.push_back(std::move(key));
  }
  return make_directory(directory, keys, false);
}

}  // namespace muster
