// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <string_view>

#include "cloud/base/log.hpp"

namespace muster::main {

/// Does one turn of a thread that must go on whatever happens. What the work throws (want of memory, mostly) costs this turn only,
/// and is logged. True: it threw nothing.
template <class Work>
bool take_turn(std::string_view thread, Work&& work) noexcept {
  const auto tell = [thread](const char* reason) {
    try {
      log::error("thread_turn_failed", {{"thread", thread}, {"reason", reason}, {"next", "it is tried again"}});
    } catch (...) {  // There is no memory for that either.
    }
  };
  try {
    work();
    return true;
  } catch (const std::exception& error) {
    tell(error.what());
  } catch (...) {
    tell("an exception of an unknown kind");
  }
  return false;
}

}  // namespace muster::main
