// Loads a plan on a device, binds the weights, captures one executable and runs it.
//
//   auto device = CudaDevice::open();
//   Engine engine(*device, plan, SafetensorsFile::open("model.safetensors"));
//   engine.set_input("pixels", image);
//   engine.set_input("input_ids", ids);
//   engine.run();
//   HostTensor embedding = engine.output("image_embeds");
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/tensor.h"
#include "runtime/device.h"
#include "runtime/plan.h"
#include "runtime/weights.h"

namespace duet {

class PlanMemory;

struct EngineOptions {
  // Guard bands: every space is surrounded by this many bytes of a known pattern, checked by check_guards().
  std::size_t guard_bytes = 0;
  // The arena and the outputs are filled with this byte before each run when set: an unwritten result shows.
  std::optional<std::byte> poison = std::nullopt;
  // The weight space as make_weight_space() left it for this plan's weights: it is copied instead of made again. Read
  // by the constructor only.
  std::span<const std::byte> weight_space{};
  // Instead of memory of its own, with the plan's weights in it already. It holds the plan (PlanMemory::holds) and
  // outlives the engine; of engines that share it, one runs at a time. Guard bytes are the memory's.
  PlanMemory* memory = nullptr;
};

class Engine {
 public:
  // Throws Error(input) when a weight is missing or has another shape, Error(missing) when no kernel image fits.
  Engine(Device& device, Plan plan, const WeightProvider& weights, EngineOptions options = {});
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  const Plan& plan() const;
  // Any of f32, f16, bf16 for floating inputs (converted), i32 for integer ones. Shape and values are checked:
  // Error(input).
  void set_input(std::string_view name, const HostTensor& tensor);
  // Where an input lies on the device, for work that writes it there itself, in the plan's element type and row
  // length (PlanTensor::dtype, ld). From then on it counts as set.
  DeviceAddress input_address(std::string_view name);
  // Throws Error(input) when an input was never set, Error(device) when a kernel fails.
  void run();
  // As run(), `count` times on the same inputs, queued one behind the other where the device can.
  void run_queued(int count);
  // Logical shape, without padding.
  HostTensor output(std::string_view name) const;
  // Latency of whole replays, on the inputs as they are (zeros where none was set).
  std::vector<double> time_us(int samples, CacheState caches);
  // Empty when intact; else names the space whose guard band was overwritten.
  std::string check_guards() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace duet
