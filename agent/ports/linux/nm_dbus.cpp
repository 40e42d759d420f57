// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/linux/nm_dbus.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

namespace muster::agent::linux_port {

namespace {

constexpr const char* nm = "org.freedesktop.NetworkManager";
constexpr const char* nm_path = "/org/freedesktop/NetworkManager";
constexpr const char* nm_device = "org.freedesktop.NetworkManager.Device";
constexpr const char* nm_wireless = "org.freedesktop.NetworkManager.Device.Wireless";
constexpr const char* supplicant = "fi.w1.wpa_supplicant1";
constexpr const char* supplicant_interface = "fi.w1.wpa_supplicant1.Interface";
constexpr const char* dbus_properties = "org.freedesktop.DBus.Properties";
constexpr std::uint64_t answer_timeout_us = 10'000'000;
constexpr std::uint64_t open_timeout_us = 3'000'000;
constexpr int messages_max = 256;  ///< In one turn of the loop.
constexpr std::size_t networks_max = 128;
constexpr std::uint32_t connection_deactivated = 4;  // NMActiveConnectionState

using Properties = std::map<std::string, sdbus::Variant>;
using Object = std::map<std::string, Properties>;
using Objects = std::map<sdbus::ObjectPath, Object>;

/// The property's value, or `otherwise` when it is not there or of another type.
template <typename T>
T get(const Object& object, const char* interface, const char* name, T otherwise = {}) {
  const auto properties = object.find(interface);
  if (properties == object.end()) return otherwise;
  const auto property = properties->second.find(name);
  if (property == properties->second.end() || !property->second.containsValueOfType<T>()) return otherwise;
  return property->second.get<T>();
}

const Object* find(const Objects& objects, const std::string& path) {
  const auto at = objects.find(sdbus::ObjectPath{path});
  return at == objects.end() ? nullptr : &at->second;
}

std::optional<WpaNetwork> read_access_point(const Object& object) {
  constexpr const char* ap = "org.freedesktop.NetworkManager.AccessPoint";
  WpaNetwork network;
  network.ssid = nm_text(get<std::vector<std::uint8_t>>(object, ap, "Ssid"));
  network.frequency_mhz = static_cast<int>(get<std::uint32_t>(object, ap, "Frequency"));
  network.rssi_dbm = nm_rssi_dbm(get<std::uint8_t>(object, ap, "Strength"));
  network.security = nm_security(get<std::uint32_t>(object, ap, "Flags"), get<std::uint32_t>(object, ap, "WpaFlags"),
                                 get<std::uint32_t>(object, ap, "RsnFlags"));
  if (network.ssid.size() > ssid_size_max_bytes || !parse_mac(get<std::string>(object, ap, "HwAddress"), network.bssid))
    return std::nullopt;
  return network;
}

void read_address(const Object& config, NmDevice& device) {
  const auto all = get<std::vector<Properties>>(config, "org.freedesktop.NetworkManager.IP4Config", "AddressData");
  if (all.empty()) return;
  const Object first{{"", all.front()}};
  in_addr address{};
  if (::inet_pton(AF_INET, get<std::string>(first, "", "address").c_str(), &address) != 1) return;
  device.address = ntohl(address.s_addr);
  const std::uint32_t prefix = get<std::uint32_t>(first, "", "prefix");
  device.mask = prefix == 0 || prefix > 32 ? 0 : 0xFFFF'FFFFU << (32 - prefix);
}

/// nullopt: there is no such interface.
std::optional<NmDevice> read_device(const Objects& objects, const std::string& interface) {
  const auto at = std::find_if(objects.begin(), objects.end(), [&](const auto& entry) {
    return get<std::string>(entry.second, nm_device, "Interface") == interface && entry.second.count(nm_wireless) != 0;
  });
  if (at == objects.end()) return std::nullopt;
  NmDevice device;
  device.path = at->first;
  device.state = static_cast<NmState>(get<std::uint32_t>(at->second, nm_device, "State"));
  std::uint8_t mac[6] = {};
  if (parse_mac(get<std::string>(at->second, nm_wireless, "PermHwAddress"), mac) ||
      parse_mac(get<std::string>(at->second, nm_device, "HwAddress"), mac)) {
    std::copy(std::begin(mac), std::end(mac), device.mac.begin());
  }
  for (const sdbus::ObjectPath& path : get<std::vector<sdbus::ObjectPath>>(at->second, nm_wireless, "AccessPoints")) {
    const Object* const object = find(objects, path);
    if (object == nullptr || device.networks.size() >= networks_max) continue;
    if (auto network = read_access_point(*object)) device.networks.push_back(*network);
  }
  if (const Object* const joined = find(objects, get<sdbus::ObjectPath>(at->second, nm_wireless, "ActiveAccessPoint")))
    device.joined = read_access_point(*joined);
  if (const Object* const config = find(objects, get<sdbus::ObjectPath>(at->second, nm_device, "Ip4Config"))) read_address(*config, device);
  if (const Object* const active = find(objects, get<sdbus::ObjectPath>(at->second, nm_device, "ActiveConnection")))
    device.connection = get<sdbus::ObjectPath>(*active, "org.freedesktop.NetworkManager.Connection.Active", "Connection");
  if (device.connection == "/") device.connection.clear();
  return device;
}

std::string dotted(std::uint32_t address) {
  const in_addr in{htonl(address)};
  char text[INET_ADDRSTRLEN] = {};
  ::inet_ntop(AF_INET, &in, text, sizeof text);
  return text;
}

Properties fixed_address(std::uint32_t address, unsigned prefix) {
  std::vector<Properties> addresses{{{"address", sdbus::Variant{dotted(address)}}, {"prefix", sdbus::Variant{std::uint32_t{prefix}}}}};
  return {{"method", sdbus::Variant{std::string{"manual"}}}, {"address-data", sdbus::Variant{addresses}}};
}

Properties ipv4_of(const NmProfile& profile) {
  constexpr std::uint32_t own_address = 0xC0A80401U;
  if (profile.access_point) {
    Properties ipv4 = fixed_address(own_address, 24);
    ipv4["never-default"] = sdbus::Variant{true};
    return ipv4;
  }
  if (profile.fixed) {
    const StaticAddress& fixed = *profile.fixed;
    Properties ipv4 = fixed_address(fixed.address, fixed.mask == 0 ? 24 : nm_prefix(fixed.mask).value_or(24));
    if (fixed.gateway != 0) ipv4["gateway"] = sdbus::Variant{dotted(fixed.gateway)};
    std::vector<std::uint32_t> servers;  // As they lie in memory.
    for (const std::uint32_t server : {fixed.dns, fixed.dns2}) {
      if (server != 0) servers.push_back(htonl(server));
    }
    ipv4["dns"] = sdbus::Variant{servers};
    return ipv4;
  }
  Properties ipv4{{"method", sdbus::Variant{std::string{"auto"}}},
                  {"dhcp-timeout", sdbus::Variant{static_cast<std::int32_t>(profile.address_timeout_s)}},
                  {"may-fail", sdbus::Variant{false}}};
  if (profile.local_only) {
    for (const char* const name : {"never-default", "ignore-auto-dns", "ignore-auto-routes"}) ipv4[name] = sdbus::Variant{true};
  }
  return ipv4;
}

Object settings_of(const NmProfile& profile) {
  constexpr int frequency_5_ghz = 5000;
  Object settings;
  settings["connection"] = {{"id", sdbus::Variant{profile.name}},
                            {"type", sdbus::Variant{std::string{"802-11-wireless"}}},
                            {"interface-name", sdbus::Variant{profile.interface}},
                            {"autoconnect", sdbus::Variant{false}}};
  Properties& wireless = settings["802-11-wireless"];
  wireless["ssid"] = sdbus::Variant{nm_bytes(profile.ssid)};
  wireless["mode"] = sdbus::Variant{std::string{profile.access_point ? "ap" : "infrastructure"}};
  if (profile.access_point) {
    wireless["band"] = sdbus::Variant{std::string{profile.frequency_mhz < frequency_5_ghz ? "bg" : "a"}};
    wireless["channel"] = sdbus::Variant{static_cast<std::uint32_t>(channel_of(profile.frequency_mhz))};
  } else {
    wireless["hidden"] = sdbus::Variant{profile.hidden};
  }
  if (!profile.key_management.empty()) {
    Properties& security = settings["802-11-wireless-security"];
    security["key-mgmt"] = sdbus::Variant{profile.key_management};
    if (!profile.key.empty()) security["psk"] = sdbus::Variant{profile.key};
  }
  settings["ipv4"] = ipv4_of(profile);
  settings["ipv6"] = {{"method", sdbus::Variant{std::string{profile.access_point || profile.local_only ? "disabled" : "auto"}}}};
  return settings;
}

std::string sentence(const sdbus::Error& error) { return error.getMessage().empty() ? error.getName() : error.getMessage(); }

}  // namespace

std::string NmDbus::open(Listener& listener, const std::string& interface, NmDevice& device) {
  listener_ = &listener;
  if (std::string why = connect(); !why.empty()) return why;
  try {
    sdbus::MethodCall call = begin({nm, "/org/freedesktop", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"});
    sdbus::MethodReply reply = peers_.at({nm, "/org/freedesktop"}).proxy->callMethod(call, open_timeout_us);
    Objects objects;
    reply >> objects;
    if (auto there = read_device(objects, interface)) {
      device = *there;
      return {};
    }
  } catch (const sdbus::Error& error) {
    close();
    return "NetworkManager does not answer: " + sentence(error);
  }
  close();
  return "NetworkManager knows no Wi-Fi card " + interface + ".";
}

void NmDbus::close() {
  matches_.clear();
  peers_.clear();
  later_.clear();
  connection_.reset();  // What was activated for this connection of the bus ends with it.
}

std::string NmDbus::connect() {
  try {
    connection_ = sdbus::createSystemBusConnection();
    subscribe();
    return {};
  } catch (const sdbus::Error& error) {
    close();
    return "The system's D-Bus cannot be reached: " + sentence(error);
  }
}

void NmDbus::on_signal(const std::string& match, std::function<void(sdbus::Message& message)> take) {
  matches_.push_back(connection_->addMatch("type='signal'," + match, [take = std::move(take)](sdbus::Message& message) {
    try {
      take(message);
    } catch (const sdbus::Error&) {
      // Not of the kind that was expected: it says nothing.
    }
  }));
}

void NmDbus::subscribe() {
  const std::string of_nm = std::string{"sender='"} + nm + "',";
  on_signal(of_nm + "interface='" + nm_device + "',member='StateChanged'", [this](sdbus::Message& message) {
    std::uint32_t now = 0, before = 0, reason = 0;
    message >> now >> before >> reason;
    listener_->on_device_state(message.getPath(), static_cast<NmState>(now), reason);
  });
  on_signal(of_nm + "interface='org.freedesktop.NetworkManager.Connection.Active',member='StateChanged'", [this](sdbus::Message& message) {
    std::uint32_t state = 0;
    message >> state;
    if (state == connection_deactivated) listener_->on_connection_ended(message.getPath());
  });
  on_signal(of_nm + "interface='" + dbus_properties + "',member='PropertiesChanged',arg0='" + nm_wireless + "'",
            [this](sdbus::Message& message) {
              std::string interface;
              Properties changed;
              message >> interface >> changed;
              if (changed.count("LastScan") != 0) listener_->on_scan_done(message.getPath());
            });
  on_signal(std::string{"sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='"} + nm + "'", [this](sdbus::Message& message) {
    std::string name, before, after;
    message >> name >> before >> after;
    if (after.empty()) listener_->on_gone();
  });
  const std::string of_supplicant = std::string{"sender='"} + supplicant + "',";
  for (const bool present : {true, false}) {
    const std::string member = present ? "StaAuthorized" : "StaDeauthorized";
    on_signal(of_supplicant + "interface='" + supplicant_interface + "',member='" + member + "'", [this, present](sdbus::Message& message) {
      std::string mac;
      message >> mac;
      if (message.getPath() == access_point_path_) listener_->on_phone(mac, present);
    });
  }
  on_signal(of_supplicant + "interface='" + dbus_properties + "',member='PropertiesChanged',arg0='" + supplicant_interface + "'",
            [this](sdbus::Message& message) {
              std::string interface;
              Properties changed;
              message >> interface >> changed;
              const auto status = changed.find("AuthStatusCode");
              if (message.getPath() == station_path_ && status != changed.end()) listener_->on_refused(status->second.get<std::int32_t>());
            });
}

sdbus::MethodCall NmDbus::begin(const Call& call) {
  Peer& peer = peers_[{call.service, call.path}];
  if (!peer.proxy) peer.proxy = sdbus::createProxy(*connection_, call.service, call.path);
  return peer.proxy->createMethodCall(call.interface, call.method);
}

void NmDbus::send(const Call& call, const std::function<void(sdbus::MethodCall&)>& write, Answer done) {
  if (!connection_) {
    later_.push_back([done] { done(nullptr, "There is no D-Bus."); });
    return;
  }
  try {
    sdbus::MethodCall message = begin(call);
    if (write) write(message);
    Peer& peer = peers_[{call.service, call.path}];
    ++peer.waiting;
    peer.proxy->callMethod(
        message,
        [&peer, done](sdbus::MethodReply& reply, const sdbus::Error* error) {
          --peer.waiting;  // The map's places stay where they are, and this one as long as it waits.
          try {
            if (error != nullptr)
              done(nullptr, sentence(*error));
            else
              done(&reply, {});
          } catch (const sdbus::Error& wrong) {
            done(nullptr, sentence(wrong));
          }
        },
        answer_timeout_us);
  } catch (const sdbus::Error& error) {
    later_.push_back([done, why = sentence(error)] { done(nullptr, why); });
  }
}

void NmDbus::find_device(const std::string& interface, std::function<void(const NmDevice* device)> done) {
  if (!connection_) static_cast<void>(connect());
  send({nm, "/org/freedesktop", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"}, {},
       [interface, done = std::move(done)](sdbus::MethodReply* reply, const std::string&) {
         Objects objects;
         std::optional<NmDevice> device;
         if (reply != nullptr) {
           *reply >> objects;
           device = read_device(objects, interface);
         }
         done(device ? &*device : nullptr);
       });
}

void NmDbus::manage(const std::string& device, bool managed, std::function<void()> done) {
  send(
      {nm, device, dbus_properties, "Set"},
      [&](sdbus::MethodCall& call) { call << std::string{nm_device} << std::string{"Managed"} << sdbus::Variant{managed}; },
      [done = std::move(done)](sdbus::MethodReply*, const std::string&) {
        if (done) done();
      });
}

void NmDbus::request_scan(const std::string& device, const std::string& ssid, std::function<void(bool ok)> done) {
  send(
      {nm, device, nm_wireless, "RequestScan"},
      [&](sdbus::MethodCall& call) {
        Properties options;
        if (!ssid.empty()) options["ssids"] = sdbus::Variant{std::vector<std::vector<std::uint8_t>>{nm_bytes(ssid)}};
        call << options;
      },
      [done = std::move(done)](sdbus::MethodReply* reply, const std::string&) { done(reply != nullptr); });
}

void NmDbus::activate(const std::string& device, const NmProfile& profile,
                      std::function<void(const std::string& connection, const std::string& problem)> done) {
  send(
      {nm, nm_path, nm, "AddAndActivateConnection2"},
      [&](sdbus::MethodCall& call) {
        // In memory, for as long as this connection of the bus lasts.
        const Properties options{{"persist", sdbus::Variant{std::string{"volatile"}}},
                                 {"bind-activation", sdbus::Variant{std::string{"dbus-client"}}}};
        call << settings_of(profile) << sdbus::ObjectPath{device} << sdbus::ObjectPath{"/"} << options;
      },
      [done = std::move(done)](sdbus::MethodReply* reply, const std::string& problem) {
        sdbus::ObjectPath stored, active;
        if (reply != nullptr) *reply >> stored >> active;
        done(active, reply != nullptr ? std::string{} : problem);
      });
}

void NmDbus::activate_kept(const std::string& device, const std::string& kept, std::function<void(const std::string& problem)> done) {
  send(
      {nm, nm_path, nm, "ActivateConnection"},
      [&](sdbus::MethodCall& call) { call << sdbus::ObjectPath{kept} << sdbus::ObjectPath{device} << sdbus::ObjectPath{"/"}; },
      [done = std::move(done)](sdbus::MethodReply*, const std::string& problem) { done(problem); });
}

void NmDbus::deactivate(const std::string& connection, std::function<void()> done) {
  send(
      {nm, nm_path, nm, "DeactivateConnection"}, [&](sdbus::MethodCall& call) { call << sdbus::ObjectPath{connection}; },
      [done = std::move(done)](sdbus::MethodReply*, const std::string&) {
        if (done) done();
      });
}

void NmDbus::watch(const std::string& station, const std::string& access_point) {
  const auto ask = [this](const std::string& interface, std::string& path) {
    path.clear();
    if (interface.empty()) return;
    send(
        {supplicant, "/fi/w1/wpa_supplicant1", supplicant, "GetInterface"}, [&](sdbus::MethodCall& call) { call << interface; },
        [&path](sdbus::MethodReply* reply, const std::string&) {
          sdbus::ObjectPath object;
          if (reply != nullptr) *reply >> object;
          path = object;
        });
  };
  ask(station, station_path_);
  ask(access_point, access_point_path_);
}

void NmDbus::fill(std::vector<pollfd>& waiting) const {
  pollfd one{-1, 0, 0};
  try {
    if (connection_) {
      const sdbus::IConnection::PollData wanted = connection_->getEventLoopPollData();
      one = {wanted.fd, wanted.events, 0};
    }
  } catch (const sdbus::Error&) {
    // It has ended: serve() finds that out.
  }
  waiting.push_back(one);
}

Millis NmDbus::next_deadline(Millis now) const {
  if (!later_.empty()) return now;
  if (!connection_) return never;
  try {
    const int wait_ms = connection_->getEventLoopPollData().getPollTimeout();
    return wait_ms < 0 ? never : now + static_cast<Millis>(wait_ms);
  } catch (const sdbus::Error&) {
    return now;
  }
}

void NmDbus::serve() {
  for (const auto& action : std::exchange(later_, {})) action();
  if (!connection_) return;
  try {
    for (int i = 0; i < messages_max && connection_ && connection_->processPendingRequest(); ++i) {}
  } catch (const sdbus::Error&) {
    lost();
    return;
  }
  for (auto at = peers_.begin(); at != peers_.end();) at = at->second.waiting == 0 ? peers_.erase(at) : std::next(at);
}

/// The bus itself has ended.
void NmDbus::lost() {
  close();
  listener_->on_gone();
}

}  // namespace muster::agent::linux_port
