// A small plan with every field set to something else than its default, for tests of plans and of the plan store.
#pragma once

#include <array>

#include "base/hash.h"
#include "runtime/plan.h"

namespace duet {

inline std::vector<std::byte> sample_bytes(std::size_t count, int seed) {
  std::vector<std::byte> bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>((static_cast<int>(i) * 31 + seed) & 0xff);
  return bytes;
}

inline KernelImage sample_image(const std::string& arch, std::size_t count) {
  KernelImage image{.arch = arch,
                    .cuda_major = 13,
                    .compiler = "NVRTC 13.0",
                    .bytes = sample_bytes(count, 7),
                    .registers = 96,
                    .spill_bytes = 16,
                    .static_smem_bytes = 1024};
  image.hash = hash_bytes(image.bytes);
  return image;
}

inline DeviceFingerprint sample_device() {
  return {.target = "auto",
          .module = "Jetson Orin NX 16GB",
          .arch = "sm_87",
          .sm_count = 8,
          .sm_clock_mhz = 918,
          .memory_clock_mhz = 3199,
          .l2_bytes = 4 << 20,
          .power_mode = "25W",
          .driver_version = 12060};
}

inline std::vector<PlanWeight> sample_weights() {
  WeightRecipe matrix{.name = "text.layers.0.qkv.weight",
                      .kind = RecipeKind::folded_matrix,
                      .sources = {{.tensor = "q", .shape = {64, 96}, .row_begin = 0, .row_end = 64},
                                  {.tensor = "k", .shape = {64, 96}, .row_begin = 8, .row_end = 16}},
                      .gamma = {.tensor = "g", .shape = {96}, .row_begin = 0, .row_end = 96},
                      .rows = 72,
                      .columns = 96,
                      .ld = 104};
  WeightRecipe bias{.name = "text.layers.0.qkv.bias",
                    .kind = RecipeKind::folded_bias,
                    .sources = matrix.sources,
                    .bias = {{.tensor = "", .shape = {72}, .row_begin = 0, .row_end = 72}},
                    .beta = {.tensor = "b", .shape = {96}, .row_begin = 0, .row_end = 96},
                    .dtype = Dtype::f32,
                    .fold_dtype = Dtype::bf16,
                    .rows = 72};
  return {{.recipe = matrix, .offset_bytes = 0}, {.recipe = bias, .offset_bytes = 15104}};
}

inline std::vector<PlanStep> sample_steps() {
  const auto relocation = [](std::uint32_t at, BufferSpace space, int index, std::uint64_t offset) {
    return Relocation{.param_offset = at, .target = {.space = space, .index = index, .offset_bytes = offset}};
  };
  PlanStep first{.kernel = 1,
                 .name = "vision.patches",
                 .tower = "vision",
                 .grid = {.x = 7, .y = 2, .z = 1},
                 .params = sample_bytes(64, 1),
                 .relocations = {relocation(0, BufferSpace::input, 0, 0), relocation(8, BufferSpace::arena, 0, 256)},
                 .flops = 1.5e9,
                 .bytes = 2.25e6,
                 .predicted_us = 12.5,
                 .floor_us = 4.75,
                 .measured_us = 13.1};
  PlanStep second{.kernel = 0,
                  .name = "text.layers.0.qkv",
                  .tower = "text",
                  .grid = {.x = 1, .y = 9, .z = 3},
                  .params = sample_bytes(192, 2),
                  .relocations = {relocation(16, BufferSpace::weights, 0, 15104),
                                  relocation(24, BufferSpace::counters, 0, 64),
                                  relocation(32, BufferSpace::none, 0, 0),
                                  {.param_offset = 64,
                                   .target = {.space = BufferSpace::weights, .index = 0, .offset_bytes = 0},
                                   .map = TensorMapSpec{.rows = 72, .columns = 96, .ld = 104, .box_rows = 24}}},
                  .stream = 1,
                  .flops = 1e8,
                  .bytes = 1e5,
                  .predicted_us = 3,
                  .floor_us = 1,
                  .measured_us = 0.1 + 0.2};
  PlanStep third{.kernel = 1,
                 .name = "similarity",
                 .tower = "joint",
                 .params = sample_bytes(8, 3),
                 .relocations = {relocation(0, BufferSpace::output, 0, 4)},
                 .waits = {0, 1}};
  return {first, second, third};
}

inline Plan sample_plan() {
  Plan plan{.key = {.model = "clip-vit-base-patch32",
                    .graph_hash = "00112233445566778899aabbccddeeff",
                    .batch = 2,
                    .precision = Dtype::f16,
                    .variant = "fused-streams",
                    .device = sample_device()},
            .provenance = Provenance::measured,
            .mode = ExecutionMode::streams,
            .stream_count = 2,
            .streams = {{.priority = 0, .sms = 6}, {.priority = 1, .sms = 2}}};
  plan.kernels = {{.entry = "gemm_64x64x32_s3",
                   .family = "gemm",
                   .config_text = "block 64x64x32, warps 2x2, stages 3, split-K 1",
                   .source = "#include \"templates/gemm.cuh\"\n// \"quoted\" 'text'; DROP TABLE plans\n",
                   .threads = 128,
                   .smem_bytes = 49152,
                   .images = {sample_image("sm_87", 3000), sample_image("sm_110", 2000)}},
                  {.entry = "patch_embed", .family = "embedding", .config_text = "rows 4", .threads = 256}};
  plan.steps = sample_steps();
  plan.weights = sample_weights();
  plan.inputs = {{.name = "pixels", .dtype = Dtype::f32, .shape = {2, 3, 8, 8}, .ld = 8}};
  plan.outputs = {{.name = "scores", .dtype = Dtype::bf16, .shape = {2, 5}, .ld = 8}};
  plan.inputs.push_back({.name = "ids", .dtype = Dtype::i32, .shape = {2, 7}, .ld = 7, .value_limit = 49408});
  plan.arena_bytes = 4096;
  plan.weight_bytes = 16384;
  plan.counter_bytes = 256;
  plan.figures = {.latency_us_samples = {512.25, 498.1, 0.1 + 0.7},
                  .latency_us = 498.1,
                  .floor_us = 120.5,
                  .baseline_latency_us = 901,
                  .baseline_steps = 12,
                  .energy_mj = 41.5,
                  .objective = "least energy, latency <= 500 us",
                  .environment = "Orin NX, 918 MHz, 54 C",
                  .commit = "abc123"};
  plan.choices = {{.device = "Orin NX 25W",
                   .problem = "gemm f16 m=50 n=2304 k=768",
                   .config = "block 64x64x32, variant 1",
                   .source_hash = "feedbeef",
                   .steps = {1},
                   .alone_config = "block 64x64x32, variant 2",
                   .alone_plan_us = 505.5,
                   .chosen_plan_us = 498.5}};
  return plan;
}

}  // namespace duet
