// SPDX-License-Identifier: Apache-2.0
#include "agent/size/board.hpp"

// Start-up code and registers: casts from addresses are what this file is for.
extern "C" {
// Of the linker script.
extern const std::uint32_t data_load[];
extern std::uint32_t data_begin[], data_end[], bss_begin[], bss_end[], stack_begin[], stack_end[];

int main();
[[noreturn]] void reset();
[[noreturn]] void fault();
[[noreturn]] void __cxa_pure_virtual();
}

namespace muster::agent::size {

namespace {

/// CMSDK UART 0.
struct Uart {
  volatile std::uint32_t data, state, control, interrupts, divider;
};
constexpr std::uint32_t state_transmit_full = 1, state_receive_full = 2, control_both = 3;
Uart& uart() noexcept { return *reinterpret_cast<Uart*>(0x40004000U); }

/// The second memory of the machine: nothing else uses it.
volatile std::uint8_t* flash() noexcept { return reinterpret_cast<volatile std::uint8_t*>(0x21000000U); }

constexpr std::uint32_t paint = 0x5a5aa5a5U;

}  // namespace

std::uint8_t read_byte() noexcept {
  while ((uart().state & state_receive_full) == 0) {}
  return static_cast<std::uint8_t>(uart().data);
}

void write_byte(std::uint8_t byte) noexcept {
  while ((uart().state & state_transmit_full) != 0) {}
  uart().data = byte;
}

void read_flash(std::size_t offset, wire::ByteSpan room) noexcept {
  for (std::size_t i = 0; i < room.size; ++i) {
    room.data[i] = flash()[offset + i];
  }
}

void write_flash(std::size_t offset, wire::ByteView bytes) noexcept {
  for (std::size_t i = 0; i < bytes.size; ++i) {
    flash()[offset + i] = bytes[i];
  }
}

std::uint32_t stack_used() noexcept {
  const std::uint32_t* lowest = stack_begin;
  while (lowest != stack_end && *lowest == paint) {
    ++lowest;
  }
  return static_cast<std::uint32_t>(stack_end - lowest) * sizeof *lowest;
}

namespace {

[[noreturn]] void start() noexcept {
  const std::uint32_t* from = data_load;
  for (std::uint32_t* to = data_begin; to != data_end; ++to) {
    *to = *from++;
  }
  for (std::uint32_t* to = bss_begin; to != bss_end; ++to) {
    *to = 0;
  }
  std::uint32_t* top = nullptr;
  asm volatile("mov %0, sp" : "=r"(top));
  for (std::uint32_t* to = stack_begin; to != top; ++to) {
    *to = paint;
  }
  uart().divider = 16;
  uart().control = control_both;
  main();
  fault();
}

}  // namespace

}  // namespace muster::agent::size

void reset() { muster::agent::size::start(); }

/// Says `!` for ever: no answer of this image begins so.
void fault() {
  for (;;) {
    muster::agent::size::write_byte('!');
  }
}

void __cxa_pure_virtual() { fault(); }

/// The processor starts here: stack, start-up code, and one handler for all that must not happen.
struct Vectors {
  std::uint32_t* stack;
  void (*handlers[15])();
};
extern const Vectors vectors;
[[gnu::section(".vectors"), gnu::used]] const Vectors vectors{
    stack_end, {reset, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault}};
