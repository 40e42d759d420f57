// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <string>
#include <string_view>

#include "cloud/net/http_reader.hpp"
#include "cloud/net/http_response.hpp"

namespace {

using namespace muster;

/// What a stream of requests amounts to: every request read before the end or a refusal (which may show earlier in some cuts).
std::string transcript(std::string_view bytes, std::size_t step) {
  net::HttpReader reader;
  api::Request request;
  std::string result, kept;
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, step);
    bytes.remove_prefix(piece.size());
    kept += piece;
    while (!kept.empty()) {
      const auto outcome = reader.read(kept, {1'024, 512}, request);
      if (outcome.consumed_bytes > kept.size()) std::abort();
      if (outcome.status == net::HttpReader::Status::failed) return result;
      if (outcome.status == net::HttpReader::Status::complete) {
        if (outcome.consumed_bytes == 0 && request.body.empty()) std::abort();
        if (request.path.empty() || request.body.size() > 512) std::abort();
        result.append(request.target).append("|").append(request.path).append("|").append(request.query).append("|");
        for (const api::Header& header : request.headers) {
          if (header.name.find_first_of("\r\n") != std::string_view::npos ||
              header.value.find_first_of(std::string_view{"\r\n\0", 3}) != std::string_view::npos)
            std::abort();
          result.append(header.name).append(":").append(header.value).append(";");
        }
        result.append(request.body).append(reader.head().keep_alive ? "+" : "-").append("\n");
        if (request.method == api::Method::other) result += "?";
        std::vector<std::uint8_t> out;
        net::write_response({}, {.path = request.path, .host = reader.head().host, .secure = true}, out);
        kept.erase(0, outcome.consumed_bytes);
        reader.forget();
        continue;
      }
      kept.erase(0, outcome.consumed_bytes);
      if (kept.size() > 1'024 + 2) std::abort();  // Never keeps more than a header.
      break;
    }
  }
  return result;
}

}  // namespace

/// However the bytes arrive, the same requests come out: a difference would be a way to smuggle one.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  const std::string whole = transcript(bytes, SIZE_MAX);
  const std::string single = transcript(bytes, 1);
  // The status of a refusal may differ: of two faults another one may be seen first.
  if (whole != single || whole != transcript(bytes, 7)) std::abort();
  return 0;
}
