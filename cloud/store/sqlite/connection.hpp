// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "cloud/base/clock.hpp"
#include "cloud/base/ids.hpp"
#include "cloud/base/result.hpp"

struct sqlite3;
struct sqlite3_stmt;

/// A thin wrapper of SQLite: connections that keep their statements, statements that bind by type, error codes as the
/// store's. Everything in here is used by one thread at a time. Inside this module only; nobody else sees SQLite.
namespace muster::store {

/// What an (extended) result code of SQLite means to the domain. Codes that can only be our own bug, and refused constraints,
/// are DomainError::invalid_value; whatever is not known is StoreError::unavailable: trouble, never "not found".
[[nodiscard]] Error error_of_code(int sqlite_code) noexcept;

/// The error as a result of any type: boost::system::result<bool> does not take one implicitly.
template <class Answer>
[[nodiscard]] Answer failed(const Error& error) {
  return Answer{boost::system::in_place_error, error};
}

/// Bytes to bind as a BLOB.
struct Blob {
  std::string_view bytes;
};
template <std::size_t N>
[[nodiscard]] Blob blob(const std::array<std::uint8_t, N>& bytes) noexcept {
  return {{reinterpret_cast<const char*>(bytes.data()), N}};  // NOLINT: SQLite takes any bytes.
}
[[nodiscard]] inline Blob blob(std::string_view bytes) noexcept { return {bytes}; }

/// An id to bind as NULL when it is none.
struct NullableId {
  std::int64_t value;
};
template <class Tag, class Rep>
[[nodiscard]] NullableId or_null(Id<Tag, Rep> id) noexcept {
  return {id.value()};
}

/// A prepared statement on loan from its connection: reset and given back when destroyed. Must not outlive the connection.
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  void bind_integer(int index, std::int64_t value) noexcept;
  void bind_real(int index, double value) noexcept;
  void bind_text(int index, std::string_view value) noexcept;
  void bind_blob(int index, std::string_view value) noexcept;
  void bind_null(int index) noexcept;
  /// The parameter `:name`, or 0 when the statement has none: for statements put together of parts.
  [[nodiscard]] int parameter(const char* name) const noexcept;

  template <class T>
  void bind(int index, const T& value) noexcept {
    if constexpr (std::is_same_v<T, std::nullptr_t>) {
      bind_null(index);
    } else if constexpr (std::is_integral_v<T> || std::is_enum_v<T>) {
      bind_integer(index, static_cast<std::int64_t>(value));
    } else if constexpr (std::is_same_v<T, double>) {
      bind_real(index, value);
    } else if constexpr (std::is_same_v<T, UtcTime>) {
      bind_integer(index, value.ms);
    } else if constexpr (std::is_same_v<T, NullableId>) {
      value.value == 0 ? bind_null(index) : bind_integer(index, value.value);
    } else if constexpr (std::is_same_v<T, Blob>) {
      bind_blob(index, value.bytes);
    } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
      bind_text(index, value);
    } else if constexpr (requires { value.has_value(); }) {
      value.has_value() ? bind(index, *value) : bind_null(index);
    } else {
      bind_integer(index, static_cast<std::int64_t>(value.value()));  // An Id.
    }
  }
  template <class T>
  void bind_named(const char* name, const T& value) noexcept {
    if (const int index = parameter(name); index != 0) bind(index, value);
  }

  /// True: there is a row; false: done. Errors: those of error_of_code.
  [[nodiscard]] Result<bool> step() noexcept;

  // Columns of the present row, from 0. Texts are valid until the next step.
  [[nodiscard]] std::int64_t integer(int column) const noexcept;
  [[nodiscard]] double real(int column) const noexcept;
  [[nodiscard]] std::string_view text(int column) const noexcept;  ///< Also for BLOBs.
  [[nodiscard]] bool is_null(int column) const noexcept;
  [[nodiscard]] UtcTime time(int column) const noexcept { return {integer(column)}; }
  [[nodiscard]] bool flag(int column) const noexcept { return integer(column) != 0; }
  template <class IdType>
  [[nodiscard]] IdType id(int column) const noexcept {
    return IdType{static_cast<typename IdType::rep>(integer(column))};
  }
  /// False when the blob has another size.
  template <std::size_t N>
  [[nodiscard]] bool bytes(int column, std::array<std::uint8_t, N>& out) const noexcept {
    const auto value = text(column);
    if (value.size() != N) return false;
    std::memcpy(out.data(), value.data(), N);
    return true;
  }

 private:
  friend class Connection;
  Statement(sqlite3_stmt* handle, bool* in_use) noexcept : handle_{handle}, in_use_{in_use} {}
  sqlite3_stmt* handle_;
  bool* in_use_;  ///< Null: not cached, finalised when destroyed.
  int bind_error_ = 0;
};

enum class Synchronous : std::uint8_t { off = 0, normal = 1, full = 2 };

struct ConnectionOptions {
  std::filesystem::path path;
  std::string vfs;  ///< Empty: the system's.
  Synchronous synchronous = Synchronous::full;
  std::chrono::milliseconds busy_timeout{1000};
  int cache_kib = 16 * 1024;
  int wal_autocheckpoint_pages = 4000;
};

class Connection {
 public:
  enum class Use : std::uint8_t { write, write_create, read };

  /// Opens and sets it up, without looking at what is inside. May come out read-only although asked for writing: see
  /// read_only(). Errors: those of error_of_code.
  [[nodiscard]] static Result<std::unique_ptr<Connection>> open(const ConnectionOptions& options, Use use);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Runs statements that answer nothing. Not cached.
  [[nodiscard]] Result<void> execute(const char* sql) noexcept;
  /// A statement from the cache, prepared when it is not there; `sql` is one of a bounded number of texts.
  [[nodiscard]] Result<Statement> prepare(std::string_view sql);

  /// Prepared and bound: for statements that answer rows.
  template <class... Arguments>
  [[nodiscard]] Result<Statement> query(std::string_view sql, const Arguments&... arguments) {
    MUSTER_TRY(Statement statement, prepare(sql));
    int index = 0;
    (statement.bind(++index, arguments), ...);
    return Result<Statement>{std::move(statement)};
  }
  /// Runs one that answers no rows; how many rows it changed.
  template <class... Arguments>
  [[nodiscard]] Result<std::int64_t> run(std::string_view sql, const Arguments&... arguments) {
    MUSTER_TRY(Statement statement, query(sql, arguments...));
    MUSTER_TRY_VOID(statement.step());
    return changed_rows();
  }
  /// Whether there is a row.
  template <class... Arguments>
  [[nodiscard]] Result<bool> exists(std::string_view sql, const Arguments&... arguments) {
    auto statement = query(sql, arguments...);
    return statement ? statement->step() : failed<Result<bool>>(statement.error());
  }
  /// The first column of the first row; nullopt: no row, or NULL.
  template <class... Arguments>
  [[nodiscard]] Result<std::optional<std::int64_t>> number(std::string_view sql, const Arguments&... arguments) {
    MUSTER_TRY(Statement statement, query(sql, arguments...));
    MUSTER_TRY(const bool row, statement.step());
    if (!row || statement.is_null(0)) return std::optional<std::int64_t>{};
    return std::optional{statement.integer(0)};
  }

  [[nodiscard]] std::int64_t changed_rows() const noexcept;
  [[nodiscard]] std::int64_t last_insert_id() const noexcept;
  [[nodiscard]] bool in_transaction() const noexcept;
  [[nodiscard]] bool read_only() const noexcept;
  /// What SQLite says about the last error: for the log.
  [[nodiscard]] const char* last_message() const noexcept;
  /// Before closing one whose file is no longer at its path: copies the log into the file, wherever that is now, empties the
  /// log and leaves the files beside the path alone. SQLite itself would leave the log as it is, for the next file at this
  /// path to be mixed up with.
  void let_go_of_moved_file() noexcept;
  [[nodiscard]] sqlite3* handle() const noexcept { return handle_; }

 private:
  explicit Connection(sqlite3* handle) noexcept : handle_{handle} {}

  struct Cached {
    sqlite3_stmt* handle = nullptr;
    bool in_use = false;
  };
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };
  sqlite3* handle_;
  std::unordered_map<std::string, std::unique_ptr<Cached>, TextHash, std::equal_to<>> statements_;
};

/// One snapshot for several statements; ends when destroyed.
class ReadTransaction {
 public:
  [[nodiscard]] static Result<ReadTransaction> begin(Connection& connection);
  ReadTransaction(ReadTransaction&& other) noexcept : connection_{std::exchange(other.connection_, nullptr)} {}
  ReadTransaction& operator=(ReadTransaction&&) = delete;
  ~ReadTransaction();

 private:
  explicit ReadTransaction(Connection& connection) noexcept : connection_{&connection} {}
  Connection* connection_;
};

}  // namespace muster::store
