// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <variant>

#include "cloud/main/config.hpp"
#include "cloud/main/data_directory.hpp"
#include "cloud/main/serve.hpp"

namespace muster::main {

/// One node of the cloud: every part built in order, wired, started, and taken apart again.
class Node {
 public:
  /// What went wrong, as one sentence that says what to do.
  struct Problem {
    std::string message;
  };

  /// Opens keys, TLS identity and store, builds every part and listens. The store may be in trouble: the node then holds logins and
  /// gets ready by itself when the store comes back.
  [[nodiscard]] static std::variant<std::unique_ptr<Node>, Problem> start(const ServeOptions& options, const Config& config);
  ~Node();

  /// Blocks until the node is ready for the first time, or `stop` was called from another thread. True: ready.
  [[nodiscard]] bool wait_ready();
  /// The line for stdout: {"event":"ready",...}. Call after wait_ready.
  [[nodiscard]] std::string ready_line() const;

  /// Takes what can change without a restart from `config`, and reads certificates and keys again.
  void reload(const Config& config);
  /// Ends sessions spread over a while, writes what was to be written behind, stops every thread. Within 10 s.
  void stop();

 private:
  struct Parts;
  explicit Node(std::unique_ptr<Parts> parts) noexcept;
  std::unique_ptr<Parts> parts_;
};

}  // namespace muster::main
