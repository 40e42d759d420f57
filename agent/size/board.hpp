// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "wire/bytes.hpp"

/// The little that this image asks of its hardware: a serial line, some flash, and how much stack was used. The machine is Arm's MPS2 with
/// the AN386 image (a Cortex-M4), which qemu emulates.
namespace muster::agent::size {

/// Waits for the next byte of the serial line.
[[nodiscard]] std::uint8_t read_byte() noexcept;
void write_byte(std::uint8_t byte) noexcept;

/// Memory outside of the 8 KiB, in the place of a board's flash. `size_max` bytes from `offset` on.
void read_flash(std::size_t offset, wire::ByteSpan room) noexcept;
void write_flash(std::size_t offset, wire::ByteView bytes) noexcept;

/// Bytes of stack that were ever used since the start.
[[nodiscard]] std::uint32_t stack_used() noexcept;

}  // namespace muster::agent::size
