// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/ports/linux/nm_client.hpp"

/// What tests of radios by NetworkManager have in common.
namespace muster::agent::linux_port::test {

/// A NetworkManager that takes everything, and says on its own what a test tells it to.
class FakeNm final : public NmClient {
 public:
  NmDevice station{"/station", NmState::disconnected, {2, 0, 0, 0, 0, 9}, {}, 0, 0, {}};
  std::optional<NmDevice> access_point = NmDevice{"/ap", NmState::disconnected, {}, {}, 0, 0, {}};
  std::string activate_problem;
  bool scan_ok = true;
  std::vector<std::string> log;
  std::vector<NmProfile> profiles;
  Listener* listener = nullptr;

  std::string open(Listener& heard, const std::string& interface, NmDevice& device) override {
    listener = &heard;
    device = station;
    return interface == "wl0" ? "" : "no such card";
  }
  void close() override { log.push_back("close"); }
  void find_device(const std::string& interface, std::function<void(const NmDevice*)> done) override {
    later_.push_back([this, interface, done] {
      const bool ap = interface == "muster-ap";
      if (ap)
        done(access_point ? &*access_point : nullptr);
      else
        done(&station);
    });
  }
  void manage(const std::string& device, bool managed, std::function<void()> done) override {
    log.push_back((managed ? "manage " : "leave ") + device);
    if (access_point) access_point->state = managed ? NmState::disconnected : NmState::unmanaged;
    if (done) later_.push_back(done);
  }
  void request_scan(const std::string& device, const std::string& ssid, std::function<void(bool)> done) override {
    log.push_back("scan " + device + " " + ssid);
    later_.push_back([this, done] { done(scan_ok); });
  }
  void activate(const std::string& device, const NmProfile& profile,
                std::function<void(const std::string&, const std::string&)> done) override {
    log.push_back("activate " + device + " " + profile.ssid);
    profiles.push_back(profile);
    const std::string connection = activate_problem.empty() ? "/connection" + std::to_string(profiles.size()) : "";
    later_.push_back([this, connection, done] { done(connection, activate_problem); });
  }
  void activate_kept(const std::string& device, const std::string& kept, std::function<void(const std::string&)> done) override {
    log.push_back("activate " + device + " " + kept);
    later_.push_back([this, done] { done(activate_problem); });
  }
  void deactivate(const std::string& connection, std::function<void()> done) override {
    log.push_back("deactivate " + connection);
    if (done) later_.push_back(done);
  }
  void watch(const std::string&, const std::string&) override {}
  void fill(std::vector<pollfd>& waiting) const override { waiting.push_back({-1, 0, 0}); }
  Millis next_deadline(Millis now) const override { return later_.empty() ? never : now; }
  void serve() override {
    while (!later_.empty()) {
      for (const auto& action : std::exchange(later_, {})) action();
    }
  }

 private:
  std::vector<std::function<void()>> later_;
};

inline WpaNetwork network(const char* ssid, int frequency_mhz, NetworkSecurity security) {
  WpaNetwork one;
  one.ssid = ssid;
  one.frequency_mhz = frequency_mhz;
  one.rssi_dbm = -50;
  one.security = security;
  return one;
}

}  // namespace muster::agent::linux_port::test
