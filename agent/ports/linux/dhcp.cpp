// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/linux/dhcp.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

namespace muster::agent::linux_port {

namespace {

constexpr std::size_t head_size_bytes = 236;
constexpr std::size_t size_min_bytes = 300;  // Old receivers throw shorter ones away.
constexpr std::uint32_t cookie = 0x63825363;

enum Type : std::uint8_t { discover = 1, offer = 2, request = 3, decline = 4, ack = 5, nak = 6, release = 7, inform = 8 };
enum Option : std::uint8_t {
  option_pad = 0,
  option_mask = 1,
  option_router = 3,
  option_dns = 6,
  option_host_name = 12,
  option_requested = 50,
  option_lease = 51,
  option_type = 53,
  option_server = 54,
  option_wanted = 55,
  option_client = 61,
  option_end = 255,
};

std::uint32_t read_u32(const std::uint8_t* at) {
  return static_cast<std::uint32_t>(at[0]) << 24 | static_cast<std::uint32_t>(at[1]) << 16 | static_cast<std::uint32_t>(at[2]) << 8 | at[3];
}
void write_u32(std::uint8_t* at, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) at[i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
}

struct Message {
  std::uint8_t operation = 0;
  std::uint8_t type = 0;
  std::uint32_t transaction = 0, client = 0, yours = 0;
  std::uint8_t mac[6] = {};
  std::uint32_t requested = 0, server = 0, lease_s = 0, mask = 0, router = 0, dns = 0, dns2 = 0;
};

std::optional<Message> parse(wire::ByteView bytes) {
  const std::uint8_t* const at = bytes.data;
  if (bytes.size < head_size_bytes + 4 || read_u32(at + head_size_bytes) != cookie) return std::nullopt;
  if (at[1] != 1 || at[2] != 6) return std::nullopt;  // Ethernet's addresses.
  Message message;
  message.operation = at[0];
  message.transaction = read_u32(at + 4);
  message.client = read_u32(at + 12);
  message.yours = read_u32(at + 16);
  std::memcpy(message.mac, at + 28, 6);
  for (std::size_t i = head_size_bytes + 4; i < bytes.size && at[i] != option_end;) {
    if (at[i] == option_pad) {
      ++i;
      continue;
    }
    if (i + 1 >= bytes.size || i + 2 + at[i + 1] > bytes.size) break;
    const std::uint8_t option = at[i], size = at[i + 1];
    const std::uint8_t* const value = at + i + 2;
    i += 2U + size;
    if (option == option_type && size == 1) {
      message.type = value[0];
    } else if (size >= 4) {
      switch (option) {
        case option_requested: message.requested = read_u32(value); break;
        case option_server: message.server = read_u32(value); break;
        case option_lease: message.lease_s = read_u32(value); break;
        case option_mask: message.mask = read_u32(value); break;
        case option_router: message.router = read_u32(value); break;
        case option_dns:
          message.dns = read_u32(value);
          message.dns2 = size >= 8 ? read_u32(value + 4) : 0;
          break;
        default: break;
      }
    }
  }
  if (message.type == 0) return std::nullopt;
  return message;
}

class Writer {
 public:
  Writer(std::uint8_t operation, std::uint32_t transaction, const std::uint8_t (&mac)[6], std::uint8_t type) : bytes_(head_size_bytes + 4) {
    bytes_[0] = operation;
    bytes_[1] = 1;
    bytes_[2] = 6;
    write_u32(&bytes_[4], transaction);
    bytes_[10] = 0x80;  // Answers by broadcast: who has no address yet cannot be sent to.
    std::memcpy(&bytes_[28], mac, 6);
    write_u32(&bytes_[head_size_bytes], cookie);
    option(option_type, {type});
  }
  std::uint8_t* head() { return bytes_.data(); }
  void option(Option name, const std::vector<std::uint8_t>& value) {
    bytes_.push_back(name);
    bytes_.push_back(static_cast<std::uint8_t>(value.size()));
    bytes_.insert(bytes_.end(), value.begin(), value.end());
  }
  void option_u32(Option name, std::uint32_t value) {
    std::vector<std::uint8_t> bytes(4);
    write_u32(bytes.data(), value);
    option(name, bytes);
  }
  std::vector<std::uint8_t> take() {
    bytes_.push_back(option_end);
    if (bytes_.size() < size_min_bytes) bytes_.resize(size_min_bytes);
    return std::move(bytes_);
  }

 private:
  std::vector<std::uint8_t> bytes_;
};

bool usable(std::uint32_t address) { return address != 0 && address >> 24 != 127 && address >> 24 < 224 && address >> 24 != 0; }

}  // namespace

void DhcpClient::start(const std::uint8_t (&mac)[6], std::uint32_t transaction, std::string_view host_name, Millis now) {
  std::memcpy(mac_, mac, sizeof mac_);
  host_name_ = std::string{host_name.substr(0, 63)};
  transaction_ = transaction;
  started_ = now_ = now;
  lease_ = offer_ = {};
  expires_ = never;
  tries_ = 0;
  state_ = State::selecting;
  retry(now);
}

void DhcpClient::stop() {
  state_ = State::idle;
  due_ = never;
  message_.clear();
}

void DhcpClient::retry(Millis now) {
  now_ = now;
  if (state_ == State::renewing) {
    send(request);
    constexpr Millis renew_every_ms = 60'000;
    due_ = std::min(now + renew_every_ms, expires_);
    return;
  }
  // The first messages on a network that was joined a moment ago are lost often: the early tries come quickly.
  constexpr Millis first_ms = 700, cap_ms = 4'000;
  if (state_ == State::requesting && tries_ >= 4) {
    state_ = State::selecting;  // The server that offered does not answer any more.
    tries_ = 0;
  }
  send(state_ == State::selecting ? discover : request);
  due_ = now + std::min(first_ms << std::min(tries_, 4U), cap_ms);
  ++tries_;
}

void DhcpClient::send(std::uint8_t type) {
  Writer writer{1, transaction_, mac_, type};
  const auto seconds = static_cast<std::uint32_t>(std::min<Millis>((now_ - started_) / 1000, 0xFFFF));
  writer.head()[8] = static_cast<std::uint8_t>(seconds >> 8);
  writer.head()[9] = static_cast<std::uint8_t>(seconds);
  std::vector<std::uint8_t> client{1};
  client.insert(client.end(), mac_, mac_ + 6);
  writer.option(option_client, client);
  if (type == request) {
    if (state_ == State::renewing) {
      write_u32(writer.head() + 12, lease_.address);
    } else {
      writer.option_u32(option_requested, offer_.address);
      writer.option_u32(option_server, offer_.server);
    }
  }
  if (!host_name_.empty()) writer.option(option_host_name, {host_name_.begin(), host_name_.end()});
  writer.option(option_wanted, {option_mask, option_router, option_dns, option_lease});
  message_ = writer.take();
}

std::vector<std::uint8_t> DhcpClient::take_message() { return std::exchange(message_, {}); }

void DhcpClient::on_message(wire::ByteView bytes, Millis now) {
  now_ = now;
  if (!listening()) return;
  const auto message = parse(bytes);
  if (!message || message->operation != 2 || message->transaction != transaction_ || std::memcmp(message->mac, mac_, 6) != 0) return;
  DhcpLease lease;
  lease.address = message->yours;
  lease.mask = message->mask != 0 ? message->mask : 0xFFFFFF00U;
  lease.gateway = message->router;
  lease.dns = message->dns;
  lease.dns2 = message->dns2;
  lease.server = message->server;
  lease.lease_s = std::max(message->lease_s, lease_min_s);
  if (message->type == offer && state_ == State::selecting) {
    if (!usable(lease.address)) return;
    offer_ = lease;
    state_ = State::requesting;
    tries_ = 0;
    retry(now);
  } else if (message->type == ack && state_ != State::selecting) {
    const bool same = state_ == State::requesting || lease.address == lease_.address;
    if (!usable(lease.address) || !same) return;
    lease_ = lease;
    state_ = State::bound;
    const Millis lasts_ms = Millis{lease.lease_s} * 1000;
    expires_ = lease.lease_s == UINT32_MAX ? never : now + lasts_ms;
    due_ = expires_ == never ? never : now + lasts_ms / 2;
  } else if (message->type == nak && state_ == State::requesting) {
    state_ = State::selecting;
    offer_ = {};
    due_ = now + 500;
  } else if (message->type == nak && state_ == State::renewing) {
    state_ = State::lost;
    due_ = never;
  }
}

void DhcpClient::on_timer(Millis now) {
  if (due_ > now) return;
  if (state_ == State::bound) state_ = State::renewing;
  if (state_ == State::renewing && now >= expires_) {
    state_ = State::lost;
    due_ = never;
    return;
  }
  if (listening()) retry(now);
}

std::size_t DhcpServer::place_for(const std::uint8_t (&mac)[6], Millis now) const noexcept {
  std::size_t best = leases_max;
  for (std::size_t i = 0; i < leases_max; ++i) {
    if (leases_[i].until != 0 && std::memcmp(leases_[i].mac, mac, 6) == 0) return i;
    // Free ones in order, else the one that ran out first.
    if (leases_[i].until <= now && (best == leases_max || leases_[i].until < leases_[best].until)) best = i;
  }
  return best;
}

std::vector<std::uint8_t> DhcpServer::on_message(wire::ByteView bytes, Millis now) {
  const auto message = parse(bytes);
  if (!message || message->operation != 1) return {};
  const std::size_t place = place_for(message->mac, now);
  if (place == leases_max) return {};
  const std::uint32_t address = own_ + 1 + static_cast<std::uint32_t>(place);
  Lease& lease = leases_[place];
  const bool known = lease.until != 0 && std::memcmp(lease.mac, message->mac, 6) == 0;
  std::uint8_t type = 0;
  switch (message->type) {
    case discover:
      type = offer;
      std::memcpy(lease.mac, message->mac, 6);
      lease.until = std::max<Millis>(known ? lease.until : 0, now + 30'000);  // Kept for the request that should follow.
      break;
    case request: {
      if (message->server != 0 && message->server != own_) return {};  // It chose another server.
      const std::uint32_t wanted = message->requested != 0 ? message->requested : message->client;
      type = known && wanted == address ? ack : nak;  // A phone often asks for its address of another day first.
      if (type == ack) lease.until = now + Millis{lease_s} * 1000;
      break;
    }
    case inform: type = ack; break;
    case release:
    case decline:
      if (known) lease.until = message->type == release ? 1 : lease.until;  // 1: it gets the same one again if it can.
      return {};
    default: return {};
  }
  Writer writer{2, message->transaction, message->mac, type};
  writer.option_u32(option_server, own_);
  if (type != nak) {
    if (message->type == inform) {
      write_u32(writer.head() + 12, message->client);
    } else {
      write_u32(writer.head() + 16, address);
      writer.option_u32(option_lease, lease_s);
    }
    write_u32(writer.head() + 20, own_);
    writer.option_u32(option_mask, 0xFFFFFF00U);
    writer.option_u32(option_router, own_);
    writer.option_u32(option_dns, own_);
  }
  return writer.take();
}

}  // namespace muster::agent::linux_port
