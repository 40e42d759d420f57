// SPDX-License-Identifier: Apache-2.0
#include "bench/scenarios.hpp"

#include <time.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "bench/client.hpp"
#include "bench/process_meter.hpp"

namespace muster::bench {
namespace {

constexpr std::size_t latencies_kept_max = 20'000;

void sleep_ns(std::uint64_t duration_ns) {
  const timespec time{static_cast<time_t>(duration_ns / 1'000'000'000), static_cast<long>(duration_ns % 1'000'000'000)};
  nanosleep(&time, nullptr);
}

/// Says when a window has done enough.
class Budget {
 public:
  explicit Budget(const Options& options) : end_ns_{now_ns() + options.window_ns}, operations_max_{options.operations_max} {}
  void look_at_clock() { over_ = over_ || now_ns() >= end_ns_; }
  /// May `count` more operations begin?
  bool take(std::uint64_t count) {
    if (over_ || begun_ + count > operations_max_) return false;
    begun_ += count;
    return true;
  }

 private:
  std::uint64_t end_ns_;
  std::uint64_t operations_max_;
  std::uint64_t begun_ = 0;
  bool over_ = false;
};

void note_latency(Window& window, std::uint64_t since_ns) {
  if (window.latencies_us.size() < latencies_kept_max) {
    window.latencies_us.push_back(static_cast<std::uint32_t>((now_ns() - since_ns) / 1000));
  }
}

/// Connect, log in, leave; over TCP or TLS.
class LoginScenario final : public Scenario {
 public:
  LoginScenario(Target& target, const Options& options)
      : target_{target},
        options_{options},
        tls_{options.tls ? make_tls_context() : nullptr},
        slots_(options.connections == 0 ? 32 : options.connections) {}

  void run_window(Window& window) override {
    Poller poller;
    Budget budget{options_};
    std::size_t busy = 0;
    for (std::size_t i = 0; i < slots_.size(); ++i) busy += begin(i, poller, budget) ? 1 : 0;
    while (busy > 0) {
      budget.look_at_clock();
      for (const epoll_event& event : poller.wait()) {
        const std::size_t i = event.data.u32;
        Slot& slot = slots_[i];
        if (!slot.hello_sent && !say_hello(slot)) continue;
        char bytes[64];
        const std::size_t got = slot.client.receive(bytes, sizeof bytes);
        if (got == 0 || slot.reader.read({bytes, got}) == 0) continue;
        note_latency(window, slot.begun_ns);
        if (options_.resume && !slot.first && !slot.client.resumed()) give_up("the server did not resume a TLS session");
        options_.leave_by_reset ? slot.client.reset() : slot.client.close();
        ++window.operations;
        --busy;
        busy += begin(i, poller, budget) ? 1 : 0;
      }
    }
  }

 private:
  struct Slot {
    Client client;
    ReplyReader reader;
    TlsSession ticket;
    std::uint64_t begun_ns = 0;
    bool hello_sent = false;
    bool first = true;  ///< Has no ticket yet: cannot be resumed.
  };

  bool begin(std::size_t i, Poller& poller, Budget& budget) {
    if (!budget.take(1)) return false;
    Slot& slot = slots_[i];
    slot.begun_ns = now_ns();
    slot.client = Client{target_.address, tls_.get()};
    slot.reader = ReplyReader{};
    slot.hello_sent = false;
    if (options_.resume) {
      slot.first = slot.ticket == nullptr;
      slot.client.offer(slot.ticket.get());
      slot.client.keep_ticket_in(&slot.ticket);
    }
    say_hello(slot);
    poller.add(slot.client.fd(), static_cast<std::uint32_t>(i));
    return true;
  }

  bool say_hello(Slot& slot) {
    if (!slot.client.handshake()) return false;
    hello_.clear();
    append_login(hello_, target_.tokens.next());
    slot.client.send(hello_);
    slot.hello_sent = true;
    return true;
  }

  Target& target_;
  Options options_;
  TlsContext tls_;
  std::vector<Slot> slots_;
  std::string hello_;
};

/// Logins that come when they are due, like those of a fleet: a server that falls behind finds them waiting.
class PacedLoginScenario final : public Scenario {
 public:
  PacedLoginScenario(Target& target, const Options& options) : target_{target}, options_{options} {}

  void run_window(Window& window) override {
    Poller poller;
    std::vector<std::uint32_t> free_slots;
    for (std::size_t i = 0; i < slots_.size(); ++i) free_slots.push_back(static_cast<std::uint32_t>(i));
    std::size_t busy = 0;
    std::uint64_t begun = 0;
    const std::uint64_t start_ns = now_ns(), count = options_.window_ns * options_.rate_per_s / 1'000'000'000;
    std::uint64_t heard_ns = start_ns;
    const auto due_ns = [&](std::uint64_t number) { return start_ns + number * 1'000'000'000 / options_.rate_per_s; };
    while (begun < count || busy > 0) {
      for (const std::uint64_t now = now_ns(); begun < count && due_ns(begun) <= now; ++begun, ++busy) {
        if (free_slots.empty()) {
          if (slots_.size() == under_way_max) give_up("the server is " + std::to_string(under_way_max) + " logins behind");
          free_slots.push_back(static_cast<std::uint32_t>(slots_.size()));
          slots_.emplace_back();
        }
        const std::uint32_t i = free_slots.back();
        free_slots.pop_back();
        slots_[i] = Slot{Client{target_.address, nullptr}, ReplyReader{}, due_ns(begun)};
        hello_.clear();
        append_login(hello_, target_.tokens.next());
        slots_[i].client.send(hello_);
        poller.add(slots_[i].client.fd(), i);
      }
      const std::uint64_t now = now_ns(), next = begun < count ? due_ns(begun) : now + 1'000'000'000;
      const int wait_ms = next <= now ? 0 : static_cast<int>((next - now + 999'999) / 1'000'000);
      for (const epoll_event& event : poller.wait_at_most(wait_ms)) {
        Slot& slot = slots_[event.data.u32];
        char bytes[64];
        const std::size_t got = slot.client.receive(bytes, sizeof bytes);
        if (got == 0 || slot.reader.read({bytes, got}) == 0) continue;
        note_latency(window, slot.due_ns);
        slot.client.reset();
        free_slots.push_back(event.data.u32);
        ++window.operations;
        --busy;
        heard_ns = now_ns();
      }
      if (busy == 0) heard_ns = now_ns();
      if (now_ns() - heard_ns > 20'000'000'000) give_up("no login was answered for 20 s");
    }
  }

 private:
  static constexpr std::size_t under_way_max = 4'096;
  struct Slot {
    Client client;
    ReplyReader reader;
    std::uint64_t due_ns = 0;
  };

  Target& target_;
  Options options_;
  std::vector<Slot> slots_;
  std::string hello_;
};

class PingScenario final : public Scenario {
 public:
  PingScenario(Target& target, const Options& options)
      : options_{options},
        tls_{options.tls ? make_tls_context() : nullptr},
        sessions_{open_sessions(target, options.connections == 0 ? 100 : options.connections, tls_.get())},
        next_id_(sessions_.size(), 3),
        begun_ns_(sessions_.size(), 0) {
    for (std::size_t i = 0; i < sessions_.size(); ++i) poller_.add(sessions_[i].client.fd(), static_cast<std::uint32_t>(i));
  }

  void run_window(Window& window) override {
    Budget budget{options_};
    std::uint64_t under_way = 0;
    for (std::size_t i = 0; i < sessions_.size(); ++i) under_way += ping(i, options_.outstanding, budget);
    while (under_way > 0) {
      budget.look_at_clock();
      for (const epoll_event& event : poller_.wait()) {
        const std::size_t i = event.data.u32;
        char bytes[4096];
        const std::size_t got = sessions_[i].client.receive(bytes, sizeof bytes);
        const std::size_t replies = sessions_[i].reader.read({bytes, got});
        if (replies == 0) continue;
        note_latency(window, begun_ns_[i]);
        window.operations += replies;
        under_way -= replies;
        under_way += ping(i, replies, budget);
      }
    }
    for (std::size_t i = 0; i < sessions_.size(); ++i) {
      const auto last_sent = static_cast<std::uint16_t>(next_id_[i] == 1 ? 65'535 : next_id_[i] - 1);
      if (sessions_[i].reader.last_id() != last_sent) give_up("a ping was answered with another id");
    }
  }

 private:
  std::size_t ping(std::size_t i, std::size_t count, Budget& budget) {
    if (!budget.take(count)) return 0;
    frames_.clear();
    for (std::size_t k = 0; k < count; ++k) {
      append_ping(frames_, next_id_[i]);
      next_id_[i] = static_cast<std::uint16_t>(next_id_[i] == 65'535 ? 1 : next_id_[i] + 1);
    }
    begun_ns_[i] = now_ns();
    sessions_[i].client.send(frames_);
    return count;
  }

  Options options_;
  TlsContext tls_;
  std::vector<Session> sessions_;
  std::vector<std::uint16_t> next_id_;
  std::vector<std::uint64_t> begun_ns_;
  Poller poller_;
  std::string frames_;
};

class IngestScenario final : public Scenario {
 public:
  IngestScenario(Target& target, const Options& options)
      : options_{options}, sessions_{open_sessions(target, options.connections == 0 ? 1000 : options.connections, nullptr)} {
    for (std::size_t i = 0; i < sessions_.size(); ++i) poller_.add(sessions_[i].client.fd(), static_cast<std::uint32_t>(i));
  }

  void run_window(Window& window) override {
    Budget budget{options_};
    const std::uint64_t frames_per_sweep = sessions_.size() * options_.frames_per_write;
    while (budget.take(frames_per_sweep)) {
      sweep(false);
      window.operations += frames_per_sweep;
      budget.look_at_clock();
    }
    sweep(true);
    window.operations += frames_per_sweep;
  }

 private:
  /// One write on each session; waits for the pings among them.
  void sweep(bool ping_all) {
    std::size_t pings = 0;
    for (std::size_t i = 0; i < sessions_.size(); ++i) {
      write_frames();
      if (ping_all || i % ping_every == sweep_ % ping_every) {
        append_ping(frames_, 4);
        ++pings;
      }
      sessions_[i].client.send(frames_);
    }
    ++sweep_;
    while (pings > 0) {
      for (const epoll_event& event : poller_.wait()) {
        Session& session = sessions_[event.data.u32];
        char bytes[256];
        const std::size_t got = session.client.receive(bytes, sizeof bytes);
        pings -= session.reader.read({bytes, got});
      }
    }
  }

  void write_frames() {
    frames_.clear();
    for (std::size_t pin = 0; pin < options_.frames_per_write; ++pin) {
      append_virtual_write(frames_, 3, static_cast<unsigned>(pin % 256), 10'000 + value_++ % 90'000);
    }
  }

  static constexpr std::size_t ping_every = 20;
  Options options_;
  std::vector<Session> sessions_;
  Poller poller_;
  std::string frames_;
  std::size_t sweep_ = 0;
  std::uint32_t value_ = 0;
};

class HttpScenario final : public Scenario {
 public:
  HttpScenario(Target& target, const Options& options) : options_{options} {
    const std::size_t count = options.connections == 0 ? 100 : options.connections;
    for (std::size_t i = 0; i < count; ++i) {
      Stream stream;
      stream.client = Client{target.address, nullptr};
      stream.request = "GET /external/api/isHardwareConnected?token=";
      stream.request += target.tokens.next();
      stream.request += " HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";
      poller_.add(stream.client.fd(), static_cast<std::uint32_t>(i));
      streams_.push_back(std::move(stream));
    }
  }

  void run_window(Window& window) override {
    Budget budget{options_};
    std::size_t under_way = 0;
    for (Stream& stream : streams_) under_way += ask(stream, budget) ? 1 : 0;
    while (under_way > 0) {
      budget.look_at_clock();
      for (const epoll_event& event : poller_.wait()) {
        Stream& stream = streams_[event.data.u32];
        char bytes[4096];
        const std::size_t got = stream.client.receive(bytes, sizeof bytes);
        stream.answer.append(bytes, got);
        if (!answered(stream.answer)) continue;
        stream.answer.clear();
        note_latency(window, stream.begun_ns);
        ++window.operations;
        --under_way;
        under_way += ask(stream, budget) ? 1 : 0;
      }
    }
  }

 private:
  struct Stream {
    Client client;
    std::string request;
    std::string answer;
    std::uint64_t begun_ns = 0;
  };

  static bool ask(Stream& stream, Budget& budget) {
    if (!budget.take(1)) return false;
    stream.begun_ns = now_ns();
    stream.client.send(stream.request);
    return true;
  }

  /// Is it a whole answer: 200, `true` or `false`?
  static bool answered(const std::string& answer) {
    const std::size_t head_end = answer.find("\r\n\r\n");
    if (head_end == std::string::npos) return false;
    if (answer.compare(0, 12, "HTTP/1.1 200") != 0) give_up("HTTP answer: " + answer);
    const std::string_view body = std::string_view{answer}.substr(head_end + 4);
    if (body == "true" || body == "false") return true;
    if (body.size() > 5) give_up("HTTP answer: " + answer);
    return false;
  }

  Options options_;
  std::vector<Stream> streams_;
  Poller poller_;
};

}  // namespace

std::unique_ptr<Scenario> make_scenario(std::string_view name, Target& target, const Options& options) {
  Options chosen = options;
  if (name == "login") return std::make_unique<LoginScenario>(target, chosen);
  if (name == "handshake") {
    chosen.tls = true;
    return std::make_unique<LoginScenario>(target, chosen);
  }
  if (name == "paced_login") return std::make_unique<PacedLoginScenario>(target, chosen);
  if (name == "ping") return std::make_unique<PingScenario>(target, chosen);
  if (name == "ingest") return std::make_unique<IngestScenario>(target, chosen);
  if (name == "http") return std::make_unique<HttpScenario>(target, chosen);
  return nullptr;
}

void hold(Target& target, const Options& options) {
  constexpr std::uint64_t settle_ns = 2'500'000'000;  // Longer than anything that is written behind.
  constexpr std::size_t warm_up_logins = 64;
  const ProcessMeter meter{target.pid};
  const TlsContext tls = options.tls ? make_tls_context() : nullptr;
  {
    std::vector<Session> warm_up = open_sessions(target, warm_up_logins, tls.get());
    for (Session& session : warm_up) session.client.close();
  }
  sleep_ns(settle_ns);
  const std::uint64_t user_before = meter.anonymous_bytes();
  const std::uint64_t kernel_before = kernel_socket_bytes();
  const std::size_t count = options.connections == 0 ? 10'000 : options.connections;
  std::vector<Session> first_half = open_sessions(target, count / 2, tls.get());
  sleep_ns(settle_ns);
  const std::uint64_t user_half = meter.anonymous_bytes();
  std::vector<Session> second_half = open_sessions(target, count - count / 2, tls.get());
  sleep_ns(settle_ns);
  const std::uint64_t user_after = meter.anonymous_bytes();
  const std::uint64_t kernel_after = kernel_socket_bytes();
  const auto per = [](std::uint64_t after, std::uint64_t before, std::size_t divisor) {
    return (static_cast<double>(after) - static_cast<double>(before)) / static_cast<double>(divisor);
  };
  std::printf(
      "{\"scenario\":\"hold\",\"target\":\"%s\",\"connections\":%zu,\"user_bytes\":%.1f,\"user_bytes_second_half\":%.1f,"
      "\"kernel_bytes_both_ends\":%.1f,\"server_before_bytes\":%" PRIu64 ",\"server_after_bytes\":%" PRIu64 "}\n",
      target.name.c_str(), count, per(user_after, user_before, count), per(user_after, user_half, count - count / 2),
      per(kernel_after, kernel_before, count), user_before, user_after);
  for (auto* half : {&first_half, &second_half}) {
    for (Session& session : *half) session.client.reset();
  }
}

}  // namespace muster::bench
