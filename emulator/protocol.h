// What parent and worker say to each other over a socket: a request, then its reply, each a 4-byte length and that many
// bytes. Both are the same build on the same machine, so numbers travel in memory order.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "emulator/fault.h"

namespace duet::emulator {

inline constexpr int kWorkerSocket = 3;  // the worker's end
inline constexpr std::size_t kMaxMessageBytes = std::size_t{64} << 20;
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
  std::uint32_t deadline_ms = 0;
};

class MessageWriter {
 public:
  template <typename T>
  MessageWriter& put(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    return put_bytes(std::as_bytes(std::span(&value, 1)));
  }
  MessageWriter& put_bytes(std::span<const std::byte> bytes) {
    data_.insert(data_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  MessageWriter& put_text(std::string_view text) {
    put(static_cast<std::uint32_t>(text.size()));
    return put_bytes(std::as_bytes(std::span(text)));
  }
  std::span<const std::byte> data() const { return data_; }

 private:
  std::vector<std::byte> data_;
};

// Reads what MessageWriter wrote. Past the end it gives zeros and complete() is false.
class MessageReader {
 public:
  explicit MessageReader(std::span<const std::byte> data) : rest_(data) {}

  template <typename T>
  T get() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value{};
    if (const auto bytes = take(sizeof(T)); !bytes.empty()) std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }
  std::string get_text() {
    const auto bytes = take(get<std::uint32_t>());
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  std::span<const std::byte> rest() { return take(rest_.size()); }
  bool complete() const { return complete_; }

 private:
  std::span<const std::byte> take(std::size_t bytes) {
    if (bytes > rest_.size()) {
      complete_ = false;
      return {};
    }
    const auto taken = rest_.first(bytes);
    rest_ = rest_.subspan(bytes);
    return taken;
  }

  std::span<const std::byte> rest_;
  bool complete_ = true;
};

void put_fault(MessageWriter& message, const std::optional<Fault>& fault);
std::optional<Fault> get_fault(MessageReader& message);

enum class ReceiveStatus : std::uint8_t { ok, closed, timed_out };

using Deadline = std::optional<std::chrono::steady_clock::time_point>;

// Returns whether the peer took it all.
bool send_message(int socket, std::span<const std::byte> message);
// `closed` also for a message that is too large.
ReceiveStatus receive_message(int socket, std::vector<std::byte>& message, Deadline deadline = std::nullopt);

}  // namespace duet::emulator
