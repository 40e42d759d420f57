// SPDX-License-Identifier: Apache-2.0
#include "cloud/webhook/http_sender.hpp"

#include <curl/curl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

namespace muster::webhook {

namespace {

constexpr std::size_t header_max_bytes = 16 * 1024;
constexpr unsigned lookups_max = 64;
std::atomic<unsigned> lookups{0};  ///< Under way, also those that nobody waits for any more.

/// The resolver's answer, if it comes in time. The system's can hang for half a minute on a name server that says nothing, and cannot be
/// interrupted: then its thread is left to end by itself.
std::optional<std::vector<IpAddress>> resolve_within(std::chrono::milliseconds timeout, const Resolver& resolver, const std::string& host) {
  struct Turn {
    const bool mine = lookups.fetch_add(1) < lookups_max;
    ~Turn() { lookups.fetch_sub(1); }
  };
  auto turn = std::make_unique<Turn>();
  if (!turn->mine) return std::nullopt;
  std::packaged_task<std::vector<IpAddress>()> task{[turn = std::move(turn), resolver, host] { return resolver(host); }};
  auto answer = task.get_future();
  std::thread{std::move(task)}.detach();
  if (answer.wait_for(timeout) != std::future_status::ready) return std::nullopt;
  return answer.get();
}

struct CurlDeleter {
  void operator()(CURL* handle) const noexcept { curl_easy_cleanup(handle); }
  void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
  void operator()(CURLU* url) const noexcept { curl_url_cleanup(url); }
};
using Handle = std::unique_ptr<CURL, CurlDeleter>;
using Url = std::unique_ptr<CURLU, CurlDeleter>;
using List = std::unique_ptr<curl_slist, CurlDeleter>;

void append(List& list, const std::string& text) {
  if (curl_slist* const grown = curl_slist_append(list.get(), text.c_str())) {
    static_cast<void>(list.release());
    list.reset(grown);
  }
}

std::optional<IpAddress> address_of(const sockaddr& address) {
  IpAddress out;
  if (address.sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    return IpAddress::from_v4(ntohl(v4.sin_addr.s_addr));
  }
  if (address.sa_family != AF_INET6) return std::nullopt;
  sockaddr_in6 v6{};
  std::memcpy(&v6, &address, sizeof v6);
  std::memcpy(out.bytes.data(), &v6.sin6_addr, out.bytes.size());
  return out;
}

std::optional<std::string> part_of(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return std::nullopt;
  std::string out{text};
  curl_free(text);
  return out;
}

/// What libcurl's callbacks see of one request.
struct Exchange {
  std::vector<IpAddress> checked;
  std::string body;
  std::size_t header_bytes = 0;
  bool body_cut = false;
};

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* context) noexcept {
  auto& exchange = *static_cast<Exchange*>(context);
  const std::size_t room = domain::webhook_response_max_bytes - exchange.body.size();
  exchange.body.append(data, std::min(room, size * count));
  if (size * count <= room) return size * count;
  exchange.body_cut = true;
  return 0;  // Enough is known.
}

std::size_t on_header(char*, std::size_t size, std::size_t count, void* context) noexcept {
  auto& exchange = *static_cast<Exchange*>(context);
  exchange.header_bytes += size * count;
  return exchange.header_bytes > header_max_bytes ? 0 : size * count;
}

/// The second wall: only addresses that were checked get a socket.
curl_socket_t on_open(void* context, curlsocktype purpose, curl_sockaddr* target) noexcept {
  const auto& exchange = *static_cast<Exchange*>(context);
  if (purpose != CURLSOCKTYPE_IPCXN) return CURL_SOCKET_BAD;
  const auto address = address_of(target->addr);
  if (!address || std::find(exchange.checked.begin(), exchange.checked.end(), *address) == exchange.checked.end()) return CURL_SOCKET_BAD;
  return ::socket(target->family, target->socktype | SOCK_CLOEXEC, target->protocol);
}

std::string sentence_of(CURLcode code, std::chrono::milliseconds timeout) {
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT: return "No whole answer came within " + std::to_string(timeout.count() / 1000) + " s.";
    case CURLE_COULDNT_CONNECT: return "The connection was refused or did not come about.";
    case CURLE_PEER_FAILED_VERIFICATION: return "The target's TLS certificate is not trusted.";
    case CURLE_SSL_CONNECT_ERROR: return "The TLS handshake failed.";
    case CURLE_GOT_NOTHING: return "The target closed the connection without an answer.";
    case CURLE_WRITE_ERROR: return "The answer's headers are too long.";
    default: return std::string{"The request failed: "} + curl_easy_strerror(code) + ".";
  }
}

}  // namespace

std::vector<IpAddress> resolve_by_system(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return {};
  std::vector<IpAddress> addresses;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    const auto address = address_of(*each->ai_addr);
    if (address && std::find(addresses.begin(), addresses.end(), *address) == addresses.end()) addresses.push_back(*address);
  }
  ::freeaddrinfo(found);
  return addresses;
}

HttpSender::HttpSender(SenderOptions options) : options_{std::move(options)} {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

Answer HttpSender::send(const Outgoing& request) const {
  Answer answer;
  const auto fail = [&](std::string problem) {
    answer.problem = std::move(problem);
    return answer;
  };
  const Url url{curl_url()};
  const Handle handle{curl_easy_init()};
  if (!url || !handle) return fail("The server is short of memory.");
  if (curl_url_set(url.get(), CURLUPART_URL, request.url.c_str(), CURLU_DISALLOW_USER) != CURLUE_OK) return fail("The URL cannot be read.");
  auto host = part_of(url.get(), CURLUPART_HOST);
  const auto port = part_of(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
  if (!host || !port || host->empty()) return fail("The URL names no host.");
  const bool literal_v6 = host->front() == '[';
  if (literal_v6) *host = host->substr(1, host->size() - 2);

  Exchange exchange;
  const auto begun = std::chrono::steady_clock::now();
  auto addresses = resolve_within(options_.timeout, options_.resolver, *host);
  if (!addresses) return fail("The name " + *host + " could not be looked up in time.");
  const auto left = options_.timeout - std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun);
  exchange.checked = std::move(*addresses);
  if (exchange.checked.empty()) return fail("The name " + *host + " has no address.");
  for (const IpAddress& address : exchange.checked) {
    if (const auto why = options_.targets.refusal(address); !why.empty())
      return fail("The address " + address.text() + " is refused: it is " + std::string{why} + ".");
  }

  List headers, pinned;
  for (const auto& header : request.headers) append(headers, header);
  append(headers, "Expect:");
  std::string pin = *host + ":" + *port + ":";
  for (const IpAddress& address : exchange.checked) {
    if (!pin.ends_with(':')) pin += ',';
    pin += address.is_v4() ? address.text() : "[" + address.text() + "]";
  }
  if (!literal_v6) append(pinned, pin);

  CURL* const curl = handle.get();
  const auto set = [&](CURLoption option, auto value) { curl_easy_setopt(curl, option, value); };
  set(CURLOPT_CURLU, url.get());
  set(CURLOPT_RESOLVE, pinned.get());
  set(CURLOPT_OPENSOCKETFUNCTION, on_open);
  set(CURLOPT_OPENSOCKETDATA, &exchange);
  set(CURLOPT_WRITEFUNCTION, on_body);
  set(CURLOPT_WRITEDATA, &exchange);
  set(CURLOPT_HEADERFUNCTION, on_header);
  set(CURLOPT_HEADERDATA, &exchange);
  set(CURLOPT_HTTPHEADER, headers.get());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_PROXY, "");
  set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_FRESH_CONNECT, 1L);
  set(CURLOPT_FORBID_REUSE, 1L);
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(std::max<std::int64_t>(left.count(), 1)));  // 0 would be for ever.
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_USERAGENT, "muster-webhook");
  if (!options_.ca_file.empty()) set(CURLOPT_CAINFO, options_.ca_file.c_str());
  if (!request.user.empty()) {
    set(CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
    set(CURLOPT_USERNAME, request.user.c_str());
    set(CURLOPT_PASSWORD, request.password.c_str());
  }
  if (request.method == domain::WebhookMethod::get) {
    set(CURLOPT_HTTPGET, 1L);
  } else {
    set(CURLOPT_POST, 1L);
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    set(CURLOPT_POSTFIELDS, request.body.c_str());
    set(CURLOPT_CUSTOMREQUEST, std::string{domain::webhook_method_name(request.method)}.c_str());
  }
  const CURLcode code = curl_easy_perform(curl);
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  answer.body = std::move(exchange.body);
  if (code != CURLE_OK && !(code == CURLE_WRITE_ERROR && exchange.body_cut)) return fail(sentence_of(code, options_.timeout));
  answer.status = static_cast<std::uint16_t>(std::clamp(status, 0L, 999L));
  return answer;
}

}  // namespace muster::webhook
