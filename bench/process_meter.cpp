// SPDX-License-Identifier: Apache-2.0
#include "bench/process_meter.hpp"

#include <dirent.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>

namespace muster::bench {
namespace {

struct FileCloser {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, FileCloser>;

/// The number after `key` in a file of "key  number kB" lines, in bytes; 0 when it is not there.
std::uint64_t read_kilobytes(const std::string& path, const char* key) {
  const File file{std::fopen(path.c_str(), "re")};
  if (!file) return 0;
  char line[256];
  const std::size_t key_size = std::strlen(key);
  while (std::fgets(line, sizeof line, file.get()) != nullptr) {
    if (std::strncmp(line, key, key_size) == 0) return std::strtoull(line + key_size, nullptr, 10) * 1024;
  }
  return 0;
}

std::string name_of(const std::string& task) {
  char name[32] = "";
  const File file{std::fopen((task + "/comm").c_str(), "re")};
  return file && std::fgets(name, sizeof name, file.get()) != nullptr ? name : "";
}

std::uint64_t clock_ns(clockid_t clock) noexcept {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(time.tv_nsec);
}

}  // namespace

std::uint64_t ProcessMeter::cpu_ns(std::string_view threads) const {
  const std::string tasks = "/proc/" + std::to_string(pid_) + "/task";
  DIR* directory = opendir(tasks.c_str());
  if (directory == nullptr) return 0;
  std::uint64_t sum = 0;
  while (const dirent* entry = readdir(directory)) {
    if (entry->d_name[0] == '.') continue;
    const std::string task = tasks + "/" + entry->d_name;
    if (!threads.empty() && !name_of(task).starts_with(threads)) continue;
    const File file{std::fopen((task + "/schedstat").c_str(), "re")};
    unsigned long long on_cpu_ns = 0;
    if (file && std::fscanf(file.get(), "%llu", &on_cpu_ns) == 1) sum += on_cpu_ns;
  }
  closedir(directory);
  return sum;
}

std::uint64_t ProcessMeter::anonymous_bytes() const {
  return read_kilobytes("/proc/" + std::to_string(pid_) + "/smaps_rollup", "Anonymous:");
}

std::uint64_t kernel_socket_bytes() {
  std::uint64_t tcp_pages = 0;
  if (const File file{std::fopen("/proc/net/sockstat", "re")}) {
    char line[256];
    while (std::fgets(line, sizeof line, file.get()) != nullptr) {
      const char* memory = std::strncmp(line, "TCP:", 4) == 0 ? std::strstr(line, " mem ") : nullptr;
      if (memory != nullptr) tcp_pages = std::strtoull(memory + 5, nullptr, 10);
    }
  }
  return read_kilobytes("/proc/meminfo", "Slab:") + tcp_pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

std::uint64_t now_ns() noexcept { return clock_ns(CLOCK_MONOTONIC); }

std::uint64_t own_cpu_ns() noexcept { return clock_ns(CLOCK_PROCESS_CPUTIME_ID); }

}  // namespace muster::bench
