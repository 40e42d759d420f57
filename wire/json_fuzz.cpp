// SPDX-License-Identifier: Apache-2.0
// Any bytes as JSON: the walk ends, never leaves its rooms, and what it reads can be written and read again; also as an Inject message.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "wire/inject.hpp"

namespace {

using namespace muster::wire;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input{reinterpret_cast<const char*>(data), size};
  const std::vector<std::uint8_t>::size_type room_size = size % 97;
  std::vector<std::uint8_t> room(room_size), out(6 * size + 64);
  JsonReader reader{input, {room.data(), room.size()}};
  JsonWriter writer{{out.data(), out.size()}};
  std::size_t tokens = 0;
  for (JsonToken token = reader.next();; token = reader.next()) {
    require(++tokens <= size + 2);
    if (token == JsonToken::error) {
      break;
    }
    if (token == JsonToken::end) {
      require(!writer.overflowed());
      // A second walk over what was written.
      std::vector<std::uint8_t> room2(out.size());
      JsonReader again{writer.view(), {room2.data(), room2.size()}, out.size()};
      std::size_t tokens_again = 0;
      for (JsonToken t = again.next(); t != JsonToken::end; t = again.next()) {
        require(t != JsonToken::error);
        ++tokens_again;
      }
      require(tokens_again == tokens - 1);
      break;
    }
    switch (token) {
      case JsonToken::begin_object: writer.begin_object(); break;
      case JsonToken::end_object: writer.end_object(); break;
      case JsonToken::begin_array: writer.begin_array(); break;
      case JsonToken::end_array: writer.end_array(); break;
      case JsonToken::key: writer.key(reader.text()); break;
      case JsonToken::text: writer.text(reader.text()); break;
      case JsonToken::number: writer.number(1); break;
      case JsonToken::yes:
      case JsonToken::no: writer.boolean(token == JsonToken::yes); break;
      default: writer.text("null"); break;
    }
  }
  std::vector<std::uint8_t> texts(size);
  InjectMessage message;
  if (decode_inject(input, {texts.data(), texts.size()}, message) == InjectStatus::ok) {
    std::size_t sum = 0;
    for (std::size_t i = 0; i < message.count; ++i) {
      sum += message.fields[i].key.size() + message.fields[i].value.size();
      static_cast<void>(message.number(message.fields[i].key));
    }
    require(sum <= size * (InjectMessage::fields_max + 1));
    std::uint8_t small[256];
    const ByteSpan span{small, sizeof small};
    static_cast<void>(encode_inject(read_inject_info(message), span));
    static_cast<void>(encode_inject(read_inject_interface(message), span));
    static_cast<void>(encode_inject(read_inject_network(message), span));
    static_cast<void>(encode_inject(read_inject_net_status(message), span));
    static_cast<void>(encode_inject(read_inject_failure(message), span));
  }
  return 0;
}
