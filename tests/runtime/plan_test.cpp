#include "runtime/plan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <sstream>

#include "base/error.h"
#include "tests/support/sample_plan.h"

namespace duet {
namespace {

TEST(Plan, TensorsKnowTheirDeviceBytes) {
  EXPECT_EQ((PlanTensor{.name = "a", .dtype = Dtype::f16, .shape = {2, 3, 5}, .ld = 8}).device_bytes(), 2 * 3 * 8 * 2);
  EXPECT_EQ((PlanTensor{.name = "a", .dtype = Dtype::f32, .shape = {}, .ld = 1}).device_bytes(), 4);
}

TEST(ValidatePlan, AcceptsTheSample) { EXPECT_NO_THROW(validate_plan(sample_plan())); }
TEST(ValidatePlan, AcceptsAnEmptyPlan) { EXPECT_NO_THROW(validate_plan(Plan{})); }

TEST(ValidatePlan, RefusesEveryMutation) {
  constexpr auto huge = std::numeric_limits<std::uint64_t>::max();
  constexpr auto huge_signed = std::numeric_limits<std::int64_t>::max();
  const std::vector<std::pair<const char*, std::function<void(Plan&)>>> mutations = {
      {"batch", [](Plan& p) { p.key.batch = 0; }},
      {"precision", [](Plan& p) { p.key.precision = static_cast<Dtype>(9); }},
      {"provenance", [](Plan& p) { p.provenance = static_cast<Provenance>(-1); }},
      {"execution mode", [](Plan& p) { p.mode = static_cast<ExecutionMode>(4); }},
      {"stream count", [](Plan& p) { p.stream_count = 0; }},
      {"stream count", [](Plan& p) { p.stream_count = 1 << 30; }},
      {"shares of 1 streams", [](Plan& p) { p.streams.pop_back(); }},
      {"priority", [](Plan& p) { p.streams[0].priority = 2; }},
      {"priority", [](Plan& p) { p.streams[0].priority = -1; }},
      {"SMs", [](Plan& p) { p.streams[1].sms = -1; }},
      {"SMs", [](Plan& p) { p.streams[1].sms = 1025; }},
      {"key", [](Plan& p) { p.key.model = "two\nlines"; }},
      {"key", [](Plan& p) { p.key.device.module = std::string(10000, 'x'); }},
      {"SM count", [](Plan& p) { p.key.device.sm_count = -1; }},
      {"arena size", [](Plan& p) { p.arena_bytes = huge; }},
      {"weight size", [](Plan& p) { p.weight_bytes = huge; }},
      {"counter size", [](Plan& p) { p.counter_bytes = std::uint64_t{1} << 60; }},
      {"latency", [](Plan& p) { p.figures.latency_us = std::nan(""); }},
      {"latency sample", [](Plan& p) { p.figures.latency_us_samples[0] = HUGE_VAL; }},
      {"baseline", [](Plan& p) { p.figures.baseline_steps = -1; }},
      {"entry", [](Plan& p) { p.kernels[0].entry = "a b"; }},
      {"entry", [](Plan& p) { p.kernels[0].entry = ""; }},
      {"entry", [](Plan& p) { p.kernels[0].entry = "1abc"; }},
      {"entry", [](Plan& p) { p.kernels[0].entry = "x; system(0)"; }},
      {"twice", [](Plan& p) { p.kernels[1].entry = p.kernels[0].entry; }},
      {"thread count", [](Plan& p) { p.kernels[0].threads = 0; }},
      {"thread count", [](Plan& p) { p.kernels[0].threads = 1025; }},
      {"shared memory", [](Plan& p) { p.kernels[0].smem_bytes = -1; }},
      {"shared memory", [](Plan& p) { p.kernels[0].smem_bytes = 1 << 20; }},
      {"registers", [](Plan& p) { p.kernels[0].images[0].registers = 256; }},
      {"kernel 2 of 2", [](Plan& p) { p.steps[0].kernel = 2; }},
      {"kernel -1", [](Plan& p) { p.steps[0].kernel = -1; }},
      {"grid x", [](Plan& p) { p.steps[0].grid.x = 0; }},
      {"grid y", [](Plan& p) { p.steps[0].grid.y = 65536; }},
      {"grid z", [](Plan& p) { p.steps[0].grid.z = -1; }},
      {"stream is 2", [](Plan& p) { p.steps[0].stream = 2; }},
      {"stream is -1", [](Plan& p) { p.steps[0].stream = -1; }},
      {"not an earlier one", [](Plan& p) { p.steps[2].waits = {2}; }},
      {"not an earlier one", [](Plan& p) { p.steps[0].waits = {0}; }},
      {"not an earlier one", [](Plan& p) { p.steps[2].waits = {-1}; }},
      {"parameters", [](Plan& p) { p.steps[0].params.resize(4097); }},
      {"pointer at byte 4 ", [](Plan& p) { p.steps[0].relocations[0].param_offset = 4; }},
      {"pointer at byte 64 ", [](Plan& p) { p.steps[0].relocations[0].param_offset = 64; }},
      {"pointer at byte 4294967288 ", [](Plan& p) { p.steps[0].relocations[0].param_offset = 0xfffffff8; }},
      {"pointer at byte 0 ", [](Plan& p) { p.steps[0].params.clear(); }},
      {"two pointers", [](Plan& p) { p.steps[0].relocations[1].param_offset = 0; }},
      {"outside its space", [](Plan& p) { p.steps[0].relocations[1].target.offset_bytes = 4096; }},
      {"outside its space", [](Plan& p) { p.steps[0].relocations[1].target.offset_bytes = huge; }},
      {"outside its space", [](Plan& p) { p.steps[1].relocations[2].target.offset_bytes = 1; }},
      {"outside its space", [](Plan& p) { p.steps[2].relocations[0].target.offset_bytes = 32; }},
      {"tensor map at byte 72 ", [](Plan& p) { p.steps[1].relocations[3].param_offset = 72; }},
      {"tensor map at byte 128 ", [](Plan& p) { p.steps[1].relocations[3].param_offset = 128; }},
      {"rows is 0", [](Plan& p) { p.steps[1].relocations[3].map->rows = 0; }},
      {"leave their space", [](Plan& p) { p.steps[1].relocations[3].map->rows = 1 << 30; }},
      {"elements between rows", [](Plan& p) { p.steps[1].relocations[3].map->ld = 88; }},
      {"no multiple of 8", [](Plan& p) { p.steps[1].relocations[3].map->ld = 100; }},
      {"rows of a box", [](Plan& p) { p.steps[1].relocations[3].map->box_rows = 257; }},
      {"no multiple of 16", [](Plan& p) { p.steps[1].relocations[3].target.offset_bytes = 8; }},
      {"referred to", [](Plan& p) { p.steps[0].relocations[0].target.index = 2; }},
      {"referred to", [](Plan& p) { p.steps[0].relocations[0].target.index = -1; }},
      {"unknown", [](Plan& p) { p.steps[0].relocations[0].target.space = static_cast<BufferSpace>(6); }},
      {"a cost", [](Plan& p) { p.steps[0].flops = -1; }},
      {"a cost", [](Plan& p) { p.steps[0].predicted_us = std::nan(""); }},
      {"the name", [](Plan& p) { p.steps[0].name = "\x1b[2J"; }},
      {"no multiple of 256", [](Plan& p) { p.weights[0].offset_bytes = 8; }},
      {"outside the weights", [](Plan& p) { p.weights[1].offset_bytes = 16384; }},
      {"outside the weights", [](Plan& p) { p.weights[1].offset_bytes = huge - 255; }},
      {"overlap", [](Plan& p) { p.weights[1].offset_bytes = 0; }},
      {"overflow", [](Plan& p) { p.weights[0].recipe.rows = huge_signed; }},
      {"no shape", [](Plan& p) { p.weights[0].recipe.ld = huge_signed; }},
      {"no shape", [](Plan& p) { p.weights[0].recipe.columns = -1; }},
      {"kind", [](Plan& p) { p.weights[0].recipe.kind = static_cast<RecipeKind>(7); }},
      {"type", [](Plan& p) { p.weights[0].recipe.dtype = static_cast<Dtype>(4); }},
      {"type", [](Plan& p) { p.weights[0].recipe.fold_dtype = static_cast<Dtype>(-4); }},
      {"lie outside", [](Plan& p) { p.weights[0].recipe.sources[0].row_end = 65; }},
      {"lie outside", [](Plan& p) { p.weights[0].recipe.gamma.row_begin = -1; }},
      {"more elements",
       [](Plan& p) {
         p.weights[0].recipe.sources[0].shape = {huge_signed, 2};
       }},
      {"appears twice", [](Plan& p) { p.inputs[1].name = "pixels"; }},
      {"no name", [](Plan& p) { p.outputs[0].name = ""; }},
      {"row distance", [](Plan& p) { p.inputs[0].ld = 7; }},
      {"row distance", [](Plan& p) { p.inputs[0].ld = huge_signed; }},
      {"elements",
       [](Plan& p) {
         p.inputs[0].shape = {2, 0};
       }},
      {"negative",
       [](Plan& p) {
         p.inputs[0].shape = {-2, -2};
       }},
      {"dimensions", [](Plan& p) { p.inputs[0].shape = Shape(9, 1); }},
      {"value limit", [](Plan& p) { p.inputs[1].value_limit = -1; }},
      {"type", [](Plan& p) { p.inputs[0].dtype = static_cast<Dtype>(99); }},
  };
  for (const auto& [why, mutate] : mutations) {
    Plan plan = sample_plan();
    mutate(plan);
    try {
      validate_plan(plan);
      ADD_FAILURE() << "accepted; expected: " << why;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::input);
      EXPECT_NE(std::string(error.what()).find(why), std::string::npos) << error.what() << "\nexpected: " << why;
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    }
  }
}

TEST(DescribePlan, FitsAScreenAndSaysWhatTheFiguresRestOn) {
  Plan plan = sample_plan();
  plan.kernels[0].config_text = std::string(300, 'c');
  plan.key.device.module = std::string(200, 'm');
  const std::string measured = describe_plan(plan);
  std::istringstream lines(measured);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 120u) << line;
  EXPECT_NE(measured.find("MEASURED"), std::string::npos);
  EXPECT_NE(measured.find("1.81x faster"), std::string::npos) << measured;
  for (const char* part : {"vision", "text", "joint", "gemm_64x64x32_s3", "96", "16"})
    EXPECT_NE(measured.find(part), std::string::npos) << part;

  plan.provenance = Provenance::predicted;
  const std::string predicted = describe_plan(plan);
  EXPECT_NE(predicted.find("PREDICTED"), std::string::npos);
  EXPECT_NE(predicted.find("latency 498.1 us predicted"), std::string::npos) << predicted;
  EXPECT_NE(predicted.find("baseline 901.0 us predicted"), std::string::npos) << predicted;
  EXPECT_EQ(predicted.find("MEASURED"), std::string::npos);
  plan.provenance = Provenance::emulated;
  EXPECT_NE(describe_plan(plan).find("EMULATED"), std::string::npos);
  EXPECT_NO_THROW(describe_plan(Plan{}));
}

}  // namespace
}  // namespace duet
