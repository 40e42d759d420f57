// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sdbus-c++/sdbus-c++.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/ports/linux/nm_client.hpp"

namespace muster::agent::linux_port {

/// NetworkManager on the system bus (version 1.20 or later). Needs to be root, or what polkit allows. No thread: the bus's descriptor is
/// in the program's loop.
class NmDbus final : public NmClient {
 public:
  NmDbus() = default;
  ~NmDbus() override { close(); }
  NmDbus(const NmDbus&) = delete;
  NmDbus& operator=(const NmDbus&) = delete;

  [[nodiscard]] std::string open(Listener& listener, const std::string& interface, NmDevice& device) override;
  void close() override;
  void find_device(const std::string& interface, std::function<void(const NmDevice* device)> done) override;
  void manage(const std::string& device, bool managed, std::function<void()> done) override;
  void request_scan(const std::string& device, const std::string& ssid, std::function<void(bool ok)> done) override;
  void activate(const std::string& device, const NmProfile& profile,
                std::function<void(const std::string& connection, const std::string& problem)> done) override;
  void activate_kept(const std::string& device, const std::string& kept, std::function<void(const std::string& problem)> done) override;
  void deactivate(const std::string& connection, std::function<void()> done) override;
  void watch(const std::string& station, const std::string& access_point) override;
  void fill(std::vector<pollfd>& waiting) const override;
  [[nodiscard]] Millis next_deadline(Millis now) const override;
  void serve() override;

 private:
  /// `reply` is nullptr when there is a problem.
  using Answer = std::function<void(sdbus::MethodReply* reply, const std::string& problem)>;
  struct Peer {
    std::unique_ptr<sdbus::IProxy> proxy;
    int waiting = 0;  ///< Answers that are to come.
  };
  struct Call {
    const char* service;
    std::string path;
    const char* interface;
    const char* method;
  };

  [[nodiscard]] std::string connect();
  void subscribe();
  void on_signal(const std::string& match, std::function<void(sdbus::Message& message)> take);
  [[nodiscard]] sdbus::MethodCall begin(const Call& call);
  void send(const Call& call, const std::function<void(sdbus::MethodCall&)>& write, Answer done);
  void lost();

  Listener* listener_ = nullptr;
  std::unique_ptr<sdbus::IConnection> connection_;
  std::vector<sdbus::Slot> matches_;
  std::map<std::pair<std::string, std::string>, Peer> peers_;  ///< By service and path.
  std::vector<std::function<void()>> later_;
  std::string station_path_, access_point_path_;  ///< Of wpa_supplicant's objects.
};

}  // namespace muster::agent::linux_port
