// SPDX-License-Identifier: Apache-2.0
#include "agent/app/journal.hpp"

#include <algorithm>

#include "wire/utf8.hpp"

namespace muster::agent::app {

namespace {

constexpr std::string_view replacement = "\xef\xbf\xbd";  // U+FFFD

/// What a failure means to a person, and what to do about it.
const char* advice(CloseReason reason) {
  switch (reason) {
    case CloseReason::host_unknown: return "the name of the host is not known here";
    case CloseReason::refused: return "nobody listens there; is the cloud running, and is this its port?";
    case CloseReason::unreachable: return "no way to that host; is the network up?";
    case CloseReason::connect_timeout: return "no answer";
    case CloseReason::tls_untrusted: return "its certificate is not trusted; give the cloud's CA with --ca";
    case CloseReason::tls_failed: return "no TLS there; is this its TLS port?";
    case CloseReason::captive_portal: return "the network wants a sign-in page first";
    case CloseReason::peer_closed: return "the cloud closed the connection";
    case CloseReason::network_lost: return "the connection broke";
    case CloseReason::login_timeout: return "the login was not answered";
    case CloseReason::login_refused: return "the cloud cannot let us in now";
    case CloseReason::invalid_token: return "the cloud does not know the token";
    case CloseReason::not_authenticated: return "the cloud wants a new login";
    case CloseReason::silent: return "nothing was heard for too long";
    case CloseReason::protocol_error: return "the cloud sent something that makes no sense";
    case CloseReason::redirected: return "on to another host";
    case CloseReason::redirect_loop: return "too many redirects in a row";
    case CloseReason::send_failed: return "the connection takes no more data";
    case CloseReason::stopped: return "as asked";
  }
  return "";
}

std::string place(const Event& event) {
  return printable(event.host) + ':' + std::to_string(event.port) + (event.tls ? " (TLS)" : " (plain)");
}

}  // namespace

std::string json_string(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const auto character = wire::first_character(text);
    const std::size_t size = character.size_bytes;
    const bool is_control = !character.shown && (size == 1 || size == 2);
    if (size == 0) {
      out += replacement;
    } else if (text.front() == '"' || text.front() == '\\') {
      out += '\\';
      out += text.front();
    } else if (is_control) {
      constexpr std::string_view hex = "0123456789abcdef";
      const auto code = static_cast<unsigned char>(text[size - 1]);
      out += "\\u00";
      out += hex[code >> 4];
      out += hex[code & 15];
    } else {
      out += text.substr(0, size);
    }
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return out + '"';
}

std::string printable(std::string_view text) {
  constexpr std::size_t size_max_bytes = 200;
  std::string out;
  while (!text.empty()) {
    const auto character = wire::first_character(text);
    const std::size_t size = std::max<std::size_t>(character.size_bytes, 1);
    if (out.size() + size > size_max_bytes) {
      return out + "...";
    }
    if (character.shown) {
      out += text.substr(0, size);
    } else {
      out += '?';
    }
    text.remove_prefix(size);
  }
  return out;
}

void Journal::line(const std::string& json, const std::string& human, Millis now) {
  const std::string t = std::to_string(now - started_);
  if (json_) {
    std::fprintf(out_, "{%s,\"t_ms\":%s}\n", json.c_str(), t.c_str());
  } else {
    std::fprintf(out_, "%8s ms  %s\n", t.c_str(), human.c_str());
  }
  std::fflush(out_);
}

void Journal::event(const Event& event, std::string_view problem, Millis now) {
  std::string json = "\"event\":" + json_string(to_text(event.kind));
  std::string human;
  const auto add_place = [&] {
    json +=
        ",\"host\":" + json_string(event.host) + ",\"port\":" + std::to_string(event.port) + ",\"tls\":" + (event.tls ? "true" : "false");
  };
  const auto add_reason = [&] {
    json += ",\"reason\":" + json_string(to_text(event.reason));
    if (event.status != 0) {
      json += ",\"status\":" + std::to_string(event.status);
    }
    if (!problem.empty()) {
      json += ",\"detail\":" + json_string(problem);
    }
  };
  switch (event.kind) {
    case EventKind::connecting:
      add_place();
      human = "connecting to " + place(event);
      break;
    case EventKind::connect_failed:
      add_place();
      add_reason();
      human = "no connection to " + place(event) + ": " + advice(event.reason);
      if (!problem.empty()) {
        human += " [" + printable(problem) + ']';
      }
      break;
    case EventKind::connected: human = "connected"; break;
    case EventKind::login_ok: human = "the cloud knows this device"; break;
    case EventKind::info_sent: human = "told the cloud what this device is"; break;
    case EventKind::info_accepted: human = "the cloud accepted it"; break;
    case EventKind::info_refused:
      json += ",\"status\":" + std::to_string(event.status);
      human = "the cloud did not accept what this device says of itself (status " + std::to_string(event.status) + ')';
      break;
    case EventKind::online: human = "online"; break;
    case EventKind::first_value_sent: human = "first value sent"; break;
    case EventKind::redirected:
      add_place();
      human = "the cloud sends us to " + place(event);
      break;
    case EventKind::invalid_token:
      human = "the cloud does not know this token. The settings stay; to use another token, start again with --token";
      break;
    case EventKind::quota: human = "the cloud asks for fewer values"; break;
    case EventKind::disconnected:
      add_reason();
      human = std::string{"disconnected: "} + advice(event.reason);
      break;
    case EventKind::retry_in:
      json += ",\"delay_ms\":" + std::to_string(event.delay_ms);
      human = "next try in " +
              (event.delay_ms < 10'000 ? std::to_string(event.delay_ms) + " ms" : std::to_string(event.delay_ms / 1000) + " s");
      break;
    case EventKind::stopped: human = "stopped"; break;
  }
  line(json, human, now);
}

void Journal::step(const Step& step, Millis now) {
  std::string json = "\"event\":\"step\",\"step\":" + json_string(to_text(step.kind));
  std::string human = std::string{to_text(step.kind)};
  std::replace(human.begin(), human.end(), '_', ' ');
  if (step.trial) {
    json += ",\"trial\":true";
    human += " (new settings)";
  }
  if (step.code != wire::ActivationFailure::none) {
    const auto code = static_cast<std::uint16_t>(step.code);
    const wire::FailureText* const text = wire::find_failure(code);
    json += ",\"code\":" + std::to_string(code);
    human += ": " + (text == nullptr ? std::string{} : std::string{text->sentence} + ' ' + std::string{text->fix} + ' ') + '(' +
             std::to_string(code) + ')';
  }
  if (!step.detail.empty()) {
    json += ",\"detail\":" + json_string(step.detail);
    human += " [" + printable(step.detail) + ']';
  }
  line(json, human, now);
}

void Journal::state(DeviceState state, std::string_view name, Millis now) {
  std::string human = "state: " + std::string{to_text(state)};
  if (state == DeviceState::wait_config) human += ", as \"" + printable(name) + '"';
  line("\"event\":\"state\",\"state\":" + json_string(to_text(state)) + ",\"name\":" + json_string(name), human, now);
}

void Journal::write(std::uint8_t pin, const std::vector<std::string_view>& values, Millis now) {
  const std::string_view first = values.empty() ? std::string_view{} : values.front();
  std::string json = "\"event\":\"write\",\"pin\":" + std::to_string(pin) + ",\"value\":" + json_string(first);
  std::string human = "V" + std::to_string(pin) + " =";
  if (values.size() > 1) {
    json += ",\"values\":[";
    for (std::size_t i = 0; i < values.size(); ++i) {
      json += (i == 0 ? "" : ",") + json_string(values[i]);
    }
    json += ']';
  }
  for (const std::string_view value : values) {
    human += ' ' + printable(value);
  }
  line(json, human, now);
}

void Journal::text(std::string_view kind, std::string_view text, Millis now) {
  line("\"event\":" + json_string(kind) + ",\"text\":" + json_string(text), std::string{kind} + ": " + printable(text), now);
}

}  // namespace muster::agent::app
