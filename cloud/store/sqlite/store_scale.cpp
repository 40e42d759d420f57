// SPDX-License-Identifier: Apache-2.0
/// Measures the SQLite store at a size: store_scale [DEVICES [FOLDER]]. Prints one line a figure; for a release build.
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "cloud/base/temporary_folder.hpp"
#include "cloud/store/sqlite/bulk_load.hpp"
#include "cloud/store/sqlite/durability_check.hpp"
#include "cloud/store/sqlite/sqlite_store.hpp"

namespace {

using namespace muster;
using SteadyClock = std::chrono::steady_clock;

double seconds_since(SteadyClock::time_point start) { return std::chrono::duration<double>(SteadyClock::now() - start).count(); }

void must(bool ok, const char* what) {
  if (!ok) {
    std::fprintf(stderr, "failed: %s\n", what);
    std::exit(1);
  }
}

/// Median of the time of single look-ups, in microseconds.
template <class Work>
double median_us(int times, Work&& work) {
  std::vector<double> all;
  for (int i = 0; i < times; ++i) {
    const auto start = SteadyClock::now();
    work(static_cast<std::uint64_t>(i));
    all.push_back(seconds_since(start) * 1e6);
  }
  std::nth_element(all.begin(), all.begin() + times / 2, all.end());
  return all[static_cast<std::size_t>(times / 2)];
}

}  // namespace

int main(int argc, char** argv) {
  const auto count = static_cast<std::size_t>(argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000);
  const TemporaryFolder scratch;
  const auto path = (argc > 2 ? std::filesystem::path{argv[2]} : scratch.path()) / "muster.db";
  store::Site site;
  {
    const auto opened = store::SqliteStore::open(path, {});
    site = store::prepare_site(*opened);
  }
  auto start = SteadyClock::now();
  store::BulkDevices devices;
  devices.organization_id = site.organization;
  devices.template_id = site.template_id;
  devices.count = count;
  devices.token = [](std::size_t index, TokenDigest& digest, std::string& sealed) {
    digest = store::digest_of_secret(index + 1);
    sealed.assign(74, 's');
  };
  must(store::bulk_load(path, devices).has_value(), "bulk load");
  std::printf("bulk load of %zu devices: %.2f s\n", count, seconds_since(start));
  struct stat status{};
  ::stat(path.c_str(), &status);
  std::printf("file: %.1f MB, %.0f bytes a device\n", static_cast<double>(status.st_size) / 1e6,
              static_cast<double>(status.st_size) / static_cast<double>(count));

  for (int round = 0; round < 3; ++round) {
    start = SteadyClock::now();
    const auto opened = store::SqliteStore::open(path, {});
    must(opened->check().has_value(), "check");
    const double open_s = seconds_since(start);
    std::size_t tokens = 0, rows = 0;
    start = SteadyClock::now();
    must(opened->for_each_live_token([&](const domain::TokenRecord&) { ++tokens; }).has_value(), "tokens");
    const double tokens_s = seconds_since(start);
    start = SteadyClock::now();
    must(opened->for_each_device([&](const domain::DeviceRow&) { ++rows; }).has_value(), "devices");
    const double devices_s = seconds_since(start);
    must(tokens == count && rows == count, "counts");
    std::printf("open %.3f s, live tokens %.3f s, devices %.3f s, sum %.3f s\n", open_s, tokens_s, devices_s,
                open_s + tokens_s + devices_s);
  }

  const auto opened = store::SqliteStore::open(path, {});
  must(opened->check().has_value(), "check");
  const auto miss = median_us(20'000, [&](std::uint64_t i) {
    must(!opened->find_token(std::array{store::digest_of_secret(1'000'000'007 + i * 7919)}).value(), "miss");
  });
  const auto hit = median_us(20'000, [&](std::uint64_t i) {
    must(opened->find_token(std::array{store::digest_of_secret(i * 48271 % count + 1)}).value().has_value(), "hit");
  });
  std::printf("look-up: %.1f us a miss, %.1f us a hit (median)\n", miss, hit);

  domain::Page page;
  for (const char* query : {"", "ice 77"}) {
    page.query = query;
    start = SteadyClock::now();
    const auto found = opened->devices({std::array{site.organization}, {}, {}}, page);
    must(found.has_value(), "page");
    std::printf("first page of devices, query \"%s\": %ld of %ld rows, %.1f ms\n", query, static_cast<long>(found->rows.size()),
                static_cast<long>(found->total), seconds_since(start) * 1e3);
  }

  for (const int threads : {1, 8, 32}) {
    const auto before = opened->writer_statistics();
    start = SteadyClock::now();
    std::vector<std::thread> creators;
    const int each = 2000 / threads;
    for (int t = 0; t < threads; ++t) {
      creators.emplace_back([&, t] {
        for (int i = 0; i < each; ++i) {
          domain::Device device;
          device.organization_id = site.organization;
          device.template_id = site.template_id;
          device.name = "new";
          const auto secret = 2'000'000'000ull + static_cast<std::uint64_t>(threads) * 1'000'000 + static_cast<std::uint64_t>(t * each + i);
          must(opened->create_device(device, store::token_of_secret(secret), {}).has_value(), "create");
        }
      });
    }
    for (auto& creator : creators) creator.join();
    const double took = seconds_since(start);
    const auto after = opened->writer_statistics();
    std::printf("create_device, %d threads: %.0f a second, %.1f operations a commit\n", threads, threads * each / took,
                static_cast<double>(after.operations - before.operations) / static_cast<double>(after.commits - before.commits));
  }
  std::vector<domain::ValueUpdate> values;
  for (int i = 0; i < 10'000; ++i) values.push_back({DeviceId{i % 1000 + 1}, {static_cast<std::uint8_t>(i / 1000), "23.5", {1}}});
  start = SteadyClock::now();
  must(opened->write_values(values).has_value(), "values");
  std::printf("write_values, 10,000 rows: %.1f ms\n", seconds_since(start) * 1e3);
  return 0;
}
