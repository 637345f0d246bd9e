// `duet run`: run a stored plan on inputs, and show or write what comes out.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/npy.h"
#include "cli/command.h"
#include "cli/plan_choice.h"
#include "cli/stand_in.h"
#include "cli/target.h"
#include "codegen/reference.h"
#include "runtime/engine.h"

namespace duet {
namespace {

struct RunFlags {
  PlanChoice plan;
  std::string target = "auto";
  std::filesystem::path weights;
  std::vector<std::string> inputs;
  std::filesystem::path output;
  std::uint64_t seed = 1;
  bool check = false;
};

struct Comparison {
  double cosine_min = 1;
  double max_abs_error = 0;
};

// Row by row over the last dimension.
Comparison compare(const HostTensor& got, const HostTensor& expected) {
  const auto a = got.floats(), b = expected.floats();
  const std::size_t columns = static_cast<std::size_t>(expected.shape.empty() ? 1 : expected.shape.back());
  Comparison result;
  for (std::size_t row = 0; row * columns < b.size(); ++row) {
    double ab = 0, aa = 0, bb = 0;
    for (std::size_t i = row * columns; i < (row + 1) * columns; ++i) {
      ab += double(a[i]) * b[i];
      aa += double(a[i]) * a[i];
      bb += double(b[i]) * b[i];
      const double error = std::abs(double(a[i]) - b[i]);
      if (!(error <= result.max_abs_error)) result.max_abs_error = error;  // a NaN stays
    }
    const double cosine = ab / std::sqrt(aa * bb);
    if (!(cosine >= result.cosine_min)) result.cosine_min = cosine;
  }
  return result;
}

std::map<std::string, HostTensor> run_engine(const RunFlags& flags, const Plan& plan, Device& device,
                                             const WeightProvider& weights,
                                             const std::map<std::string, HostTensor>& inputs) {
  Engine engine(device, plan, weights);
  for (const PlanTensor& input : plan.inputs) engine.set_input(input.name, inputs.at(input.name));
  engine.run();
  std::map<std::string, HostTensor> outputs;
  for (const PlanTensor& output : plan.outputs) {
    outputs[output.name] = engine.output(output.name);
    if (!flags.output.empty()) write_npy(flags.output / (output.name + ".npy"), outputs[output.name]);
  }
  return outputs;
}

nlohmann::json outputs_json(const std::map<std::string, HostTensor>& outputs) {
  nlohmann::json out;
  for (const auto& [name, tensor] : outputs) {
    const HostTensor values = convert(tensor, Dtype::f32);
    out[name] = {{"shape", tensor.shape},
                 {"values", std::vector<float>(values.floats().begin(), values.floats().end())}};
  }
  return out;
}

void print_outputs(const std::map<std::string, HostTensor>& outputs) {
  for (const auto& [name, tensor] : outputs) {
    const HostTensor values = convert(tensor, Dtype::f32);
    const auto floats = values.floats();
    fmt::print("{:<18}{:<12}[{:.5f}{}]\n", name, shape_text(tensor.shape),
               fmt::join(floats.first(std::min<std::size_t>(6, floats.size())), ", "),
               floats.size() > 6 ? ", ..." : "");
  }
}

void print_check(const std::map<std::string, Comparison>& checks) {
  for (const auto& [name, c] : checks) {
    fmt::print("{:<18}against the fp32 reference: cosine at least {:.6f}, largest error {:.2e}\n", name, c.cosine_min,
               c.max_abs_error);
  }
}

// Embeddings must agree in direction; the minimum is that of the project's standard for 16-bit plans.
void require_agreement(const std::map<std::string, Comparison>& checks, Dtype precision) {
  const double minimum = precision == Dtype::bf16 ? 0.999 : 0.9999;
  for (const auto& [name, c] : checks) {
    if (!(c.cosine_min >= minimum)) {
      fail(ErrorKind::no_result, "output '{}' differs from the reference: cosine {:.6f}, at least {} is expected", name,
           c.cosine_min, minimum);
    }
  }
}

std::map<std::string, Comparison> check_outputs(const Graph& graph, const std::map<std::string, HostTensor>& inputs,
                                                const WeightProvider& weights,
                                                const std::map<std::string, HostTensor>& outputs) {
  const auto expected = evaluate(graph, inputs, weights);
  std::map<std::string, Comparison> checks;
  for (const auto& [name, tensor] : outputs) checks[name] = compare(convert(tensor, Dtype::f32), expected.at(name));
  return checks;
}

void run(const RunFlags& flags, const GlobalFlags& global) {
  const Graph graph = flags.plan.graph.load();
  const Target target = open_target(flags.target);
  if (!target.device) {
    fail(ErrorKind::missing, "'{}' is not this machine: a plan for it runs there; here use --target auto or emulator",
         flags.target);
  }
  const Plan plan = flags.plan.find(graph, target.name, *target.device, flags.plan.variant);
  const auto inputs = load_inputs(graph, flags.inputs, flags.seed);
  const auto weights = load_weights(graph, flags.weights, flags.seed);
  if (!flags.output.empty()) std::filesystem::create_directories(flags.output);
  const auto outputs = run_engine(flags, plan, *target.device, *weights, inputs);
  std::map<std::string, Comparison> checks;
  if (flags.check) checks = check_outputs(graph, inputs, *weights, outputs);
  if (global.json) {
    nlohmann::json out{
        {"model", graph.name}, {"provenance", provenance_name(plan.provenance)}, {"outputs", outputs_json(outputs)}};
    for (const auto& [name, c] : checks) {
      out["check"][name] = {{"cosine_min", c.cosine_min}, {"max_abs_error", c.max_abs_error}};
    }
    fmt::print("{}\n", out.dump(2));
  } else {
    print_outputs(outputs);
    print_check(checks);
  }
  require_agreement(checks, graph.precision);
}

}  // namespace

void add_run_command(CLI::App& app, const GlobalFlags& global) {
  CLI::App* command = app.add_subcommand("run", "Run a stored plan on inputs");
  auto flags = std::make_shared<RunFlags>();
  flags->plan.add_to(*command);
  command->add_option("--variant", flags->plan.variant, "Which plan of the model")->capture_default_str();
  command->add_option("--target", flags->target, "auto (the GPU here) or emulator")->capture_default_str();
  command->add_option("--weights", flags->weights,
                      "A checkpoint: a .safetensors file or its folder (default: seeded random weights)");
  command->add_option("--input", flags->inputs, "NAME=FILE.npy, once per input (default: seeded random values)");
  command->add_option("--output", flags->output, "Folder for the outputs as .npy files");
  command->add_option("--seed", flags->seed, "Of random weights and inputs")->capture_default_str();
  command->add_flag("--check", flags->check, "Compare with the fp32 reference on the CPU; exit 6 when they disagree");
  command->footer(
      "Example: duet run clip-vit-b32 --weights clip/ --input pixel_values=pixels.npy --input input_ids=ids.npy");
  command->callback([flags, &global] { run(*flags, global); });
}

}  // namespace duet
