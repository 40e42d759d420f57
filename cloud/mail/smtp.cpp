// SPDX-License-Identifier: Apache-2.0
#include "cloud/mail/smtp.hpp"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <utility>

namespace muster::mail {
namespace {

class SmtpTransport final : public Transport {
 public:
  explicit SmtpTransport(SmtpOptions options) : options_{std::move(options)} {
    static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
    (void)ready;
    curl_ = curl_easy_init();
  }
  ~SmtpTransport() override {
    if (curl_ != nullptr) curl_easy_cleanup(curl_);
  }
  SmtpTransport(const SmtpTransport&) = delete;
  SmtpTransport& operator=(const SmtpTransport&) = delete;

  void interrupt() noexcept override { interrupted_.store(true, std::memory_order_relaxed); }

  Outcome send(std::string_view from, std::string_view to, std::string_view data) override {
    if (curl_ == nullptr) return {Outcome::Kind::try_later, "libcurl cannot be used"};
    curl_easy_reset(curl_);  // Options only: the connection stays.
    const bool tls = options_.security == SmtpSecurity::tls;
    const std::string host = options_.host.find(':') == std::string::npos ? options_.host : "[" + options_.host + "]";
    const std::string url = fmt::format("{}://{}:{}/{}", tls ? "smtps" : "smtp", host, options_.port, options_.own_name);
    const std::string sender = fmt::format("<{}>", from), recipient = fmt::format("<{}>", to);
    curl_slist* recipients = curl_slist_append(nullptr, recipient.c_str());
    std::array<char, CURL_ERROR_SIZE> detail{};
    std::string_view left = data;

    curl_easy_setopt(curl_, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl_, CURLOPT_PROTOCOLS_STR, tls ? "smtps" : "smtp");
    curl_easy_setopt(curl_, CURLOPT_PROXY, "");
    curl_easy_setopt(curl_, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl_, CURLOPT_ERRORBUFFER, detail.data());
    curl_easy_setopt(curl_, CURLOPT_TIMEOUT_MS, static_cast<long>(options_.timeout.count()));
    curl_easy_setopt(curl_, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::min<std::int64_t>(options_.timeout.count(), 20'000)));
    curl_easy_setopt(curl_, CURLOPT_USE_SSL, static_cast<long>(options_.security == SmtpSecurity::none ? CURLUSESSL_NONE : CURLUSESSL_ALL));
    curl_easy_setopt(curl_, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    if (!options_.ca_file.empty()) curl_easy_setopt(curl_, CURLOPT_CAINFO, options_.ca_file.c_str());
    if (!options_.user.empty()) {
      curl_easy_setopt(curl_, CURLOPT_USERNAME, options_.user.c_str());
      curl_easy_setopt(curl_, CURLOPT_PASSWORD, options_.password.c_str());
    }
    curl_easy_setopt(curl_, CURLOPT_MAIL_FROM, sender.c_str());
    curl_easy_setopt(curl_, CURLOPT_MAIL_RCPT, recipients);
    curl_easy_setopt(curl_, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl_, CURLOPT_READFUNCTION, give);
    curl_easy_setopt(curl_, CURLOPT_READDATA, &left);
    curl_easy_setopt(curl_, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl_, CURLOPT_XFERINFOFUNCTION, look_up);
    curl_easy_setopt(curl_, CURLOPT_XFERINFODATA, this);

    const CURLcode result = curl_easy_perform(curl_);
    long code = 0;
    curl_easy_getinfo(curl_, CURLINFO_RESPONSE_CODE, &code);
    curl_slist_free_all(recipients);
    if (result == CURLE_OK) return {};
    std::string reason = detail[0] != '\0' ? detail.data() : curl_easy_strerror(result);
    if (code != 0) reason = fmt::format("{} (last answer {})", reason, code);
    // What the server says of our sign-in or of TLS is about us: the mail waits until that is mended.
    const bool about_us = result == CURLE_LOGIN_DENIED || result == CURLE_USE_SSL_FAILED || result == CURLE_PEER_FAILED_VERIFICATION ||
                          result == CURLE_OPERATION_TIMEDOUT || result == CURLE_COULDNT_CONNECT || result == CURLE_ABORTED_BY_CALLBACK;
    return {!about_us && code >= 500 && code < 600 ? Outcome::Kind::refused : Outcome::Kind::try_later, std::move(reason)};
  }

 private:
  static std::size_t give(char* to, std::size_t size, std::size_t count, void* from) {
    auto& left = *static_cast<std::string_view*>(from);
    const std::size_t length = std::min(size * count, left.size());
    std::memcpy(to, left.data(), length);
    left.remove_prefix(length);
    return length;
  }
  static int look_up(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<SmtpTransport*>(self)->interrupted_.load(std::memory_order_relaxed) ? 1 : 0;
  }

  const SmtpOptions options_;
  CURL* curl_ = nullptr;
  std::atomic<bool> interrupted_{false};
};

}  // namespace

std::unique_ptr<Transport> smtp_transport(SmtpOptions options) { return std::make_unique<SmtpTransport>(std::move(options)); }

}  // namespace muster::mail
