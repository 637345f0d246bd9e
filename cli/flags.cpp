#include <fmt/format.h>

#include "base/error.h"
#include "cli/command.h"
#include "cli/data_files.h"
#include "codegen/graph_yaml.h"
#include "codegen/keep_tower.h"
#include "codegen/shorten_text.h"

namespace duet {

void GraphFlags::add_to(CLI::App& command) {
  command.add_option("model", model, "A graph that ships (clip-vit-b32, tiny-dual, ...) or a YAML file")->required();
  command.add_option("--batch", batch, "Images and texts per run")->capture_default_str()->check(CLI::Range(1, 4096));
  command.add_option("--precision", precision, "Of activations and matrices")
      ->capture_default_str()
      ->check(CLI::IsMember({"f16", "bf16"}));
  command.add_option("--tower", tower, "One tower alone (vision, text): a model of its own (default: all)");
  command.add_option("--text-length", text_length, "Compute the first tokens of each text only; 0: all")
      ->capture_default_str()
      ->check(CLI::Range(0, 65536));
}

Graph GraphFlags::load() const {
  Graph graph = load_graph(find_data_file("graphs", model), {.batch = batch, .precision = parse_dtype(precision)});
  if (text_length > 0) graph = shorten_text(graph, text_length);
  return tower.empty() ? graph : keep_tower(graph, tower);
}

std::string GraphFlags::command_text() const {
  const std::string text = fmt::format("{} --batch {}", model, batch);
  const std::string length = text_length == 0 ? "" : fmt::format(" --text-length {}", text_length);
  return text + length + (tower.empty() ? "" : " --tower " + tower);
}

void StoreFlags::add_to(CLI::App& command) {
  command.add_option("--db", database, "The plan store: an SQLite file, created when absent")->capture_default_str();
}

}  // namespace duet
