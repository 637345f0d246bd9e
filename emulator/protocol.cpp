#include "emulator/protocol.h"

#include <array>

namespace duet::emulator {

void put_fault(MessageWriter& message, const std::optional<Fault>& fault) {
  message.put(static_cast<std::uint8_t>(fault.has_value()));
  if (!fault) return;
  message.put(fault->kind).put(fault->address).put(fault->thread).put(fault->warp).put(fault->block);
  message.put_text(fault->detail);
}

std::optional<Fault> get_fault(MessageReader& message) {
  if (message.get<std::uint8_t>() == 0) return std::nullopt;
  Fault fault;
  fault.kind = message.get<FaultKind>();
  fault.address = message.get<std::uint64_t>();
  fault.thread = message.get<int>();
  fault.warp = message.get<int>();
  fault.block = message.get<std::array<int, 3>>();
  fault.detail = message.get_text();
  return fault;
}

}  // namespace duet::emulator
