// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace muster::provisioner {

inline constexpr std::size_t answer_head_max_bytes = 8 * 1024;
inline constexpr std::size_t answer_body_max_bytes = 64 * 1024;

/// Reads one HTTP/1 answer of a device, byte runs in. The device is not trusted: heads and bodies have a maximum, lengths must be numbers
/// that agree, and an end of the stream that comes too early is a failure.
class HttpAnswerReader {
 public:
  enum class State : std::uint8_t { reading, complete, bad };
  State feed(std::string_view bytes);
  /// The stream has ended.
  State finish();
  [[nodiscard]] State state() const noexcept { return state_; }
  /// Not one byte has come.
  [[nodiscard]] bool empty() const noexcept { return part_ == Part::head && pending_.empty(); }
  [[nodiscard]] int status() const noexcept { return status_; }
  [[nodiscard]] const std::string& body() const noexcept { return body_; }

 private:
  enum class Part : std::uint8_t { head, body, chunk_size, chunk, chunk_end, trailer };
  void take_head();
  void take_body();

  State state_ = State::reading;
  Part part_ = Part::head;
  std::string pending_, body_;
  int status_ = 0;
  std::size_t left_ = 0;
  bool has_length_ = false;
};

/// What there is to say of a bad one.
inline constexpr const char* unreadable_answer = "Its answer is longer than any device's, or not as long as it says.";

/// Percent-encodes all but letters, digits and -._~
[[nodiscard]] std::string percent_encode(std::string_view text);

}  // namespace muster::provisioner
