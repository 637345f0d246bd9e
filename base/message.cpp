#include "base/message.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>

namespace duet {
namespace {

using Clock = std::chrono::steady_clock;

// Milliseconds for poll(): -1 without a deadline, rounded up so that it does not spin at the end.
int remaining_ms(const Deadline& deadline) {
  if (!deadline) return -1;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(*deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left + 1, 0, 1 << 30));
}

ReceiveStatus receive_bytes(int socket, std::byte* destination, std::size_t bytes, const Deadline& deadline) {
  while (bytes > 0) {
    if (wait_for_message(socket, deadline) == ReceiveStatus::timed_out) return ReceiveStatus::timed_out;
    const ssize_t count = recv(socket, destination, bytes, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return ReceiveStatus::closed;
    destination += count;
    bytes -= static_cast<std::size_t>(count);
  }
  return ReceiveStatus::ok;
}

bool send_bytes(int socket, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

}  // namespace

bool send_message(int socket, std::span<const std::byte> message) {
  if (message.size() > kMaxMessageBytes) return false;
  const auto length = static_cast<std::uint32_t>(message.size());
  return send_bytes(socket, std::as_bytes(std::span(&length, 1))) && send_bytes(socket, message);
}

ReceiveStatus wait_for_message(int socket, Deadline deadline) {
  while (true) {
    pollfd ready{.fd = socket, .events = POLLIN, .revents = 0};
    const int polled = poll(&ready, 1, remaining_ms(deadline));
    if (polled == 0) return ReceiveStatus::timed_out;
    if (polled > 0 || errno != EINTR) return ReceiveStatus::ok;
  }
}

ReceiveStatus receive_message(int socket, std::vector<std::byte>& message, Deadline deadline) {
  std::uint32_t length = 0;
  const ReceiveStatus status = receive_bytes(socket, reinterpret_cast<std::byte*>(&length), sizeof length, deadline);
  if (status != ReceiveStatus::ok) return status;
  if (length > kMaxMessageBytes) return ReceiveStatus::closed;
  message.resize(length);
  return receive_bytes(socket, message.data(), length, deadline);
}

void exit_when_closed(int socket) {
  std::thread([socket] {
    pollfd closed{.fd = socket, .events = POLLRDHUP, .revents = 0};
    while (poll(&closed, 1, -1) <= 0) {
    }
    _exit(0);
  }).detach();
}

}  // namespace duet
