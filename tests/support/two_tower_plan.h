// A small plan of two towers on two streams, with a FakeDevice that computes it: for tests of the engine and the C API.
//   vision: scaled = pixels * weight      (stream 0, arena)
//   text:   looked = ids + 1              (stream 1, arena)
//   joint:  scores = scaled + looked      (stream 0, waits for text)
#pragma once

#include <string>
#include <vector>

#include "base/hash.h"
#include "runtime/generated_weights.h"
#include "runtime/plan.h"
#include "tests/support/fake_device.h"

namespace duet {

namespace two_tower {

constexpr int kRows = 2;
constexpr int kColumns = 3;
constexpr int kLd = 8;  // of the padded f32 tensors

inline PlanKernel make_kernel(const std::string& entry) {
  PlanKernel kernel;
  kernel.entry = entry;
  kernel.family = "test";
  kernel.config_text = "test";
  kernel.source = "// " + entry;
  kernel.threads = 32;
  KernelImage image;
  image.arch = "sm_87";
  image.cuda_major = 12;
  image.compiler = "test";
  image.bytes = {std::byte{1}, std::byte{2}};
  image.hash = hash_bytes(image.bytes);
  kernel.images.push_back(image);
  return kernel;
}

inline PlanStep make_step(int kernel, const std::string& name, const std::string& tower,
                          const std::vector<BufferRef>& pointers) {
  PlanStep step;
  step.kernel = kernel;
  step.name = name;
  step.tower = tower;
  step.params.resize(pointers.size() * 8);
  for (std::size_t i = 0; i < pointers.size(); ++i) {
    step.relocations.push_back({static_cast<std::uint32_t>(i * 8), pointers[i]});
  }
  return step;
}

inline Plan make_plan() {
  const BufferRef pixels{BufferSpace::input, 0, 0};
  const BufferRef ids{BufferSpace::input, 1, 0};
  const BufferRef scaled{BufferSpace::arena, 0, 0};
  const BufferRef looked{BufferSpace::arena, 0, 256};
  Plan plan;
  plan.key.model = "two-tower";
  plan.key.graph_hash = "0123456789abcdef0123456789abcdef";
  plan.key.precision = Dtype::f32;
  plan.key.variant = "fused-streams";
  plan.key.device.module = "fake";
  plan.key.device.arch = "sm_87";
  plan.mode = ExecutionMode::streams;
  plan.stream_count = 2;
  plan.kernels = {make_kernel("scale"), make_kernel("look_up"), make_kernel("add")};
  plan.steps = {make_step(0, "vision.scale", "vision", {pixels, {BufferSpace::weights, 0, 0}, scaled}),
                make_step(1, "text.look_up", "text", {ids, {}, looked}),
                make_step(2, "joint.add", "joint", {scaled, looked, {BufferSpace::output, 0, 0}})};
  plan.steps[1].stream = 1;
  plan.steps[2].waits = {1};
  PlanWeight weight;
  weight.recipe.name = "vision.scale.weight";
  weight.recipe.kind = RecipeKind::vector;
  weight.recipe.sources = {{"scale", {kColumns}, 0, kColumns}};
  weight.recipe.dtype = Dtype::f32;
  weight.recipe.rows = kColumns;
  plan.weights = {weight};
  plan.inputs = {{"pixels", Dtype::f32, {kRows, kColumns}, kLd, 0}, {"ids", Dtype::i32, {kRows}, kRows, 100}};
  plan.outputs = {{"scores", Dtype::f32, {kRows, kColumns}, kLd, 0}};
  plan.arena_bytes = 512;
  plan.weight_bytes = 256;
  plan.counter_bytes = 256;
  return plan;
}

inline MapWeights make_weights() {
  MapWeights weights;
  weights.set("scale", HostTensor::from_floats({kColumns}, std::vector<float>{1.0F, 2.0F, 4.0F}));
  return weights;
}

inline void define_kernels(FakeDevice& device) {
  device.define("scale", [](const Launch& launch) {
    const auto* in = FakeDevice::pointer<const float>(FakeDevice::param<DeviceAddress>(launch, 0));
    const auto* weight = FakeDevice::pointer<const float>(FakeDevice::param<DeviceAddress>(launch, 8));
    auto* out = FakeDevice::pointer<float>(FakeDevice::param<DeviceAddress>(launch, 16));
    for (int i = 0; i < kRows * kLd; ++i) out[i] = i % kLd < kColumns ? in[i] * weight[i % kLd] : in[i];
  });
  device.define("look_up", [](const Launch& launch) {
    const auto* in = FakeDevice::pointer<const std::int32_t>(FakeDevice::param<DeviceAddress>(launch, 0));
    auto* out = FakeDevice::pointer<float>(FakeDevice::param<DeviceAddress>(launch, 16));
    for (int row = 0; row < kRows; ++row) out[row] = static_cast<float>(in[row] + 1);
  });
  device.define("add", [](const Launch& launch) {
    const auto* scaled = FakeDevice::pointer<const float>(FakeDevice::param<DeviceAddress>(launch, 0));
    const auto* looked = FakeDevice::pointer<const float>(FakeDevice::param<DeviceAddress>(launch, 8));
    auto* out = FakeDevice::pointer<float>(FakeDevice::param<DeviceAddress>(launch, 16));
    for (int i = 0; i < kRows * kLd; ++i) out[i] = scaled[i] + (i % kLd < kColumns ? looked[i / kLd] : 0.0F);
  });
}

}  // namespace two_tower
}  // namespace duet
