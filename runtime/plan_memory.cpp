#include "runtime/plan_memory.h"

#include <algorithm>

#include "base/error.h"

namespace duet {
namespace {

constexpr std::size_t kAlignment = 256;
constexpr std::byte kGuard{0xC7};

std::size_t round_up_to_alignment(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

std::uint64_t plan_memory_bytes(const Plan& plan) {
  std::uint64_t bytes = plan.arena_bytes + plan.weight_bytes + plan.counter_bytes;
  for (const auto* tensors : {&plan.inputs, &plan.outputs})
    for (const PlanTensor& tensor : *tensors) bytes += static_cast<std::uint64_t>(tensor.device_bytes());
  return bytes;
}

PlanMemory::PlanMemory(Device& device, const Plan& plan, std::size_t guard_bytes)
    : device_(device),
      guard_bytes_(round_up_to_alignment(guard_bytes)),
      arena_(make_space("arena", plan.arena_bytes)),
      weights_(make_space("weights", plan.weight_bytes)),
      counters_(make_space("counters", plan.counter_bytes)) {
  for (const PlanTensor& tensor : plan.inputs) {
    inputs_.push_back(
        make_space(fmt::format("input '{}'", tensor.name), static_cast<std::uint64_t>(tensor.device_bytes())));
    device_.fill(begin(inputs_.back()), std::byte{0}, inputs_.back().bytes);
  }
  for (const PlanTensor& tensor : plan.outputs) {
    outputs_.push_back(
        make_space(fmt::format("output '{}'", tensor.name), static_cast<std::uint64_t>(tensor.device_bytes())));
  }
  if (counters_.bytes > 0) device_.fill(begin(counters_), std::byte{0}, counters_.bytes);
}

bool PlanMemory::holds(const Plan& plan) const {
  const auto same = [](const std::vector<Space>& spaces, const std::vector<PlanTensor>& tensors) {
    return std::equal(spaces.begin(), spaces.end(), tensors.begin(), tensors.end(),
                      [](const Space& space, const PlanTensor& tensor) {
                        return space.bytes == static_cast<std::size_t>(tensor.device_bytes());
                      });
  };
  return plan.arena_bytes <= arena_.bytes && plan.weight_bytes <= weights_.bytes &&
         plan.counter_bytes <= counters_.bytes && same(inputs_, plan.inputs) && same(outputs_, plan.outputs);
}

PlanMemory::Space PlanMemory::make_space(std::string name, std::uint64_t bytes) {
  Space space;
  space.name = std::move(name);
  space.bytes = bytes;
  if (bytes == 0) return space;
  space.buffer = DeviceBuffer(device_, bytes + 2 * guard_bytes_);
  if (guard_bytes_ > 0) {
    device_.fill(space.buffer.address(), kGuard, guard_bytes_);
    device_.fill(begin(space) + bytes, kGuard, guard_bytes_);
  }
  return space;
}

DeviceAddress PlanMemory::begin(const Space& space) const {
  return space.bytes == 0 ? 0 : space.buffer.address() + guard_bytes_;
}

const PlanMemory::Space* PlanMemory::find(const BufferRef& ref) const {
  switch (ref.space) {
    case BufferSpace::none:
      return nullptr;
    case BufferSpace::arena:
      return &arena_;
    case BufferSpace::weights:
      return &weights_;
    case BufferSpace::counters:
      return &counters_;
    case BufferSpace::input:
      return &inputs_.at(static_cast<std::size_t>(ref.index));
    case BufferSpace::output:
      return &outputs_.at(static_cast<std::size_t>(ref.index));
  }
  fail(ErrorKind::internal, "a buffer reference names space {}", static_cast<int>(ref.space));
}

DeviceAddress PlanMemory::address(const BufferRef& ref) const {
  const Space* space = find(ref);
  if (space == nullptr || space->bytes == 0) return 0;
  return begin(*space) + ref.offset_bytes;
}

void PlanMemory::poison(std::byte value) {
  if (arena_.bytes > 0) device_.fill(begin(arena_), value, arena_.bytes);  // a device may refuse an empty fill
  for (const Space& output : outputs_) device_.fill(begin(output), value, output.bytes);
}

std::string PlanMemory::check_band(const Space& space, const char* side, DeviceAddress address) const {
  std::vector<std::byte> band(guard_bytes_);
  device_.read(band, address);
  const auto changed = std::find_if(band.begin(), band.end(), [](std::byte value) { return value != kGuard; });
  if (changed == band.end()) return {};
  return fmt::format("the guard band {} {} ({} bytes) was overwritten at its byte {} of {}", side, space.name,
                     space.bytes, changed - band.begin(), guard_bytes_);
}

std::string PlanMemory::check_guards() const {
  if (guard_bytes_ == 0) return {};
  std::vector<const Space*> spaces{&arena_, &weights_, &counters_};
  for (const Space& space : inputs_) spaces.push_back(&space);
  for (const Space& space : outputs_) spaces.push_back(&space);
  for (const Space* space : spaces) {
    if (space->bytes == 0) continue;
    std::string text = check_band(*space, "before", space->buffer.address());
    if (text.empty()) text = check_band(*space, "after", begin(*space) + space->bytes);
    if (!text.empty()) return text;
  }
  return {};
}

}  // namespace duet
