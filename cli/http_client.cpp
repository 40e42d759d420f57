// SPDX-License-Identifier: Apache-2.0
#include "cli/http_client.hpp"

#include <curl/curl.h>

#include <array>
#include <atomic>
#include <cstdlib>

#include "cli/saved_login.hpp"

namespace muster::cli {

namespace {

constexpr std::size_t answer_max_bytes = std::size_t{64} << 20;

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
      encoded += digits[byte & 15u];
    }
  }
  return encoded;
}

std::size_t take(char* bytes, std::size_t size, std::size_t count, void* to) {
  auto& body = *static_cast<std::string*>(to);
  const auto length = size * count;
  if (body.size() + length > answer_max_bytes) return 0;  // curl ends the transfer.
  body.append(bytes, length);
  return length;
}

/// Not 0: curl ends the transfer. It asks about once a second, and oftener while bytes come.
int ask_whether_ended(void* flag, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const std::atomic<bool>*>(flag)->load() ? 1 : 0;
}

}  // namespace

std::string format_query(const Query& query) {
  std::string text;
  for (const auto& [name, value] : query) {
    text += text.empty() ? '?' : '&';
    text += percent_encode(name) + "=" + percent_encode(value);
  }
  return text;
}

struct HttpClient::Impl {
  std::string url, ca_file;
  std::string known_device;
  CURL* curl = nullptr;
  std::array<char, CURL_ERROR_SIZE> detail{};
  const std::atomic<bool>* ended = nullptr;

  ~Impl() {
    if (curl != nullptr) curl_easy_cleanup(curl);
  }
};

HttpClient::HttpClient(std::string url, std::string ca_file) : impl_{std::make_unique<Impl>()} {
  static const auto initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  impl_->url = std::move(url);
  impl_->ca_file = std::move(ca_file);
  if (initialised == CURLE_OK) impl_->curl = curl_easy_init();
}
HttpClient::~HttpClient() = default;
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;

void HttpClient::end_when(const std::atomic<bool>& ended) noexcept { impl_->ended = &ended; }
const std::string& HttpClient::url() const noexcept { return impl_->url; }
const std::string& HttpClient::ca_file() const noexcept { return impl_->ca_file; }
void HttpClient::set_known_device(std::string mark) { impl_->known_device = std::move(mark); }

Outcome<HttpAnswer> HttpClient::send(std::string_view method, const std::string& path_and_query, std::string_view access_token,
                                     const std::optional<std::string>& body) {
  CURL* const curl = impl_->curl;
  if (curl == nullptr) return failed("libcurl could not be set up.");
  HttpAnswer answer;
  const std::string full = impl_->url + path_and_query;
  const std::string method_text{method};
  curl_easy_reset(curl);  // Keeps the connection.
  impl_->detail[0] = '\0';
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, impl_->detail.data());
  curl_easy_setopt(curl, CURLOPT_URL, full.c_str());
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method_text.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 10L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "muster-cli/" MUSTER_VERSION);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &take);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer.body);
  if (impl_->ended != nullptr) {
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &ask_whether_ended);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, impl_->ended);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  }
  if (!impl_->ca_file.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO, impl_->ca_file.c_str());
  // A proxy cannot reach this machine for us.
  if (std::getenv("no_proxy") == nullptr && std::getenv("NO_PROXY") == nullptr)
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "localhost,127.0.0.1,::1");
  curl_slist* headers = curl_slist_append(nullptr, "Accept: application/json");
  // The access token goes into a header that curl does not log and never sends to another host: nothing is followed.
  if (!access_token.empty()) headers = curl_slist_append(headers, ("Authorization: Bearer " + std::string{access_token}).c_str());
  if (!impl_->known_device.empty()) headers = curl_slist_append(headers, ("Muster-Device: " + impl_->known_device).c_str());
  if (body) {
    headers = curl_slist_append(headers, "Content-Type: application/json");
    headers = curl_slist_append(headers, "Expect:");
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->c_str());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body->size()));
  }
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  const CURLcode code = curl_easy_perform(curl);
  curl_slist_free_all(headers);
  if (code != CURLE_OK) return unreachable(explain_curl_error(code, impl_->url, impl_->ca_file, impl_->detail.data()));
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
  return answer;
}

std::string explain_curl_error(int code, std::string_view url, std::string_view ca_file, std::string_view detail) {
  const std::string where{url};
  const auto parts = parse_url(url);
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST: return "The host name " + parts.host + " is not known; check the URL " + where + ".";
    case CURLE_COULDNT_CONNECT:
      return "Nothing answers at " + where +
             ". Is the server running? Start it with `muster serve --data DIR`, or name another one with --url.";
    case CURLE_OPERATION_TIMEDOUT: return "The server at " + where + " did not answer in time. Is it running, and is the address right?";
    case CURLE_PEER_FAILED_VERIFICATION:
      if (!ca_file.empty()) {
        return "The certificate of " + where + " is not trusted by " + std::string{ca_file} + " (" + std::string{detail} +
               "). Is this the server's CA, and does the certificate name " + parts.host + "?";
      }
      return "The certificate of " + where + " is not trusted (" + std::string{detail} +
             "). If the server made its own, give its CA: --ca FILE, or MUSTER_CA; the file is tls/ca.crt in the server's data directory.";
    case CURLE_SSL_CACERT_BADFILE:
      return "The CA file " + std::string{ca_file} + " cannot be used: it must exist and hold a certificate in PEM form.";
    case CURLE_SSL_CONNECT_ERROR:
      if (parts.tls)
        return "The server at " + where + " does not speak TLS there (" + std::string{detail} + "); try http:// or another port.";
      break;
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_HTTP2:
      if (!parts.tls)
        return "The server at " + where + " closed the connection without an answer; if this port speaks TLS, use https:// instead.";
      return "The server at " + where + " closed the connection without an answer; is this a muster server?";
    case CURLE_WRITE_ERROR: return "The answer of " + where + " is too large.";
    default: break;
  }
  return where +
         " cannot be reached: " + (detail.empty() ? std::string{curl_easy_strerror(static_cast<CURLcode>(code))} : std::string{detail}) +
         ".";
}

}  // namespace muster::cli
