// SPDX-License-Identifier: Apache-2.0
//
// What a device route asks before its handler runs (is this user active, what may it do with this device), without sockets: random users
// and devices, in a small world and in a large one with the same depth, in turn. One JSON line: nanoseconds and allocations per check.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <vector>

#include "bench/process_meter.hpp"
#include "cloud/base/random.hpp"
#include "cloud/domain/directory.hpp"

namespace {

std::atomic<std::uint64_t> allocations{0};

}  // namespace

void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* const room = std::malloc(size != 0 ? size : 1)) return room;
  throw std::bad_alloc{};
}
void operator delete(void* room) noexcept { std::free(room); }
void operator delete(void* room, std::size_t) noexcept { std::free(room); }

namespace {

using namespace muster;
using namespace muster::domain;

constexpr std::size_t checks = 200'000, windows = 21;
constexpr std::int64_t users_max = 1'000;

/// Root, groups beneath it, groups beneath those, and the rest on the fourth level; devices spread evenly over all.
struct World {
  World(std::int64_t organizations, std::int32_t devices) {
    directory.put_role({admin_role, "Admin", true, builtin_role_permissions(admin_role)});
    directory.put_role({staff_role, "Staff", true, builtin_role_permissions(staff_role)});
    for (std::int64_t id = 1; id <= organizations; ++id) {
      Organization each;
      each.id = OrganizationId{static_cast<OrganizationId::rep>(id)};
      // The second level has 2..4, the third 5..9, and everybody else is beneath one of the third.
      const std::int64_t parent = id == 1 ? 0 : id <= 4 ? 1 : id <= 9 ? 2 + (id - 5) % 3 : 5 + (id - 10) % 5;
      each.parent_id = OrganizationId{static_cast<OrganizationId::rep>(parent)};
      directory.put_organization(each);
    }
    users = std::min(organizations, users_max);
    for (std::int64_t id = 1; id <= users; ++id) {
      User each;
      each.id = UserId{static_cast<UserId::rep>(id)};
      // Half of them in the root, where the path to the device is longest.
      const std::int64_t home = id % 2 == 0 ? 1 : 1 + id * 7 % organizations;
      each.organization_id = OrganizationId{static_cast<OrganizationId::rep>(home)};
      each.role_id = id % 3 == 0 ? staff_role : admin_role;
      directory.put_user(each);
    }
    directory.reserve_devices(static_cast<std::size_t>(devices));
    for (std::int32_t id = 1; id <= devices; ++id) {
      const std::int64_t place = 1 + id * std::int64_t{2'654'435'761} % organizations;
      directory.put_device({DeviceId{id}, OrganizationId{static_cast<OrganizationId::rep>(place)}, TemplateId{1}, UserId{}});
    }
    for (std::size_t i = 0; i < checks; ++i) {
      asked.push_back({UserId{static_cast<UserId::rep>(1 + random.below(static_cast<std::uint64_t>(users)))},
                       DeviceId{static_cast<std::int32_t>(1 + random.below(static_cast<std::uint64_t>(devices)))}});
    }
  }

  /// Mean nanoseconds of one check.
  double run() {
    const std::uint64_t begin = bench::own_cpu_ns();
    for (const auto& [user, device] : asked) {
      const auto caller = directory.caller(user);
      if (caller) seen += directory.device_access(*caller, device).see ? 1 : 0;
    }
    return static_cast<double>(bench::own_cpu_ns() - begin) / static_cast<double>(checks);
  }

  struct Question {
    UserId user;
    DeviceId device;
  };
  SeededRandom random{1};
  Directory directory;
  std::int64_t users = 0;
  std::vector<Question> asked;
  std::uint64_t seen = 0;
};

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main() {
  World small{10, 100}, large{100'000, 1'000'000};
  std::vector<double> small_ns, large_ns;
  small.run();
  large.run();
  const std::uint64_t before = allocations.load();
  small_ns.reserve(windows);
  large_ns.reserve(windows);
  const std::uint64_t reserved = allocations.load() - before;
  for (std::size_t i = 0; i < windows; ++i) {
    small_ns.push_back(small.run());
    large_ns.push_back(large.run());
  }
  const std::uint64_t made = allocations.load() - before - reserved;
  if (small.seen == 0 || large.seen == 0) {
    std::fprintf(stderr, "permission_check: nobody may see anything\n");
    return 1;
  }
  std::printf("{\"small_ns\":%.1f,\"large_ns\":%.1f,\"allocations\":%llu}\n", median(small_ns), median(large_ns),
              static_cast<unsigned long long>(made));
  return 0;
}
