#include "runtime/engine.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/error.h"
#include "runtime/plan_memory.h"
#include "runtime/relocate.h"
#include "runtime/tensor_layout.h"
#include "runtime/weight_loading.h"

namespace duet {
namespace {

std::size_t find_tensor(const std::vector<PlanTensor>& tensors, std::string_view name, std::string_view what) {
  const auto found =
      std::find_if(tensors.begin(), tensors.end(), [&](const PlanTensor& tensor) { return tensor.name == name; });
  if (found != tensors.end()) return static_cast<std::size_t>(found - tensors.begin());
  std::string names;
  for (const PlanTensor& tensor : tensors) names += (names.empty() ? "'" : ", '") + tensor.name + "'";
  fail(ErrorKind::input, "the plan has no {} '{}'; there are: {}", what, name, names.empty() ? "none" : names);
}

// The kernels of a plan, unloaded when this dies.
class LoadedKernels {
 public:
  LoadedKernels(Device& device, const Plan& plan) : device_(device) {
    kernels_.reserve(plan.kernels.size());
    try {
      for (const PlanKernel& kernel : plan.kernels) kernels_.push_back(device_.load(kernel));
    } catch (...) {
      unload();
      throw;
    }
  }
  ~LoadedKernels() { unload(); }
  LoadedKernels(const LoadedKernels&) = delete;
  LoadedKernels& operator=(const LoadedKernels&) = delete;

  LoadedKernel operator[](std::size_t index) const { return kernels_[index]; }

 private:
  void unload() noexcept {
    for (const LoadedKernel kernel : kernels_) device_.unload(kernel);
  }
  Device& device_;
  std::vector<LoadedKernel> kernels_;
};

std::vector<Launch> make_launches(Device& device, const Plan& plan, const LoadedKernels& kernels,
                                  const PlanMemory& memory) {
  std::vector<Launch> launches;
  launches.reserve(plan.steps.size());
  for (const PlanStep& step : plan.steps) {
    const auto index = static_cast<std::size_t>(step.kernel);
    Launch launch;
    launch.kernel = kernels[index];
    launch.name = step.name;
    launch.grid = step.grid;
    launch.threads = plan.kernels[index].threads;
    launch.smem_bytes = plan.kernels[index].smem_bytes;
    launch.programmatic = plan.kernels[index].programmatic_launch;
    launch.params =
        relocate(step, device, [&](const Relocation& relocation) { return memory.address(relocation.target); });
    launch.stream = step.stream;
    launch.share = stream_share(plan, step.stream);
    launch.waits = step.waits;
    launches.push_back(std::move(launch));
  }
  return launches;
}

Plan validated(Plan plan) {
  validate_plan(plan);
  if (plan.steps.empty()) fail(ErrorKind::input, "the plan of {} has no steps", plan.key.model);
  return plan;
}

}  // namespace

struct Engine::State {
  State(Device& on, Plan what, const WeightProvider& weights, EngineOptions how)
      : device(on),
        plan(validated(std::move(what))),
        options(how),
        kernels(device, plan),
        memory(options.memory != nullptr ? *options.memory : own_memory.emplace(device, plan, options.guard_bytes)),
        input_set(plan.inputs.size()) {
    if (options.memory == nullptr) {
      fill_weights(weights);
    } else if (!memory.holds(plan)) {
      fail(ErrorKind::internal, "the memory given for the plan of {} does not hold it", plan.key.model);
    }
    options.weight_space = {};
    executable = device.capture(make_launches(device, plan, kernels, memory));
  }

  void fill_weights(const WeightProvider& weights) {
    const DeviceAddress weight_space = memory.address({.space = BufferSpace::weights});
    if (options.weight_space.empty()) {
      load_weights(device, plan, weights, weight_space);
    } else if (options.weight_space.size() == plan.weight_bytes) {
      device.write(weight_space, options.weight_space);
    } else {
      fail(ErrorKind::internal, "a weight space of {} bytes for a plan of {}", options.weight_space.size(),
           plan.weight_bytes);
    }
  }

  void require_inputs() const {
    for (std::size_t i = 0; i < plan.inputs.size(); ++i) {
      if (!input_set[i]) fail(ErrorKind::input, "input '{}' was never set; call set_input first", plan.inputs[i].name);
    }
  }

  Device& device;
  Plan plan;
  EngineOptions options;
  LoadedKernels kernels;
  std::optional<PlanMemory> own_memory;
  PlanMemory& memory;
  std::vector<bool> input_set;
  std::unique_ptr<Executable> executable;  // dies before the kernels and the memory it uses
};

Engine::Engine(Device& device, Plan plan, const WeightProvider& weights, EngineOptions options)
    : state_(std::make_unique<State>(device, std::move(plan), weights, options)) {}

Engine::~Engine() = default;

const Plan& Engine::plan() const { return state_->plan; }

void Engine::set_input(std::string_view name, const HostTensor& tensor) {
  const std::size_t index = find_tensor(state_->plan.inputs, name, "input");
  const std::vector<std::byte> bytes = pack_input(state_->plan.inputs[index], tensor);
  const BufferRef target{.space = BufferSpace::input, .index = static_cast<int>(index)};
  state_->device.write(state_->memory.address(target), bytes);
  state_->input_set[index] = true;
}

DeviceAddress Engine::input_address(std::string_view name) {
  const std::size_t index = find_tensor(state_->plan.inputs, name, "input");
  state_->input_set[index] = true;
  return state_->memory.address({.space = BufferSpace::input, .index = static_cast<int>(index)});
}

void Engine::run() {
  state_->require_inputs();
  if (state_->options.poison) state_->memory.poison(*state_->options.poison);
  state_->executable->run();
}

void Engine::run_queued(int count) {
  state_->require_inputs();
  state_->executable->run_queued(count);
}

HostTensor Engine::output(std::string_view name) const {
  const std::size_t index = find_tensor(state_->plan.outputs, name, "output");
  const PlanTensor& tensor = state_->plan.outputs[index];
  std::vector<std::byte> bytes(static_cast<std::size_t>(tensor.device_bytes()));
  const BufferRef source{.space = BufferSpace::output, .index = static_cast<int>(index)};
  state_->device.read(bytes, state_->memory.address(source));
  return unpack_output(tensor, bytes);
}

std::vector<double> Engine::time_us(int samples, CacheState caches) {
  return state_->executable->time_us(samples, caches);
}

std::string Engine::check_guards() const { return state_->memory.check_guards(); }

}  // namespace duet
