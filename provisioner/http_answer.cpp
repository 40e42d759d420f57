// SPDX-License-Identifier: Apache-2.0
#include "provisioner/http_answer.hpp"

#include <algorithm>
#include <charconv>

namespace muster::provisioner {

namespace {

constexpr std::size_t line_max_bytes = 1024;

std::string lower(std::string_view text) {
  std::string made{text};
  std::transform(made.begin(), made.end(), made.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return made;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool parse_size(std::string_view text, int base, std::size_t& size) {
  if (text.empty()) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size, base);
  return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

std::string percent_encode(std::string_view text) {
  constexpr std::string_view plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    if (plain.find(c) != std::string_view::npos) {
      encoded += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      encoded += '%';
      encoded += digits[byte >> 4];
      encoded += digits[byte & 15U];
    }
  }
  return encoded;
}

HttpAnswerReader::State HttpAnswerReader::feed(std::string_view bytes) {
  while (!bytes.empty() && state_ == State::reading) {
    // In pieces, so that what is kept never grows past its maximum, however much comes at once.
    const auto piece = bytes.substr(0, 4096);
    bytes.remove_prefix(piece.size());
    pending_ += piece;
    if (part_ == Part::head) take_head();
    if (part_ != Part::head && state_ == State::reading) take_body();
  }
  return state_;
}

HttpAnswerReader::State HttpAnswerReader::finish() {
  if (state_ == State::reading) state_ = part_ == Part::body && !has_length_ ? State::complete : State::bad;
  return state_;
}

void HttpAnswerReader::take_head() {
  const auto end = pending_.find("\r\n\r\n");
  if (end == std::string::npos || end > answer_head_max_bytes) {
    if (pending_.size() > answer_head_max_bytes + 4) state_ = State::bad;
    return;
  }
  std::string_view head = std::string_view{pending_}.substr(0, end);
  const auto first_end = std::min(head.find("\r\n"), head.size());
  const auto first = head.substr(0, first_end);
  head.remove_prefix(std::min(first_end + 2, head.size()));
  const auto space = first.find(' ');
  if (!first.starts_with("HTTP/1.") || space == std::string_view::npos) {
    state_ = State::bad;
    return;
  }
  std::size_t status = 0;
  if (!parse_size(first.substr(space + 1, 3), 10, status) || status < 200 || status > 599) {
    state_ = State::bad;
    return;
  }
  status_ = static_cast<int>(status);
  bool chunked = false;
  while (!head.empty()) {
    const auto line_end = std::min(head.find("\r\n"), head.size());
    const auto line = head.substr(0, line_end);
    head.remove_prefix(std::min(line_end + 2, head.size()));
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const auto name = lower(line.substr(0, colon));
    const auto value = trim(line.substr(colon + 1));
    if (name == "content-length") {
      std::size_t length = 0;
      if (!parse_size(value, 10, length) || length > answer_body_max_bytes || (has_length_ && length != left_)) {
        state_ = State::bad;
        return;
      }
      has_length_ = true;
      left_ = length;
    } else if (name == "transfer-encoding") {
      chunked = lower(value) == "chunked";
      if (!chunked) state_ = State::bad;
    }
  }
  pending_.erase(0, end + 4);
  if (chunked) has_length_ = false;
  part_ = chunked ? Part::chunk_size : Part::body;
  if (part_ == Part::body && has_length_ && left_ == 0) state_ = State::complete;
}

void HttpAnswerReader::take_body() {
  const auto put = [&](std::size_t count) {
    if (body_.size() + count > answer_body_max_bytes) {
      state_ = State::bad;
      return;
    }
    body_.append(pending_, 0, count);
    pending_.erase(0, count);
  };
  while (state_ == State::reading) {
    if (part_ == Part::body) {
      const auto count = has_length_ ? std::min(left_, pending_.size()) : pending_.size();
      if (count == 0) return;
      put(count);
      if (has_length_ && (left_ -= count) == 0 && state_ == State::reading) state_ = State::complete;
      if (state_ == State::reading) return;
    } else if (part_ == Part::chunk) {
      const auto count = std::min(left_, pending_.size());
      if (count == 0) return;
      put(count);
      if ((left_ -= count) == 0) part_ = Part::chunk_end;
    } else {
      const auto end = pending_.find("\r\n");
      if (end == std::string::npos || end > line_max_bytes) {
        if (pending_.size() > line_max_bytes + 2) state_ = State::bad;
        return;
      }
      const std::string line = pending_.substr(0, end);
      pending_.erase(0, end + 2);
      if (part_ == Part::chunk_end) {
        part_ = Part::chunk_size;
        if (!line.empty()) state_ = State::bad;
      } else if (part_ == Part::trailer) {
        if (line.empty()) state_ = State::complete;
      } else {
        std::size_t size = 0;
        if (!parse_size(trim(std::string_view{line}.substr(0, line.find(';'))), 16, size) || size > answer_body_max_bytes) {
          state_ = State::bad;
        } else {
          left_ = size;
          part_ = size == 0 ? Part::trailer : Part::chunk;
        }
      }
    }
  }
}

}  // namespace muster::provisioner
