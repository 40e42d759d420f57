// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/linux/wpa_system.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/nl80211.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

namespace muster::agent::linux_port {

namespace {

/// Closes itself.
class Socket {
 public:
  Socket(int family, int type, int protocol) : fd_{::socket(family, type | SOCK_CLOEXEC, protocol)} {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  [[nodiscard]] int fd() const noexcept { return fd_; }

 private:
  int fd_;
};

bool name_request(const std::string& interface, ifreq& request) {
  request = {};
  if (interface.empty() || interface.size() >= IFNAMSIZ) return false;
  interface.copy(request.ifr_name, interface.size());
  return true;
}

void put_address(sockaddr& room, std::uint32_t address) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = htonl(address);
  std::memcpy(&room, &in, sizeof in);
}

/// A request to the kernel's generic netlink, and its answer.
class Netlink {
 public:
  Netlink() : socket_{AF_NETLINK, SOCK_RAW, NETLINK_GENERIC} {
    const timeval patience{2, 0};
    if (socket_.fd() >= 0) ::setsockopt(socket_.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  void begin(std::uint16_t family, std::uint8_t command) {
    bytes_.assign(NLMSG_HDRLEN + GENL_HDRLEN, 0);
    family_ = family;
    bytes_[NLMSG_HDRLEN] = command;
    bytes_[NLMSG_HDRLEN + 1] = 1;
  }
  void attribute(std::uint16_t type, const void* value, std::size_t size) {
    const nlattr head{static_cast<std::uint16_t>(NLA_HDRLEN + size), type};
    const auto* const h = reinterpret_cast<const std::uint8_t*>(&head);
    bytes_.insert(bytes_.end(), h, h + sizeof head);
    const auto* const v = static_cast<const std::uint8_t*>(value);
    bytes_.insert(bytes_.end(), v, v + size);
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
  }
  /// 0, or the error number. Calls `take` for every attribute of the answer.
  template <typename Take>
  int run(Take take) {
    nlmsghdr head{};
    head.nlmsg_len = static_cast<std::uint32_t>(bytes_.size());
    head.nlmsg_type = family_;
    head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    head.nlmsg_seq = ++sequence_;
    std::memcpy(bytes_.data(), &head, sizeof head);
    if (::send(socket_.fd(), bytes_.data(), bytes_.size(), 0) < 0) return errno;
    for (;;) {
      alignas(nlmsghdr) std::uint8_t room[8192];
      const ssize_t got = ::recv(socket_.fd(), room, sizeof room, 0);
      if (got < 0) return errno;
      std::size_t left = static_cast<std::size_t>(got);
      for (const std::uint8_t* at = room; left >= sizeof(nlmsghdr);) {
        nlmsghdr answer;
        std::memcpy(&answer, at, sizeof answer);
        if (answer.nlmsg_len < sizeof answer || answer.nlmsg_len > left) break;
        if (answer.nlmsg_seq == sequence_) {
          if (answer.nlmsg_type == NLMSG_ERROR) {
            int error = 0;
            if (answer.nlmsg_len >= NLMSG_HDRLEN + sizeof error) std::memcpy(&error, at + NLMSG_HDRLEN, sizeof error);
            return -error;
          }
          for (std::size_t i = NLMSG_HDRLEN + GENL_HDRLEN; i + NLA_HDRLEN <= answer.nlmsg_len;) {
            nlattr attribute;
            std::memcpy(&attribute, at + i, sizeof attribute);
            if (attribute.nla_len < NLA_HDRLEN || i + attribute.nla_len > answer.nlmsg_len) break;
            take(attribute.nla_type, at + i + NLA_HDRLEN, attribute.nla_len - NLA_HDRLEN);
            i += NLA_ALIGN(attribute.nla_len);
          }
        }
        const std::size_t step = std::min<std::size_t>(NLMSG_ALIGN(answer.nlmsg_len), left);
        at += step;
        left -= step;
      }
    }
  }
  int run() {
    return run([](std::uint16_t, const std::uint8_t*, std::size_t) {});
  }
  /// 0: the kernel has no Wi-Fi.
  std::uint16_t wifi_family() {
    begin(GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
    attribute(CTRL_ATTR_FAMILY_NAME, NL80211_GENL_NAME, sizeof NL80211_GENL_NAME);
    std::uint16_t family = 0;
    const int error = run([&](std::uint16_t type, const std::uint8_t* value, std::size_t size) {
      if (type == CTRL_ATTR_FAMILY_ID && size == sizeof family) std::memcpy(&family, value, sizeof family);
    });
    return error == 0 ? family : 0;
  }

 private:
  Socket socket_;
  std::vector<std::uint8_t> bytes_;
  std::uint32_t sequence_ = 0;
  std::uint16_t family_ = 0;
};

std::uint16_t checksum(const std::uint8_t* bytes, std::size_t size, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i + 1 < size; i += 2) sum += static_cast<std::uint32_t>(bytes[i] << 8 | bytes[i + 1]);
  if (size % 2 != 0) sum += static_cast<std::uint32_t>(bytes[size - 1] << 8);
  while (sum >> 16 != 0) sum = (sum & 0xFFFF) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

constexpr std::size_t ip_head_size_bytes = 20, udp_head_size_bytes = 8;

}  // namespace

wire::ByteView dhcp_in_packet(wire::ByteView packet) noexcept {
  const std::uint8_t* const at = packet.data;
  if (packet.size < ip_head_size_bytes || at[0] >> 4 != 4 || at[9] != IPPROTO_UDP) return {};
  const std::size_t head = static_cast<std::size_t>(at[0] & 15) * 4;
  const std::size_t total = static_cast<std::size_t>(at[2] << 8 | at[3]);
  const bool fragment = (at[6] & 0x3F) != 0 || at[7] != 0;
  if (head < ip_head_size_bytes || total > packet.size || total < head + udp_head_size_bytes || fragment) return {};
  const std::uint8_t* const udp = at + head;
  const std::size_t size = static_cast<std::size_t>(udp[4] << 8 | udp[5]);
  if ((udp[2] << 8 | udp[3]) != 68 || size < udp_head_size_bytes || size > total - head) return {};
  // The checksum of UDP is not looked at: a sender on the same machine leaves it to a card that does not exist.
  return {udp + udp_head_size_bytes, size - udp_head_size_bytes};
}

std::vector<std::uint8_t> packet_with_dhcp(const std::vector<std::uint8_t>& message) {
  const std::size_t udp_size = udp_head_size_bytes + message.size();
  std::vector<std::uint8_t> packet(ip_head_size_bytes + udp_size);
  std::uint8_t* const ip = packet.data();
  ip[0] = 0x45;
  ip[2] = static_cast<std::uint8_t>(packet.size() >> 8);
  ip[3] = static_cast<std::uint8_t>(packet.size());
  ip[8] = 64;
  ip[9] = IPPROTO_UDP;
  std::memset(ip + 16, 0xFF, 4);  // From 0.0.0.0 to everybody.
  const std::uint16_t ip_sum = checksum(ip, ip_head_size_bytes);
  ip[10] = static_cast<std::uint8_t>(ip_sum >> 8);
  ip[11] = static_cast<std::uint8_t>(ip_sum);
  std::uint8_t* const udp = ip + ip_head_size_bytes;
  udp[1] = 68;
  udp[3] = 67;
  udp[4] = static_cast<std::uint8_t>(udp_size >> 8);
  udp[5] = static_cast<std::uint8_t>(udp_size);
  std::memcpy(udp + udp_head_size_bytes, message.data(), message.size());
  const std::uint32_t pseudo = 0xFFFFU + 0xFFFFU + IPPROTO_UDP + static_cast<std::uint32_t>(udp_size);
  std::uint16_t udp_sum = checksum(udp, udp_size, pseudo);
  if (udp_sum == 0) udp_sum = 0xFFFF;
  udp[6] = static_cast<std::uint8_t>(udp_sum >> 8);
  udp[7] = static_cast<std::uint8_t>(udp_sum);
  return packet;
}

WpaMachine::~WpaMachine() { stop_supplicant(); }

bool WpaMachine::get_mac(const std::string& interface, std::uint8_t (&mac)[6]) {
  ifreq request;
  const Socket socket{AF_INET, SOCK_DGRAM, 0};
  if (!name_request(interface, request) || ::ioctl(socket.fd(), SIOCGIFHWADDR, &request) != 0) return false;
  std::memcpy(mac, request.ifr_hwaddr.sa_data, 6);
  return true;
}

std::string WpaMachine::start_supplicant(const std::string& program, const std::string& socket, const std::string& log) {
  stop_supplicant();
  const pid_t parent = ::getpid();
  // Opened here, because little may be done between fork and exec.
  const int out = ::open(log.empty() ? "/dev/null" : log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const int in = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const char* const arguments[] = {program.c_str(), "-g", socket.c_str(), "-t", nullptr};
  const pid_t child = ::fork();
  if (child < 0) return "Cannot start a process for wpa_supplicant.";
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(127);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::setpgid(0, 0);  // Ctrl-C is for this program; the child ends when it is told.
    ::dup2(in, 0);
    ::dup2(out, 1);
    ::dup2(out, 2);
    ::execvp(arguments[0], const_cast<char* const*>(arguments));
    ::_exit(127);
  }
  ::close(out);
  ::close(in);
  supplicant_ = child;
  return {};
}

bool WpaMachine::supplicant_running() {
  if (supplicant_ <= 0) return false;
  if (::waitpid(supplicant_, nullptr, WNOHANG) == 0) return true;
  supplicant_ = -1;
  return false;
}

void WpaMachine::stop_supplicant() {
  if (!supplicant_running()) return;
  ::kill(supplicant_, SIGTERM);
  constexpr int tries_max = 150;
  constexpr unsigned step_us = 20'000;
  for (int i = 0; i < tries_max; ++i) {
    if (!supplicant_running()) return;
    ::usleep(step_us);
  }
  ::kill(supplicant_, SIGKILL);
  ::waitpid(supplicant_, nullptr, 0);
  supplicant_ = -1;
}

std::string WpaMachine::add_ap_interface(const std::string& station, const std::string& name) {
  const std::uint32_t index = ::if_nametoindex(station.c_str());
  std::uint8_t mac[6];
  if (index == 0 || !get_mac(station, mac)) return "There is no network interface " + station + ".";
  remove_interface(name);  // Left over from a run that was killed.
  Netlink netlink;
  const std::uint16_t family = netlink.wifi_family();
  if (family == 0) return "This machine's kernel has no Wi-Fi.";
  // Two interfaces on one radio need different hardware addresses. Locally administered, so it can be nobody else's.
  mac[0] = static_cast<std::uint8_t>((mac[0] & 0x02) != 0 ? mac[0] ^ 0x04 : mac[0] | 0x02);
  const std::uint32_t type = NL80211_IFTYPE_AP;
  netlink.begin(family, NL80211_CMD_NEW_INTERFACE);
  netlink.attribute(NL80211_ATTR_IFINDEX, &index, sizeof index);
  netlink.attribute(NL80211_ATTR_IFNAME, name.c_str(), name.size() + 1);
  netlink.attribute(NL80211_ATTR_IFTYPE, &type, sizeof type);
  netlink.attribute(NL80211_ATTR_MAC, mac, sizeof mac);
  if (const int error = netlink.run(); error != 0) {
    return "The radio of " + station + " cannot be an access point beside its other work: " + std::strerror(error) + ".";
  }
  // A driver may take no notice of the wish.
  std::uint8_t given[6], used[6];
  if (get_mac(name, given) && get_mac(station, used) && std::memcmp(given, used, 6) == 0) {
    ifreq request;
    const Socket socket{AF_INET, SOCK_DGRAM, 0};
    if (name_request(name, request)) {
      request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
      std::memcpy(request.ifr_hwaddr.sa_data, mac, 6);
      ::ioctl(socket.fd(), SIOCSIFHWADDR, &request);
    }
  }
  return {};
}

void WpaMachine::remove_interface(const std::string& name) {
  const std::uint32_t index = ::if_nametoindex(name.c_str());
  if (index == 0) return;
  Netlink netlink;
  const std::uint16_t family = netlink.wifi_family();
  if (family == 0) return;
  netlink.begin(family, NL80211_CMD_DEL_INTERFACE);
  netlink.attribute(NL80211_ATTR_IFINDEX, &index, sizeof index);
  static_cast<void>(netlink.run());
}

namespace {

/// Calls `take(interface, gateway)` for each default route.
template <typename Take>
void for_default_routes(Take take) {
  std::ifstream in{"/proc/net/route"};
  std::string line;
  std::getline(in, line);  // The head.
  constexpr int routes_max = 10'000;
  for (int i = 0; i < routes_max && std::getline(in, line); ++i) {
    char name[IFNAMSIZ + 1] = {};
    unsigned destination = 0, gateway = 0, flags = 0;
    static_assert(IFNAMSIZ == 16);
    if (std::sscanf(line.c_str(), "%16s %x %x %x", name, &destination, &gateway, &flags) != 4) continue;
    if (destination == 0 && (flags & RTF_UP) != 0) take(std::string{name}, ntohl(gateway));
  }
}

std::uint32_t take_address(const sockaddr& room) {
  sockaddr_in in;
  std::memcpy(&in, &room, sizeof in);
  return ntohl(in.sin_addr.s_addr);
}

}  // namespace

void WpaMachine::get_address(const std::string& interface, std::uint32_t& address, std::uint32_t& mask, std::uint32_t& gateway) {
  address = mask = gateway = 0;
  ifreq request;
  const Socket socket{AF_INET, SOCK_DGRAM, 0};
  if (!name_request(interface, request) || ::ioctl(socket.fd(), SIOCGIFADDR, &request) != 0) return;
  address = take_address(request.ifr_addr);
  if (::ioctl(socket.fd(), SIOCGIFNETMASK, &request) == 0) mask = take_address(request.ifr_netmask);
  for_default_routes([&](const std::string& name, std::uint32_t through) {
    if (name == interface && gateway == 0) gateway = through;
  });
}

bool WpaMachine::has_other_way(const std::string& interface) {
  bool found = false;
  for_default_routes([&](const std::string& name, std::uint32_t) { found = found || name != interface; });
  return found;
}

bool WpaMachine::set_address(const std::string& interface, std::uint32_t address, std::uint32_t mask, std::uint32_t gateway) {
  ifreq request;
  const Socket socket{AF_INET, SOCK_DGRAM, 0};
  if (!name_request(interface, request)) return false;
  put_address(request.ifr_addr, address);
  if (::ioctl(socket.fd(), SIOCSIFADDR, &request) != 0) return false;
  put_address(request.ifr_netmask, mask);
  if (::ioctl(socket.fd(), SIOCSIFNETMASK, &request) != 0) return false;
  if (!name_request(interface, request) || ::ioctl(socket.fd(), SIOCGIFFLAGS, &request) != 0) return false;
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  if (::ioctl(socket.fd(), SIOCSIFFLAGS, &request) != 0) return false;
  if (gateway == 0) return true;
  rtentry route{};
  std::string device = interface;
  put_address(route.rt_dst, 0);
  put_address(route.rt_genmask, 0);
  put_address(route.rt_gateway, gateway);
  route.rt_flags = RTF_UP | RTF_GATEWAY;
  route.rt_dev = device.data();
  return ::ioctl(socket.fd(), SIOCADDRT, &route) == 0 || errno == EEXIST;
}

void WpaMachine::clear_address(const std::string& interface) {
  ifreq request;
  const Socket socket{AF_INET, SOCK_DGRAM, 0};
  if (!name_request(interface, request)) return;
  put_address(request.ifr_addr, 0);
  ::ioctl(socket.fd(), SIOCSIFADDR, &request);  // Its routes go with it.
}

int WpaMachine::open_dhcp_client(const std::string& interface) {
  // A packet socket, because the kernel hands an address-less interface's IP packets to nobody when it filters by route, as Debian does.
  const int fd = ::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_IP);
  address.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
  if (address.sll_ifindex == 0 || ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ::close(fd);
    return -1;
  }
  return fd;
}

int WpaMachine::open_dhcp_server(const std::string& interface, std::uint32_t own_address) {
  static_cast<void>(own_address);
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  const int on = 1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(67);
  if (::setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface.c_str(), static_cast<socklen_t>(interface.size() + 1)) != 0 ||
      ::setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on) != 0 || ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ::close(fd);
    return -1;
  }
  return fd;
}

void WpaMachine::close_descriptor(int fd) {
  if (fd >= 0) ::close(fd);
}

void WpaMachine::send_dhcp_client(int fd, const std::string& interface, const std::vector<std::uint8_t>& message) {
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_protocol = htons(ETH_P_IP);
  to.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
  to.sll_halen = 6;
  std::memset(to.sll_addr, 0xFF, 6);
  const std::vector<std::uint8_t> packet = packet_with_dhcp(message);
  ::sendto(fd, packet.data(), packet.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&to), sizeof to);  // A lost one is sent again.
}

void WpaMachine::send_dhcp_server(int fd, const std::vector<std::uint8_t>& message) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(68);
  to.sin_addr.s_addr = INADDR_BROADCAST;
  ::sendto(fd, message.data(), message.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&to), sizeof to);
}

bool WpaMachine::receive_dhcp_client(int fd, std::vector<std::uint8_t>& message) {
  std::uint8_t room[2048];
  const ssize_t size = ::recv(fd, room, sizeof room, 0);
  if (size < 0) return false;
  const wire::ByteView payload = dhcp_in_packet({room, static_cast<std::size_t>(size)});
  message.assign(payload.begin(), payload.end());
  return true;
}

bool WpaMachine::receive_dhcp_server(int fd, std::vector<std::uint8_t>& message) {
  std::uint8_t room[2048];
  const ssize_t size = ::recv(fd, room, sizeof room, 0);
  if (size < 0) return false;
  message.assign(room, room + size);
  return true;
}

}  // namespace muster::agent::linux_port
