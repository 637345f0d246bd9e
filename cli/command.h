// What every command shares: common flags, and how a command joins the parser.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>

#include "base/tensor.h"
#include "codegen/fusion.h"
#include "codegen/graph.h"

namespace duet {

// Flags of the whole command line.
struct GlobalFlags {
  bool json = false;
  int verbosity = 0;
};

// Which graph, at which batch and precision.
struct GraphFlags {
  std::string model;
  int batch = 1;
  std::string precision = "f16";
  std::string tower;    // empty: all
  int text_length = 0;  // tokens; 0: all

  void add_to(CLI::App& command);
  Graph load() const;
  std::string command_text() const;  // "clip-vit-b32 --batch 8": what names this graph on a command line
};

// Where plans are kept.
struct StoreFlags {
  std::filesystem::path database = "duet.db";

  void add_to(CLI::App& command);
};

void add_doctor_command(CLI::App& app, const GlobalFlags& global);
void add_check_command(CLI::App& app, const GlobalFlags& global);
void add_generate_command(CLI::App& app, const GlobalFlags& global);
void add_tune_command(CLI::App& app, const GlobalFlags& global);
void add_worker_command(CLI::App& app);
void add_plans_command(CLI::App& app, const GlobalFlags& global);
void add_spaces_command(CLI::App& app, const GlobalFlags& global);
void add_replay_command(CLI::App& app, const GlobalFlags& global);
void add_run_command(CLI::App& app, const GlobalFlags& global);
void add_bench_command(CLI::App& app, const GlobalFlags& global);
void add_profile_command(CLI::App& app, const GlobalFlags& global);

}  // namespace duet
