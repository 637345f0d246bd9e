#include "runtime/relocate.h"

#include <cstring>
#include <span>

#include "base/error.h"

namespace duet {
namespace {

void write_at(std::vector<std::byte>& params, const PlanStep& step, std::uint32_t offset,
              std::span<const std::byte> bytes) {
  if (params.size() < bytes.size() || offset > params.size() - bytes.size())
    fail(ErrorKind::internal, "step {}: {} bytes at byte {} leave its {} parameter bytes", step.name, bytes.size(),
         offset, params.size());
  std::memcpy(params.data() + offset, bytes.data(), bytes.size());
}

}  // namespace

std::vector<std::byte> relocate(const PlanStep& step, Device& device,
                                const std::function<DeviceAddress(const Relocation&)>& address_of) {
  std::vector<std::byte> params = step.params;
  for (const Relocation& relocation : step.relocations) {
    const DeviceAddress address = address_of(relocation);
    if (relocation.map) {
      write_at(params, step, relocation.param_offset, device.tensor_map(*relocation.map, address));
    } else {
      write_at(params, step, relocation.param_offset, std::as_bytes(std::span(&address, 1)));
    }
  }
  return params;
}

}  // namespace duet
