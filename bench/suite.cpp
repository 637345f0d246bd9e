#include "bench/suite.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <memory>

#include "base/error.h"
#include "tuner/stats.h"

namespace duet {
namespace {

BenchResult summarize(std::string name, std::vector<double> samples) {
  BenchResult result{.name = std::move(name), .samples_us = std::move(samples)};
  if (!result.samples_us.empty()) {
    result.median_us = median(result.samples_us);
    result.min_us = *std::min_element(result.samples_us.begin(), result.samples_us.end());
  }
  return result;
}

// One repetition is one sample of one iteration: a mean over iterations would hide what we want to see.
void register_case(const BenchCase& bench_case, int samples, std::vector<double>& kept) {
  benchmark::RegisterBenchmark(bench_case.name.c_str(),
                               [&bench_case, &kept](benchmark::State& state) {
                                 for (auto _ : state) {
                                   kept.push_back(bench_case.sample_us());
                                   state.SetIterationTime(kept.back() * 1e-6);
                                 }
                                 for (const auto& [name, value] : bench_case.counters) state.counters[name] = value;
                               })
      ->UseManualTime()
      ->Iterations(1)
      ->Repetitions(samples)
      ->ReportAggregatesOnly(true)
      ->Unit(benchmark::kMicrosecond);
}

// Shows our context in place of the library's, which is about this host's CPU and warns of how the library itself was
// built: Debian's is a debug build. Time is taken on the device's clock, so that neither matters.
class Console : public benchmark::ConsoleReporter {
 public:
  explicit Console(const std::map<std::string, std::string>& context)
      : ConsoleReporter(OO_Tabular), duet_context_(context) {}
  bool ReportContext(const Context& context) override {
    name_field_width_ = context.name_field_width;
    for (const auto& [key, value] : duet_context_) GetErrorStream() << key << ": " << value << '\n';
    return true;
  }

 private:
  const std::map<std::string, std::string>& duet_context_;
};

void run_registered(const BenchOptions& options) {
  Console console(options.context);
  console.SetOutputStream(&std::cerr);
  console.SetErrorStream(&std::cerr);
  if (options.json_path.empty()) {
    benchmark::RunSpecifiedBenchmarks(&console);
    return;
  }
  if (!std::ofstream(options.json_path)) {
    fail(ErrorKind::input, "{}: cannot be written; choose another --output", options.json_path);
  }
  std::string program = "duet", out = "--benchmark_out=" + options.json_path, format = "--benchmark_out_format=json";
  char* arguments[] = {program.data(), out.data(), format.data()};
  int count = 3;
  benchmark::Initialize(&count, arguments);  // the library opens the file itself, and only by flag
  benchmark::JSONReporter json;
  benchmark::RunSpecifiedBenchmarks(&console, &json);
}

}  // namespace

std::vector<BenchResult> run_suite(const std::vector<BenchCase>& cases, const BenchOptions& options) {
  benchmark::ClearRegisteredBenchmarks();
  for (const auto& [key, value] : options.context) benchmark::AddCustomContext(key, value);
  benchmark::AddCustomContext("duet_timing", "by the device's clock: library_build_type is of no consequence");
  std::vector<std::unique_ptr<std::vector<double>>> samples;
  for (const BenchCase& bench_case : cases) {
    samples.push_back(std::make_unique<std::vector<double>>());
    register_case(bench_case, options.samples, *samples.back());
  }
  run_registered(options);
  std::vector<BenchResult> results;
  for (std::size_t i = 0; i < cases.size(); ++i) results.push_back(summarize(cases[i].name, std::move(*samples[i])));
  return results;
}

}  // namespace duet
