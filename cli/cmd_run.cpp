// `duet run`: run a stored plan on inputs, and show or write what comes out.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/npy.h"
#include "cli/command.h"
#include "cli/device_images.h"
#include "cli/plan_choice.h"
#include "cli/real_input.h"
#include "cli/similarity_table.h"
#include "cli/stand_in.h"
#include "cli/target.h"
#include "codegen/reference.h"
#include "codegen/shorten_text.h"
#include "runtime/engine.h"
#include "runtime/text_length.h"

namespace duet {
namespace {

struct RunFlags {
  PlanChoice plan;
  std::string target = "auto";
  std::filesystem::path weights;
  std::vector<std::string> inputs;
  RealInput real;
  std::filesystem::path output;
  std::string preprocess = "cpu";
  std::uint64_t seed = 1;
  bool check = false;
};

using Tensors = std::map<std::string, HostTensor>;

// The first columns of token ids for a plan that computes no more; other inputs as they are.
HostTensor cut_texts(const HostTensor& tensor, const Shape& shape) {
  if (tensor.dtype != Dtype::i32 || tensor.shape.size() != 2 || shape.size() != 2 || tensor.shape[0] != shape[0] ||
      tensor.shape[1] <= shape[1])
    return tensor;
  std::vector<std::int32_t> ids;
  const auto all = tensor.ints();
  for (std::int64_t row = 0; row < shape[0]; ++row) {
    const auto begin = all.subspan(static_cast<std::size_t>(row * tensor.shape[1]), static_cast<std::size_t>(shape[1]));
    ids.insert(ids.end(), begin.begin(), begin.end());
  }
  return HostTensor::from_ints(shape, ids);
}

// Of a plan named by its number.
void require_room_for_texts(const Plan& plan, std::int64_t text_tokens) {
  const int length = text_length_of(plan.key.variant);
  if (length > 0 && text_tokens > length)
    fail(ErrorKind::input, "the longest text has {} tokens, and this plan ({}) computes the first {}", text_tokens,
         plan.key.variant, length);
}

struct Comparison {
  double cosine_min = 1;
  double max_abs_error = 0;
};

struct RunResult {
  Tensors outputs;
  std::map<std::string, Comparison> checks;  // empty unless asked for
  std::optional<SimilarityTable> similarity;
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

// `images` writes the pixels of the batch that begins at `first`, where the device preprocesses them.
Tensors run_once(Engine& engine, const Tensors& inputs, DeviceImages* images = nullptr, std::int64_t first = 0) {
  for (const PlanTensor& input : engine.plan().inputs) {
    if (images != nullptr && input.name == kPixelInput) continue;
    engine.set_input(input.name, cut_texts(inputs.at(input.name), input.shape));
  }
  if (images != nullptr) images->write_batch(first);
  engine.run();
  Tensors outputs;
  for (const PlanTensor& output : engine.plan().outputs) outputs[output.name] = engine.output(output.name);
  return outputs;
}

nlohmann::json outputs_json(const Tensors& outputs) {
  nlohmann::json out;
  for (const auto& [name, tensor] : outputs) {
    const HostTensor values = convert(tensor, Dtype::f32);
    out[name] = {{"shape", tensor.shape},
                 {"values", std::vector<float>(values.floats().begin(), values.floats().end())}};
  }
  return out;
}

void print_outputs(const Tensors& outputs) {
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

// Keeps the worst of all batches.
void check_outputs(const Graph& graph, const Tensors& inputs, const WeightProvider& weights, const Tensors& outputs,
                   std::map<std::string, Comparison>& checks) {
  const auto expected = evaluate(graph, inputs, weights);
  for (const auto& [name, tensor] : outputs) {
    const Comparison found = compare(convert(tensor, Dtype::f32), expected.at(name));
    Comparison& worst = checks[name];
    if (!(found.cosine_min >= worst.cosine_min)) worst.cosine_min = found.cosine_min;
    if (!(found.max_abs_error <= worst.max_abs_error)) worst.max_abs_error = found.max_abs_error;
  }
}

RunResult run_arrays(const RunFlags& flags, const Graph& graph, const Tensors& inputs, Engine& engine,
                     const WeightProvider& weights) {
  RunResult result;
  result.outputs = run_once(engine, inputs);
  if (flags.check) check_outputs(graph, inputs, weights, result.outputs, result.checks);
  return result;
}

// Moves the rows of a batch that are inputs `first` and up of `total` to the end of `all`.
void append_rows(HostTensor& all, const HostTensor& batch, std::int64_t first, std::int64_t total) {
  const std::int64_t rows = std::clamp<std::int64_t>(total - first, 0, batch.shape[0]);
  if (all.shape.empty()) all = {.dtype = batch.dtype, .shape = {0, batch.shape.at(1)}};
  const auto row_bytes = batch.bytes.size() / static_cast<std::size_t>(batch.shape[0]);
  all.bytes.insert(all.bytes.end(), batch.bytes.begin(),
                   batch.bytes.begin() + static_cast<std::ptrdiff_t>(row_bytes * static_cast<std::size_t>(rows)));
  all.shape[0] += rows;
}

// One kind of input that comes in any number: its rows, and the output that each row becomes.
struct Stream {
  const char* input;
  const char* output;
  std::int64_t count = 0;
  HostTensor rows;  // empty where the device makes them itself
};

bool preprocesses_on_device(const RunFlags& flags) { return flags.preprocess == "gpu" && !flags.real.images.empty(); }

std::vector<Stream> load_streams(const RunFlags& flags, const Graph& graph) {
  std::vector<Stream> streams;
  const RealInput& real = flags.real;
  if (!real.images.empty()) {
    streams.push_back({kPixelInput, "image_embeds", static_cast<std::int64_t>(real.images.size()), {}});
    const bool on_host = flags.check || !preprocesses_on_device(flags);  // the reference reads them in any case
    if (on_host) streams.back().rows = load_images(graph, real, flags.weights);
  }
  if (!real.texts.empty()) {
    streams.push_back({kTokenInput, "text_embeds", static_cast<std::int64_t>(real.texts.size()),
                       load_texts(graph, real, flags.weights)});
  }
  return streams;
}

// A plan has one batch size for both towers; it is replayed until all images and all texts went through.
RunResult run_streams(const RunFlags& flags, const Graph& graph, const std::vector<Stream>& streams, Tensors inputs,
                      const Target& target, Engine& engine, const WeightProvider& weights) {
  std::optional<DeviceImages> images;
  if (preprocesses_on_device(flags)) images.emplace(graph, flags.real, flags.weights, target, engine);
  std::int64_t longest = 0;
  for (const Stream& stream : streams) longest = std::max(longest, stream.count);
  const std::int64_t batch = inputs.at(streams.front().input).shape[0];
  RunResult result;
  for (std::int64_t first = 0; first < longest; first += batch) {
    for (const Stream& stream : streams) {
      if (!stream.rows.bytes.empty()) inputs[stream.input] = batch_of(stream.rows, first, batch);
    }
    const Tensors outputs = run_once(engine, inputs, images ? &*images : nullptr, first);
    if (flags.check) check_outputs(graph, inputs, weights, outputs, result.checks);
    for (const Stream& stream : streams)
      append_rows(result.outputs[stream.output], convert(outputs.at(stream.output), Dtype::f32), first, stream.count);
  }
  if (streams.size() == 2) {
    result.similarity =
        compare_embeddings(graph, weights, result.outputs.at("image_embeds"), result.outputs.at("text_embeds"));
    result.outputs["logits_per_image"] = result.similarity->logits;
  }
  return result;
}

// The tokens of the longest text of all that will be run; 0 for a graph whose texts cannot be cut.
std::int64_t longest_text_of(const Graph& graph, const std::vector<Stream>& streams, const Tensors& inputs) {
  try {
    const std::string& name = text_input(graph);
    for (const Stream& stream : streams)
      if (stream.input == name) return longest_text(graph, stream.rows);
    return longest_text(graph, inputs.at(name));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::usage) throw;
    return 0;
  }
}

void print_json(const RunResult& result, const RunFlags& flags, const Graph& graph, const Plan& plan) {
  nlohmann::json out{{"model", graph.name},
                     {"provenance", provenance_name(plan.provenance)},
                     {"variant", plan.key.variant},
                     {"outputs", outputs_json(result.outputs)}};
  for (const auto& [name, c] : result.checks) {
    out["check"][name] = {{"cosine_min", c.cosine_min}, {"max_abs_error", c.max_abs_error}};
  }
  if (result.similarity) out["similarity"] = similarity_json(*result.similarity, flags.real.images, flags.real.texts);
  fmt::print("{}\n", out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));  // a text may be bad UTF-8
}

void print_text(const RunResult& result, const RunFlags& flags) {
  if (result.similarity) {
    print_similarity(*result.similarity, flags.real.images, flags.real.texts);
  } else {
    print_outputs(result.outputs);
  }
  print_check(result.checks);
}

void write_outputs(const RunResult& result, const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  for (const auto& [name, tensor] : result.outputs) write_npy(folder / (name + ".npy"), tensor);
}

void run(const RunFlags& flags, const GlobalFlags& global) {
  const Graph graph = flags.plan.graph.load();
  const Target target = open_target(flags.target);
  if (!target.device) {
    fail(ErrorKind::missing, "'{}' is not this machine: a plan for it runs there; here use --target auto or emulator",
         flags.target);
  }
  const std::vector<Stream> streams = load_streams(flags, graph);
  const Tensors inputs = load_inputs(graph, flags.inputs, flags.seed);
  const std::int64_t text_tokens = longest_text_of(graph, streams, inputs);
  const Plan plan = text_tokens > 0
                        ? flags.plan.find_for_texts(graph, target.name, *target.device, flags.plan.variant, text_tokens)
                        : flags.plan.find(graph, target.name, *target.device, flags.plan.variant);
  require_room_for_texts(plan, text_tokens);
  const auto weights = load_weights(graph, flags.weights, flags.seed);
  Engine engine(*target.device, plan, *weights);
  const RunResult result = streams.empty() ? run_arrays(flags, graph, inputs, engine, *weights)
                                           : run_streams(flags, graph, streams, inputs, target, engine, *weights);
  if (!flags.output.empty()) write_outputs(result, flags.output);
  if (global.json) {
    print_json(result, flags, graph, plan);
  } else {
    print_text(result, flags);
  }
  require_agreement(result.checks, graph.precision);
}

}  // namespace

void add_run_command(CLI::App& app, const GlobalFlags& global) {
  CLI::App* command = app.add_subcommand("run", "Run a stored plan on inputs");
  auto flags = std::make_shared<RunFlags>();
  flags->plan.variant = kBestVariant;
  flags->plan.add_to(*command);
  command->add_option("--variant", flags->plan.variant, "Which plan of the model; best: the fastest fused one")
      ->capture_default_str();
  command->add_option("--target", flags->target, "auto (the GPU here) or emulator")->capture_default_str();
  command->add_option("--weights", flags->weights,
                      "A checkpoint: a .safetensors file or its folder (default: seeded random weights)");
  command->add_option("--input", flags->inputs, "NAME=FILE.npy, once per input (default: seeded random values)");
  flags->real.add_to(*command);
  command
      ->add_option("--preprocess", flags->preprocess,
                   "Where photos are resized and normalised: cpu, or gpu (the target itself, also the emulator)")
      ->check(CLI::IsMember({"cpu", "gpu"}))
      ->capture_default_str()
      ->group("Images and texts");
  command->add_option("--output", flags->output, "Folder for the outputs as .npy files");
  command->add_option("--seed", flags->seed, "Of random weights and inputs")->capture_default_str();
  command->add_flag("--check", flags->check, "Compare with the fp32 reference on the CPU; exit 6 when they disagree");
  command->footer(
      "Example: duet run clip-vit-b32 --weights clip/ --image photo.jpg --text \"a photo of a cat\" --text \"a dog\"\n"
      "Example: duet run clip-vit-b32 --weights clip/ --input pixel_values=pixels.npy --input input_ids=ids.npy");
  command->callback([flags, &global] { run(*flags, global); });
}

}  // namespace duet
