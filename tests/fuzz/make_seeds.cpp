// Writes the seeds of every fuzz target: make_seeds SOURCE_DIR CORPUS_DIR. Shipped files where there are some, else
// small valid files made by Duet's own writers.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "base/gzip.h"
#include "base/npy.h"
#include "runtime/plan_store.h"
#include "runtime/safetensors.h"
#include "tests/support/sample_plan.h"
#include "tests/tuner/sample_elf.h"

namespace duet {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxSeedBytes = 1 << 20;

fs::path corpus(const fs::path& root, const std::string& target) {
  fs::create_directories(root / target);
  return root / target;
}

// The file must describe the device it is named after.
std::string renamed_device(std::string text, const std::string& name) {
  const std::size_t at = text.find("name: " + name);
  if (at != std::string::npos) text.replace(at + 6, name.size(), "fuzzed");
  return text;
}

void copy_yaml(const fs::path& from, const fs::path& to, bool devices) {
  for (const auto& entry : fs::directory_iterator(from)) {
    if (entry.path().extension() != ".yaml") continue;
    std::string text = read_text_file(entry.path(), kMaxSeedBytes);
    if (devices) text = renamed_device(std::move(text), entry.path().stem().string());
    publish_file(to / entry.path().filename(), text);
  }
}

// One op a file: small seeds reach more of the parser than whole models do.
void write_small_graphs(const fs::path& folder) {
  const std::string head =
      "duet: 1\nname: g\ninputs:\n  x: {dtype: float, shape: [B, 4, 8]}\n  ids: {dtype: i32, shape: [B, 4]}\n"
      "towers:\n  t:\n    nodes:\n      - ";
  const std::string tail = "\noutputs: {y: t.n}\n";
  const char* nodes[] = {"{name: n, op: linear, input: x, width: 8, weights: w}",
                         "{name: n, op: layer_norm, input: x, epsilon: 1e-5, weights: w}",
                         "{name: n, op: attention, q: x, k: x, v: x, heads: 2, mask: causal}",
                         "{name: n, op: add, left: x, right: x}",
                         "{name: n, op: pool, input: x, kind: class}",
                         "{name: n, op: pool, input: x, kind: eot, ids: ids, eot_token: 3}",
                         "{name: n, op: embedding, input: ids, vocabulary: 9, width: 8, table: w, position: p}",
                         "{name: n, op: gelu, input: x}",
                         "{name: n, op: l2_normalize, input: x}"};
  int index = 0;
  for (const char* node : nodes) publish_file(folder / ("small" + std::to_string(index++)), head + node + tail);
}

void write_tensors(const fs::path& root) {
  const HostTensor floats = HostTensor::from_floats({2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6});
  const HostTensor ints = HostTensor::from_ints({3}, std::vector<std::int32_t>{7, 8, 9});
  const HostTensor scalar = HostTensor::zeros(Dtype::f16, {});
  for (const auto& [name, tensor] : {std::pair{"floats", floats}, std::pair{"ints", ints}, std::pair{"scalar", scalar}})
    write_npy(corpus(root, "npy_fuzz") / name, tensor);
  const fs::path whole = corpus(root, "safetensors_fuzz") / "three";
  write_safetensors(whole, {{"a.weight", floats}, {"b", ints}, {"empty", HostTensor::zeros(Dtype::bf16, {0, 4})}});
  const std::string text = read_text_file(whole, kMaxSeedBytes);
  const std::size_t end = text.rfind('}');
  publish_file(corpus(root, "safetensors_header_fuzz") / "three", "\x06" + text.substr(8, end - 7));
}

void write_stores(const fs::path& folder) {
  const fs::path work = folder.parent_path() / "work";
  fs::remove_all(work);
  fs::create_directories(work);
  {
    PlanStore store = PlanStore::open(work / "tune.db", PlanStore::Mode::tune);
    store.export_to(work / "empty", {});
    const std::int64_t id = store.put(sample_plan());
    store.record({.device = "device",
                  .problem = "problem",
                  .config = "c",
                  .source_hash = "s",
                  .status = "ok",
                  .samples_us = {1, 2, 3}});
    store.export_to(work / "plan", {id});
  }
  for (const char* name : {"empty", "plan"}) publish_file(folder / name, read_binary_file(work / name, kMaxSeedBytes));
  publish_file(folder / "tuning", read_binary_file(work / "tune.db", kMaxSeedBytes));
  fs::remove_all(work);
}

std::string golden_text(const fs::path& golden, const std::string& name) {
  return read_text_file(golden / name, kMaxSeedBytes);
}

// The goldens are small already; images above 64 KiB would only be cut by the fuzzer.
void write_frontend(const fs::path& golden, const fs::path& root) {
  for (const auto& entry : fs::directory_iterator(golden / "images"))
    if (entry.file_size() < (64 << 10))
      publish_file(corpus(root, "image_fuzz") / entry.path().filename(), read_binary_file(entry.path(), kMaxSeedBytes));
  for (const char* name : {"processor-clip.json", "processor-clip-odd.json", "processor-siglip.json"})
    publish_file(corpus(root, "processor_fuzz") / name, golden_text(golden, name));
  publish_file(corpus(root, "processor_fuzz") / "small",
               R"({"size": {"shortest_edge": 9}, "crop_size": {"height": 8, "width": 7}, "resample": 2})");
  const std::string vocabulary =
      R"({"a": 0, "b</w>": 1, "ab</w>": 2, "<|startoftext|>": 3, "<|endoftext|>": 4, "b": 5, "!</w>": 6, "a</w>": 7})";
  const std::string config = R"({"eos_token": {"content": "<|endoftext|>", "normalized": true}, "pad_token": "b"})";
  const fs::path tokenizers = corpus(root, "tokenizer_fuzz");
  publish_file(tokenizers / "two",
               std::string(1, '\0') + vocabulary + "\f#version: 0.2\na b</w>\n\f" + config + "\fAB! ab");
  publish_file(tokenizers / "one", "\x01{\"model\": {\"end_of_word_suffix\": \"</w>\", \"vocab\": " + vocabulary +
                                       ", \"merges\": [[\"a\", \"b</w>\"]]}}\f" + config + "\fab <|endoftext|>");
  const fs::path pieces = corpus(root, "sentencepiece_fuzz");
  publish_file(pieces / "siglip2", "\x01" + golden_text(golden, "siglip2/tokenizer.model"));
  publish_file(pieces / "siglip", std::string(1, '\0') + golden_text(golden, "siglip/spiece.model"));
}

void write_seeds(const fs::path& source, const fs::path& root) {
  copy_yaml(source / "graphs", corpus(root, "graph_fuzz"), false);
  write_small_graphs(corpus(root, "graph_fuzz"));
  copy_yaml(source / "devices", corpus(root, "device_fuzz"), true);
  copy_yaml(source / "schedules", corpus(root, "schedule_fuzz"), false);
  copy_yaml(source / "calibration", corpus(root, "calibration_fuzz"), false);
  copy_yaml(source / "choices", corpus(root, "choices_fuzz"), false);
  publish_file(corpus(root, "problem_fuzz") / "gemm",
               "gemm f16 m=49 n=768 k=3072 patches=32 of 3x224x224 layer_norm bias quick_gelu residual_rows=49");
  publish_file(corpus(root, "problem_fuzz") / "head",
               "head_f16_to_f32_batch=1_tokens=77_columns=512_pool=eot_layer_norm_outputs=512_normalize");
  write_tensors(root);
  // Two changes of rows: a small number into one column, text into another.
  publish_file(corpus(root, "plan_rows_fuzz") / "two", std::string("\x05\x00\x00\xff\x21\x01\x03\x02[]", 10));
  write_stores(corpus(root, "plan_store_fuzz"));
  write_frontend(source / "tests" / "frontend" / "golden", root);
  const std::string space = "tile,layout,time_ms,cost_s,status\n8,row,1.5,0.5,ok\n16,col,,0.25,\"a, b\"\n";
  publish_file(corpus(root, "recorded_space_fuzz") / "plain", space);
  publish_file(corpus(root, "recorded_space_fuzz") / "packed", gzip(space));
  publish_file(corpus(root, "cubin_fuzz") / "kernel", sample_elf());
  publish_file(corpus(root, "cubin_fuzz") / "log",
               "ptxas info    : Used 255 registers, 256 bytes smem\n 16 bytes stack frame, 12 bytes spill stores, 20 "
               "bytes spill loads\n");
}

}  // namespace
}  // namespace duet

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: make_seeds SOURCE_DIR CORPUS_DIR\n");
    return 2;
  }
  try {
    duet::write_seeds(argv[1], argv[2]);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "make_seeds: %s\n", error.what());
    return 1;
  }
}
