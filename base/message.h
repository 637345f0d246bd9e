// What two processes of the same build say to each other over a socket: each message a 4-byte length and that many
// bytes, numbers in memory order. Whoever reads one trusts no size in it.
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

namespace duet {

inline constexpr std::size_t kMaxMessageBytes = std::size_t{64} << 20;

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
  MessageWriter& put_text(std::string_view text) { return put_list(std::span(text.data(), text.size())); }
  // A count and that many values.
  template <typename T>
  MessageWriter& put_list(std::span<const T> values) {
    put(static_cast<std::uint32_t>(values.size()));
    return put_bytes(std::as_bytes(values));
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
  template <typename T>
  std::vector<T> get_list() {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto bytes = take(std::uint64_t{get<std::uint32_t>()} * sizeof(T));
    std::vector<T> values(bytes.size() / sizeof(T));
    if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }
  std::span<const std::byte> rest() { return take(rest_.size()); }
  // False once something was read that the message does not hold.
  bool complete() const { return complete_; }

 private:
  std::span<const std::byte> take(std::uint64_t bytes) {
    if (bytes > rest_.size()) {
      complete_ = false;
      return {};
    }
    const auto taken = rest_.first(static_cast<std::size_t>(bytes));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }

  std::span<const std::byte> rest_;
  bool complete_ = true;
};

enum class ReceiveStatus : std::uint8_t { ok, closed, timed_out };

using Deadline = std::optional<std::chrono::steady_clock::time_point>;

// Returns whether the peer took it all; false also for a message that is too large.
bool send_message(int socket, std::span<const std::byte> message);
// `closed` also for a message that is too large.
ReceiveStatus receive_message(int socket, std::vector<std::byte>& message, Deadline deadline = std::nullopt);
// Until something can be received (`ok`, also when it is the end) or the deadline passes.
ReceiveStatus wait_for_message(int socket, Deadline deadline);

// Ends this process as soon as the other end of the socket is closed, whatever this process is busy with: a worker
// outlives no parent.
void exit_when_closed(int socket);

}  // namespace duet
