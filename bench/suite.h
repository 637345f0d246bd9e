// A suite of timed cases: Google Benchmark drives and reports them, the samples stay with us.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace duet {

struct BenchCase {
  std::string name;                        // "clip-vit-b32/b1/f16/fused-streams"
  std::function<double()> sample_us;       // one timed run, on the device's clock
  std::function<void(int)> run_many;       // so many runs, back to back
  std::map<std::string, double> counters;  // shown beside the time: floor_us, steps
};

struct BenchResult {
  std::string name;
  std::vector<double> samples_us;
  double median_us = 0, min_us = 0;
};

struct BenchOptions {
  int samples = 200;
  std::string json_path;                       // Google Benchmark's JSON; empty: none
  std::map<std::string, std::string> context;  // device, driver, clocks, commit
};

// Runs every case; prints Google Benchmark's table on stderr.
std::vector<BenchResult> run_suite(const std::vector<BenchCase>& cases, const BenchOptions& options);

}  // namespace duet
