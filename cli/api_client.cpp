// SPDX-License-Identifier: Apache-2.0
#include "cli/api_client.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "cli/terminal.hpp"
#include "cloud/domain/rules.hpp"

namespace muster::cli {

namespace {

namespace json = boost::json;

constexpr std::int64_t page_size_max = 1000;

std::string text_of(const json::object& object, std::string_view key) {
  const auto* const value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string{value->get_string()} : std::string{};
}

Failure not_muster(std::string_view url) {
  return unreachable("What answers at " + std::string{url} + " is not a muster server; check the URL.");
}

}  // namespace

Failure refusal_of(const HttpAnswer& answer, std::string_view url, bool signed_in) {
  boost::system::error_code error;
  const auto document = json::parse(answer.body, error);
  const auto* const outer = error ? nullptr : document.if_object();
  const auto* const inner = outer != nullptr && outer->contains("error") ? outer->at("error").if_object() : nullptr;
  if (inner == nullptr) {
    if (answer.status == 503) return refused("The server at " + std::string{url} + " is not ready; try again in a moment.");
    return not_muster(url);
  }
  const std::string code = text_of(*inner, "code");
  Failure failure = refused(text_of(*inner, "message"), code);
  if (failure.message.empty()) failure.message = "The server refused with status " + std::to_string(answer.status) + ".";
  if (const auto* const details = inner->if_contains("details"); details != nullptr && details->is_array()) {
    for (const auto& detail : details->get_array()) {
      if (!detail.is_object()) continue;
      const auto message = text_of(detail.get_object(), "message");
      const auto field = text_of(detail.get_object(), "field");
      if (!message.empty() && message != failure.message) failure.message += (field.empty() ? "\n  " : "\n  " + field + ": ") + message;
    }
  }
  failure.message = [&] {
    std::string shown;  // Lines of ours stay lines.
    std::size_t from = 0;
    for (auto end = failure.message.find('\n'); end != std::string::npos; from = end + 1, end = failure.message.find('\n', from)) {
      shown += printable(std::string_view{failure.message}.substr(from, end - from)) + "\n";
    }
    return shown + printable(std::string_view{failure.message}.substr(from));
  }();
  // A wrong present password is a 401 too, and no reason to sign in again.
  if (answer.status == 401 && signed_in && (code == "not_signed_in" || code == "access_token_invalid"))
    failure.message += "\nSign in again: muster login --url " + std::string{url} + " --email EMAIL";
  return failure;
}

Outcome<json::value> ApiClient::call(std::string_view method, std::string_view path, const Query& query, const json::object* body) {
  std::optional<std::string> text;
  if (body != nullptr) text = json::serialize(*body);
  if (text && !domain::is_valid_utf8(*text)) return usage("Something in this command is not UTF-8; check the terminal's character set.");
  const auto answer = http_.send(method, std::string{path} + format_query(query), access_token_, text);
  if (!answer) return answer.error();
  if (answer->status < 200 || answer->status >= 300) return refusal_of(*answer, http_.url(), !access_token_.empty());
  if (answer->body.empty()) return json::value{nullptr};
  boost::system::error_code error;
  auto document = json::parse(answer->body, error);
  if (error) return not_muster(http_.url());
  return Outcome<json::value>{boost::system::in_place_value, std::move(document)};
}

Outcome<std::string> ApiClient::text(std::string_view path, const Query& query) {
  const auto answer = http_.send("GET", std::string{path} + format_query(query), access_token_, std::nullopt);
  if (!answer) return answer.error();
  if (answer->status < 200 || answer->status >= 300) return refusal_of(*answer, http_.url(), !access_token_.empty());
  return Outcome<std::string>{boost::system::in_place_value, answer->body};
}

Outcome<json::array> ApiClient::list(std::string_view path, const Query& query, const Paging& paging) {
  json::array rows;
  const bool all = !paging.page && !paging.limit;
  const auto wanted = paging.limit.value_or(all ? INT64_MAX : 50);
  const auto size = std::min(wanted, page_size_max);
  for (std::int64_t page = paging.page.value_or(0);; ++page) {
    auto with_page = query;
    with_page.emplace_back("page", std::to_string(page));
    with_page.emplace_back("size", std::to_string(size));
    auto answer = call("GET", path, with_page);
    if (!answer) return answer.error();
    auto* const object = answer->if_object();
    auto* const content = object == nullptr ? nullptr : object->if_contains("content");
    if (content == nullptr || !content->is_array()) return not_muster(http_.url());
    auto& got = content->get_array();
    const auto count = static_cast<std::int64_t>(got.size());
    for (auto& row : got) {
      if (static_cast<std::int64_t>(rows.size()) < wanted) rows.push_back(std::move(row));
    }
    if (paging.page || count < size || static_cast<std::int64_t>(rows.size()) >= wanted)
      return Outcome<json::array>{boost::system::in_place_value, std::move(rows)};
  }
}

}  // namespace muster::cli
