// What parent and worker say to each other (base/message.h): a request, then its reply.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/message.h"
#include "emulator/fault.h"

namespace duet::emulator {

inline constexpr std::size_t kChunkBytes = std::size_t{16} << 20;  // of a transfer
inline constexpr std::size_t kBufferAlignment = 256;

enum class Request : std::uint8_t {
  allocate,  // u64 bytes, byte fill -> u64 address, 0 when out of memory
  free,      // u64 address
  write,     // u64 address, rest: data
  read,      // u64 address, u64 bytes -> data
  fill,      // u64 address, byte value, u64 bytes
  load,      // text path, text entry -> u32 handle, text error (empty: loaded)
  unload,    // u32 handle
  launch,    // LaunchHeader, rest: parameters -> LaunchReply
};

struct LaunchHeader {
  std::uint32_t kernel = 0;
  std::int32_t grid[3] = {1, 1, 1};
  std::int32_t threads = 0;
  std::int32_t smem_bytes = 0;
  std::uint8_t order = 0, landing = 0, poison = 0, blocks = 0;
  std::uint64_t seed = 0;
};

void put_fault(MessageWriter& message, const std::optional<Fault>& fault);
std::optional<Fault> get_fault(MessageReader& message);

}  // namespace duet::emulator
