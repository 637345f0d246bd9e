// What a plan from outside must satisfy before anything of it is used. Nothing here trusts a number it has not
// compared.
#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "base/error.h"
#include "runtime/plan.h"
#include "runtime/weights.h"

namespace duet {
namespace {

constexpr std::uint64_t kMaxSpaceBytes = std::uint64_t{64} << 30;  // no Jetson has more memory than this twice
constexpr std::size_t kMaxImageBytes = std::size_t{64} << 20;
constexpr std::size_t kMaxSourceBytes = std::size_t{16} << 20;
constexpr std::size_t kMaxTextBytes = 64 << 10;
constexpr std::size_t kMaxNameBytes = 256;
constexpr std::size_t kMaxKernels = 10'000;
constexpr std::size_t kMaxSteps = 100'000;
constexpr std::size_t kMaxWeights = 100'000;
constexpr std::size_t kMaxTensors = 256;
constexpr std::size_t kMaxSources = 1024;
constexpr std::size_t kMaxRank = 8;
constexpr std::size_t kMaxParamBytes = 4096;  // CUDA's limit before 12.1, and on every device
constexpr int kMaxStreams = 64;
constexpr int kMaxSms = 1024;
constexpr int kMaxThreads = 1024;
constexpr int kMaxGridYZ = 65535;
constexpr int kMaxSmemBytes = 256 << 10;
constexpr int kMaxRegisters = 255;
constexpr int kMaxBatch = 1 << 20;
constexpr std::uint64_t kWeightAlignment = 256;
constexpr std::size_t kPointerBytes = 8;
constexpr std::uint32_t kTensorMapAlignment = 64;
constexpr int kMaxBoxRows = 256;  // of the driver

template <typename... Args>
[[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) {
  fail(ErrorKind::input, "plan: {}", fmt::format(format, std::forward<Args>(args)...));
}

template <typename Value>
void check_between(std::string_view what, Value value, Value least, Value most) {
  if (value < least || value > most) refuse("{} is {}, outside {} to {}", what, value, least, most);
}

void check_count(std::string_view what, std::size_t count, std::size_t most) {
  if (count > most) refuse("{} {} are more than {}", count, what, most);
}

void check_cost(std::string_view what, double value) {
  if (!std::isfinite(value) || value < 0) refuse("{} is {}, not a number from 0", what, value);
}

bool is_printable(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 32 || c == 127; });
}

// Names go into tables and messages of one line.
void check_name(std::string_view what, std::string_view name) {
  if (name.size() > kMaxNameBytes || !is_printable(name))
    refuse("{} is longer than {} bytes or holds control characters", what, kMaxNameBytes);
}

// Entry names are looked up in images and written into sources.
void check_entry(std::string_view entry) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  check_name("a kernel's entry name", entry);
  if (entry.empty() || !letter(entry[0]) ||
      !std::all_of(entry.begin(), entry.end(), [&](char c) { return letter(c) || digit(c); }))
    refuse("'{}' is no kernel entry name", entry);
}

void check_streams(const Plan& plan) {
  if (!plan.streams.empty() && plan.streams.size() != static_cast<std::size_t>(plan.stream_count))
    refuse("the shares of {} streams are given, and there are {}", plan.streams.size(), plan.stream_count);
  for (const StreamShare& share : plan.streams) {
    check_between("a stream's priority", share.priority, 0, 1);
    check_between("a stream's SMs", share.sms, 0, kMaxSms);
  }
}

void check_header(const Plan& plan) {
  const DeviceFingerprint& device = plan.key.device;
  for (const std::string* text : {&plan.key.model, &plan.key.graph_hash, &plan.key.variant, &device.target,
                                  &device.module, &device.arch, &device.power_mode})
    check_name("a text of the key", *text);
  check_between("batch", plan.key.batch, 1, kMaxBatch);
  for (const auto& [what, value] :
       {std::pair{"SM count", device.sm_count}, std::pair{"SM clock", device.sm_clock_mhz},
        std::pair{"memory clock", device.memory_clock_mhz}, std::pair{"driver version", device.driver_version}})
    check_between(what, value, 0, std::numeric_limits<int>::max());
  check_between<std::int64_t>("L2 size", device.l2_bytes, 0, std::int64_t{1} << 40);
  check_between("precision", static_cast<int>(plan.key.precision), 0, static_cast<int>(Dtype::i32));
  check_between("provenance", static_cast<int>(plan.provenance), 0, static_cast<int>(Provenance::measured));
  check_between("execution mode", static_cast<int>(plan.mode), 0, static_cast<int>(kExecutionModes.back()));
  check_between("stream count", plan.stream_count, 1, kMaxStreams);
  check_streams(plan);
  check_between<std::uint64_t>("arena size", plan.arena_bytes, 0, kMaxSpaceBytes);
  check_between<std::uint64_t>("weight size", plan.weight_bytes, 0, kMaxSpaceBytes);
  check_between<std::uint64_t>("counter size", plan.counter_bytes, 0, kMaxSpaceBytes);
}

void check_figures(const PlanFigures& figures) {
  check_count("latency samples", figures.latency_us_samples.size(), 1'000'000);
  for (const double sample : figures.latency_us_samples) check_cost("a latency sample", sample);
  check_cost("latency", figures.latency_us);
  check_cost("floor time", figures.floor_us);
  check_cost("baseline latency", figures.baseline_latency_us);
  check_cost("energy", figures.energy_mj);
  check_count("bytes of objective text", figures.objective.size(), kMaxNameBytes);
  check_between("baseline step count", figures.baseline_steps, 0, std::numeric_limits<int>::max());
  check_count("bytes of environment text", figures.environment.size(), kMaxTextBytes);
  check_count("bytes of commit text", figures.commit.size(), kMaxNameBytes);
}

void check_kernel(const PlanKernel& kernel) {
  check_entry(kernel.entry);
  check_name(fmt::format("kernel '{}': the family", kernel.entry), kernel.family);
  if (kernel.config_text.size() > kMaxTextBytes || !is_printable(kernel.config_text))
    refuse("kernel '{}': the configuration's text is too long or holds control characters", kernel.entry);
  check_count("bytes of kernel source", kernel.source.size(), kMaxSourceBytes);
  check_between(fmt::format("kernel '{}': thread count", kernel.entry), kernel.threads, 1, kMaxThreads);
  check_between(fmt::format("kernel '{}': shared memory", kernel.entry), kernel.smem_bytes, 0, kMaxSmemBytes);
  check_count("images of one kernel", kernel.images.size(), 64);
  for (const KernelImage& image : kernel.images) {
    check_name("an image's architecture", image.arch);
    check_name("an image's compiler", image.compiler);
    check_name("an image's hash", image.hash);
    check_count("bytes of a kernel image", image.bytes.size(), kMaxImageBytes);
    const std::string what = fmt::format("kernel '{}', image {}: ", kernel.entry, image.arch);
    check_between(what + "CUDA version", image.cuda_major, 0, 1000);
    check_between(what + "registers", image.registers, 0, kMaxRegisters);
    check_between(what + "spilled bytes", image.spill_bytes, 0, 1 << 30);
    check_between(what + "static shared memory", image.static_smem_bytes, 0, kMaxSmemBytes);
  }
}

void check_kernels(const Plan& plan) {
  check_count("kernels", plan.kernels.size(), kMaxKernels);
  std::set<std::string_view> entries;
  for (const PlanKernel& kernel : plan.kernels) {
    check_kernel(kernel);
    if (!entries.insert(kernel.entry).second) refuse("kernel '{}' appears twice", kernel.entry);
  }
}

void check_sources(const WeightRecipe& recipe, const std::vector<WeightSource>& sources) {
  check_count("sources of one weight", sources.size(), kMaxSources);
  for (const WeightSource& source : sources) {
    check_name(fmt::format("weight '{}': a tensor's name", recipe.name), source.tensor);
    check_count("dimensions of a source", source.shape.size(), kMaxRank);
    const std::int64_t elements = element_count(source.shape);
    check_between<std::int64_t>(fmt::format("weight '{}': elements of '{}'", recipe.name, source.tensor), elements, 0,
                                static_cast<std::int64_t>(kMaxSpaceBytes));
    const std::int64_t rows = source.shape.empty() ? 1 : source.shape[0];
    const bool unused = source == WeightSource{};
    if (!unused && (source.row_begin < 0 || source.row_begin >= source.row_end || source.row_end > rows))
      refuse("weight '{}': rows {} to {} lie outside '{}' of shape {}", recipe.name, source.row_begin, source.row_end,
             source.tensor, shape_text(source.shape));
  }
}

void check_weight(const Plan& plan, const PlanWeight& weight) {
  const WeightRecipe& recipe = weight.recipe;
  check_name("a weight's name", recipe.name);
  check_between(fmt::format("weight '{}': kind", recipe.name), static_cast<int>(recipe.kind), 0,
                static_cast<int>(RecipeKind::exp_scalar));
  for (const Dtype dtype : {recipe.dtype, recipe.fold_dtype})
    check_between(fmt::format("weight '{}': type", recipe.name), static_cast<int>(dtype), 0,
                  static_cast<int>(Dtype::i32));
  check_recipe(recipe);
  check_sources(recipe, recipe.sources);
  check_sources(recipe, recipe.bias);
  check_sources(recipe, {recipe.gamma, recipe.beta});
  const auto bytes = static_cast<std::uint64_t>(recipe.result_bytes());
  if (weight.offset_bytes % kWeightAlignment != 0)
    refuse("weight '{}': offset {} is no multiple of {}", recipe.name, weight.offset_bytes, kWeightAlignment);
  if (weight.offset_bytes > plan.weight_bytes || bytes > plan.weight_bytes - weight.offset_bytes)
    refuse("weight '{}': {} bytes at {} lie outside the weights ({} bytes)", recipe.name, bytes, weight.offset_bytes,
           plan.weight_bytes);
}

void check_weights(const Plan& plan) {
  check_count("weights", plan.weights.size(), kMaxWeights);
  std::vector<const PlanWeight*> order;
  for (const PlanWeight& weight : plan.weights) {
    check_weight(plan, weight);
    order.push_back(&weight);
  }
  std::sort(order.begin(), order.end(), [](auto* a, auto* b) { return a->offset_bytes < b->offset_bytes; });
  for (std::size_t i = 1; i < order.size(); ++i)
    if (order[i]->offset_bytes <
        order[i - 1]->offset_bytes + static_cast<std::uint64_t>(order[i - 1]->recipe.result_bytes()))
      refuse("weights '{}' and '{}' overlap", order[i - 1]->recipe.name, order[i]->recipe.name);
}

void check_tensor(const PlanTensor& tensor) {
  check_name("a tensor's name", tensor.name);
  if (tensor.name.empty()) refuse("an input or output has no name");
  check_between(fmt::format("tensor '{}': type", tensor.name), static_cast<int>(tensor.dtype), 0,
                static_cast<int>(Dtype::i32));
  check_count("dimensions of an input or output", tensor.shape.size(), kMaxRank);
  const std::int64_t elements = element_count(tensor.shape);
  const auto limit = static_cast<std::int64_t>(kMaxSpaceBytes);
  check_between<std::int64_t>(fmt::format("tensor '{}': elements", tensor.name), elements, 1, limit);
  const std::int64_t columns = tensor.shape.empty() ? 1 : tensor.shape.back();
  const std::int64_t rows = elements / columns;
  check_between<std::int64_t>(fmt::format("tensor '{}': row distance", tensor.name), tensor.ld, columns,
                              limit / rows / dtype_bytes(tensor.dtype));
  check_between<std::int64_t>(fmt::format("tensor '{}': value limit", tensor.name), tensor.value_limit, 0,
                              std::int64_t{1} << 31);
}

void check_tensors(const Plan& plan) {
  check_count("inputs", plan.inputs.size(), kMaxTensors);
  check_count("outputs", plan.outputs.size(), kMaxTensors);
  for (const auto* tensors : {&plan.inputs, &plan.outputs}) {
    std::set<std::string_view> names;
    for (const PlanTensor& tensor : *tensors) {
      check_tensor(tensor);
      if (!names.insert(tensor.name).second) refuse("tensor '{}' appears twice", tensor.name);
    }
  }
}

std::uint64_t tensor_bytes(const std::vector<PlanTensor>& tensors, const BufferRef& target) {
  if (target.index < 0 || static_cast<std::size_t>(target.index) >= tensors.size())
    refuse("input or output {} of {} is referred to", target.index, tensors.size());
  return static_cast<std::uint64_t>(tensors[static_cast<std::size_t>(target.index)].device_bytes());
}

std::uint64_t target_bytes(const Plan& plan, const BufferRef& target) {
  switch (target.space) {
    case BufferSpace::none:
      return 1;  // a null pointer: offset 0 alone
    case BufferSpace::arena:
      return plan.arena_bytes;
    case BufferSpace::weights:
      return plan.weight_bytes;
    case BufferSpace::counters:
      return plan.counter_bytes;
    case BufferSpace::input:
      return tensor_bytes(plan.inputs, target);
    case BufferSpace::output:
      return tensor_bytes(plan.outputs, target);
  }
  refuse("buffer space {} is unknown", static_cast<int>(target.space));
}

// The matrix lies inside its space, and the driver takes its strides and boxes.
void check_map(const PlanStep& step, const Relocation& relocation, std::uint64_t space_bytes) {
  const TensorMapSpec& map = *relocation.map;
  const std::uint32_t at = relocation.param_offset;
  if (at % kTensorMapAlignment != 0 || step.params.size() < kTensorMapBytes ||
      at > step.params.size() - kTensorMapBytes)
    refuse("step '{}': a tensor map at byte {} does not fit {} bytes of parameters", step.name, at, step.params.size());
  const std::string what = fmt::format("step '{}', tensor map at byte {}: ", step.name, at);
  check_between(what + "rows", map.rows, 1, std::numeric_limits<int>::max());
  check_between(what + "columns", map.columns, 1, std::numeric_limits<int>::max());
  check_between(what + "rows of a box", map.box_rows, 1, kMaxBoxRows);
  check_between(what + "elements between rows", map.ld, map.columns, std::numeric_limits<int>::max());
  if (map.ld % 8 != 0) refuse("{}{} elements between rows are no multiple of 8", what, map.ld);
  if (relocation.target.offset_bytes % 16 != 0)
    refuse("{}byte {} of its space is no multiple of 16", what, relocation.target.offset_bytes);
  const std::uint64_t elements = (static_cast<std::uint64_t>(map.rows) - 1) * static_cast<std::uint64_t>(map.ld) +
                                 static_cast<std::uint64_t>(map.columns);
  if (elements > (space_bytes - relocation.target.offset_bytes) / 2)
    refuse("{}{} x {} elements leave their space of {} bytes", what, map.rows, map.columns, space_bytes);
}

void check_relocations(const Plan& plan, const PlanStep& step) {
  std::set<std::uint32_t> offsets;
  for (const Relocation& relocation : step.relocations) {
    const std::uint32_t at = relocation.param_offset;
    if (at % kPointerBytes != 0 || step.params.size() < kPointerBytes || at > step.params.size() - kPointerBytes)
      refuse("step '{}': a pointer at byte {} does not fit {} bytes of parameters", step.name, at, step.params.size());
    if (!offsets.insert(at).second) refuse("step '{}': two pointers at byte {}", step.name, at);
    const std::uint64_t size = target_bytes(plan, relocation.target);
    if (relocation.target.offset_bytes >= size)
      refuse("step '{}': byte {} lies outside its space of {} bytes", step.name, relocation.target.offset_bytes, size);
    if (relocation.map) check_map(step, relocation, size);
  }
}

void check_step(const Plan& plan, std::size_t index) {
  const PlanStep& step = plan.steps[index];
  check_name(fmt::format("step {}: the name", index), step.name);
  check_name(fmt::format("step {}: the tower", index), step.tower);
  if (step.kernel < 0 || static_cast<std::size_t>(step.kernel) >= plan.kernels.size())
    refuse("step '{}': kernel {} of {} does not exist", step.name, step.kernel, plan.kernels.size());
  check_between(fmt::format("step '{}': grid x", step.name), step.grid.x, 1, std::numeric_limits<int>::max());
  check_between(fmt::format("step '{}': grid y", step.name), step.grid.y, 1, kMaxGridYZ);
  check_between(fmt::format("step '{}': grid z", step.name), step.grid.z, 1, kMaxGridYZ);
  check_between(fmt::format("step '{}': stream", step.name), step.stream, 0, plan.stream_count - 1);
  check_count("bytes of kernel parameters", step.params.size(), kMaxParamBytes);
  check_count("pointers of one step", step.relocations.size(), kMaxParamBytes / kPointerBytes);
  check_count("waits of one step", step.waits.size(), kMaxSteps);
  for (const int wait : step.waits)
    if (wait < 0 || static_cast<std::size_t>(wait) >= index)
      refuse("step '{}' ({}) waits for step {}, which is not an earlier one", step.name, index, wait);
  check_relocations(plan, step);
  for (const double cost : {step.flops, step.bytes, step.predicted_us, step.floor_us, step.measured_us})
    check_cost(fmt::format("step '{}': a cost", step.name), cost);
}

void check_choice(const Plan& plan, const KernelChoice& choice) {
  check_count("bytes of a choice's texts",
              choice.device.size() + choice.problem.size() + choice.config.size() + choice.source_hash.size() +
                  choice.alone_config.size(),
              kMaxTextBytes);
  for (const std::string* text : {&choice.device, &choice.problem, &choice.config, &choice.alone_config})
    if (!is_printable(*text)) refuse("a choice holds control characters");
  check_count("steps of one choice", choice.steps.size(), kMaxSteps);
  for (const int step : choice.steps)
    if (step < 0 || static_cast<std::size_t>(step) >= plan.steps.size())
      refuse("the choice for '{}' names step {} of {}", choice.problem, step, plan.steps.size());
  for (const double time : {choice.alone_plan_us, choice.chosen_plan_us}) check_cost("a choice's time", time);
}

}  // namespace

void validate_plan(const Plan& plan) {
  check_header(plan);
  check_figures(plan.figures);
  check_kernels(plan);
  check_tensors(plan);
  check_weights(plan);
  check_count("steps", plan.steps.size(), kMaxSteps);
  for (std::size_t i = 0; i < plan.steps.size(); ++i) check_step(plan, i);
  check_count("choices", plan.choices.size(), kMaxSteps);
  for (const KernelChoice& choice : plan.choices) check_choice(plan, choice);
}

}  // namespace duet
