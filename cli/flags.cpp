#include "base/error.h"
#include "cli/command.h"
#include "cli/data_files.h"
#include "codegen/graph_yaml.h"

namespace duet {

void GraphFlags::add_to(CLI::App& command) {
  command.add_option("model", model, "A graph that ships (clip-vit-b32, tiny-dual, ...) or a YAML file")->required();
  command.add_option("--batch", batch, "Images and texts per run")->capture_default_str()->check(CLI::Range(1, 4096));
  command.add_option("--precision", precision, "Of activations and matrices")
      ->capture_default_str()
      ->check(CLI::IsMember({"f16", "bf16"}));
}

Graph GraphFlags::load() const {
  return load_graph(find_data_file("graphs", model), {.batch = batch, .precision = parse_dtype(precision)});
}

void StoreFlags::add_to(CLI::App& command) {
  command.add_option("--db", database, "The plan store: an SQLite file, created when absent")->capture_default_str();
}

}  // namespace duet
