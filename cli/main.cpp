// The `duet` command: parses arguments, dispatches, and turns errors into one line and an exit code.
#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/version.h"

namespace {

constexpr const char* kFooter =
    "Exit codes: 0 done, 1 internal defect (of `plans diff`: the plans differ), 2 wrong usage, 3 bad input file,\n"
    "4 something this machine lacks, 5 the device failed, 6 nothing valid came of the work,\n"
    "130 interrupted (what was found is kept).\n\n"
    "Example: duet tune clip-vit-b32 --target jetson-orin-nx-16gb && duet plans show 1";

// Messages quote file names and arguments: whatever these hold, one message is one line.
int report(duet::ErrorKind kind, std::string message) {
  std::replace_if(
      message.begin(), message.end(), [](char c) { return static_cast<unsigned char>(c) < 32 || c == 127; }, ' ');
  constexpr std::size_t kMaxBytes = 2000;
  if (message.size() > kMaxBytes) message = message.substr(0, kMaxBytes) + "...";
  fmt::print(stderr, "duet: {}\n", message);
  return static_cast<int>(kind);
}

// The parser asks for a missing command before it says what was wrong with the one given.
std::string usage_message(const CLI::App& app, const CLI::ParseError& error) {
  std::string path = "duet";
  const CLI::App* command = &app;
  while (!command->get_subcommands().empty()) {
    command = command->get_subcommands().front();
    path += " " + command->get_name();
  }
  const std::vector<std::string> left = app.remaining(true);
  std::string what = error.what();
  if (error.get_name() == "RequiredError" && !left.empty()) what = fmt::format("'{}' is not known", left.front());
  return fmt::format("{}; see `{} --help`", what, path);
}

int run(int argc, char** argv) {
  duet::GlobalFlags global;
  CLI::App app("Duet makes the two encoders of a vision-language model run at once, and fast.", "duet");
  app.set_version_flag("--version", duet::version_text());
  app.add_flag("--json", global.json, "Print results as JSON on stdout")->configurable(false);
  app.add_flag("-v,--verbose", global.verbosity,
               "Say more on stderr: -v summary, -vv timings, -vvv choices, -vvvv sources");
  app.add_option_function<std::string>(
      "--nvrtc", [](const std::string& which) { ::setenv("DUET_NVRTC", which.c_str(), 1); },
      "The compiler: path of a libnvrtc.so, or a CUDA major such as 12 (default: the newest that the driver takes)");
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(kFooter);
  app.parse_complete_callback([&] { duet::set_log_verbosity(global.verbosity); });
  duet::add_doctor_command(app, global);
  duet::add_check_command(app, global);
  duet::add_generate_command(app, global);
  duet::add_tune_command(app, global);
  duet::add_worker_command(app);
  duet::add_plans_command(app, global);
  duet::add_spaces_command(app, global);
  duet::add_replay_command(app, global);
  duet::add_run_command(app, global);
  duet::add_bench_command(app, global);
  duet::add_profile_command(app, global);
  try {
    app.parse(argc, argv);
  } catch (const CLI::RuntimeError& result) {
    return result.get_exit_code();  // of a command that answers by it
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    return report(duet::ErrorKind::usage, usage_message(app, error));
  }
  return duet::was_interrupted() ? duet::kInterruptedExitCode : 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const duet::Error& error) {
    return report(error.kind(), error.what());
  } catch (const std::filesystem::filesystem_error& error) {
    return report(duet::ErrorKind::input, error.what());  // of a path that was given: no folder, no permission
  } catch (const std::bad_alloc&) {
    return report(duet::ErrorKind::internal, "out of memory");
  } catch (const std::exception& error) {
    return report(duet::ErrorKind::internal, error.what());
  }
}
