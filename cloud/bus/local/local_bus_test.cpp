// SPDX-License-Identifier: Apache-2.0
#include "cloud/bus/local/local_bus.hpp"

#include <stdexcept>

#include "cloud/bus/bus_contract.hpp"

namespace muster::bus {
namespace {

INSTANTIATE_TEST_SUITE_P(Local, BusContract, testing::Values(BusBackend{"Local", [] { return std::make_unique<LocalBus>(); }}),
                         [](const auto& tested) { return tested.param.name; });

TEST(LocalBus, GoesOnWhenACallbackThrows) {
  LocalBus bus;
  Listener listener;
  const auto bad = bus.subscribe([](std::int64_t) { throw std::runtime_error{"on purpose"}; });
  const auto good = bus.subscribe(listener.callback());
  bus.notify_changes(1);
  EXPECT_TRUE(listener.wait_until_heard(1));
  bus.notify_changes(2);
  EXPECT_TRUE(listener.wait_until_heard(2));
}

}  // namespace
}  // namespace muster::bus
