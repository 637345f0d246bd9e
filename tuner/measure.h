// Times one kernel, with its weights coming from memory as they do in a plan.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "base/weight_provider.h"
#include "runtime/device.h"
#include "runtime/plan.h"
#include "tuner/stats.h"
#include "tuner/throttle_watch.h"

namespace duet {

struct MeasureRequest {
  const Plan& plan;  // of one step
  const std::map<std::string, HostTensor>& inputs;
  const WeightProvider& weights;
  double expected_us = 0;  // a rough idea, to size the chain; 0: none
  double best_us = 0;      // of this problem so far: a candidate clearly slower is given up early; 0: none
};

struct Measurement {
  std::vector<double> samples_us;  // per kernel: a chain's time over its length
  double median_us = 0;
  bool abandoned = false;  // clearly slower than the best; the median is of few samples
  std::string environment;
};

// A candidate that is ready to be timed again and again. Must not outlive its Measurer.
class TimedKernel {
 public:
  virtual ~TimedKernel() = default;
  // That many samples in microseconds, per kernel. Throws Error(device) when the device fails.
  virtual std::vector<double> take(int samples) = 0;
};

class Measurer {
 public:
  virtual ~Measurer() = default;
  // Several may be ready at once: finalists take turns. Throws Error(device) when the device fails.
  virtual std::unique_ptr<TimedKernel> prepare(const MeasureRequest& request) = 0;
  // Throws Error(device) when the device fails.
  virtual Measurement measure(const MeasureRequest& request) = 0;
  // What sets samples aside that were taken under throttling.
  virtual ThrottleWatch& watch() = 0;
  // Device, driver, clocks and compiler now, and what the watch saw since it was asked last.
  virtual std::string environment() = 0;
  // Gives up what it keeps on the device from one measurement to the next, which a fault may have taken.
  virtual void forget() {}
};

struct MeasureOptions {
  StoppingRule rule{.min_samples = 10, .max_samples = 300, .max_uncertainty = 0.01, .budget_us = 300e3};
  int warm_up = 3;             // replays
  int samples_per_round = 10;  // between looks at the stopping rule
  double chain_us = 400;       // length of a chain, so that the events' resolution is far below 1%
  int max_chain = 256;
  // A candidate is given up after a round, of the best so far: when its median is that much slower, or when the low end
  // of its median's interval says that it cannot come near.
  double give_up_factor = 1.25;
  double hopeless_factor = 1.1;
};

// A chain of launches is captured into one executable. Its links use copies of the weights in turn, of more than twice
// the L2 together, so that each finds its own copy evicted; activations stay in place, as the kernel before has just
// written them. Links start early and prefetch the weights of the next, as they may in a plan.
class DeviceMeasurer : public Measurer {
 public:
  // `compiler` joins the device's environment text in every measurement.
  DeviceMeasurer(Device& device, std::string compiler, MeasureOptions options = {});
  Measurement measure(const MeasureRequest& request) override;
  std::unique_ptr<TimedKernel> prepare(const MeasureRequest& request) override;
  ThrottleWatch& watch() override { return watch_; }
  std::string environment() override;
  void forget() override { kept_ = nullptr; }

 private:
  // Copies of a weight space in device memory. Candidates of one problem share them: filling them anew for each took
  // most of the time of a tuning run.
  struct WeightCopies {
    const WeightProvider* provider = nullptr;
    std::vector<PlanWeight> weights;
    std::vector<DeviceBuffer> copies;
  };
  class Chain;
  std::shared_ptr<const WeightCopies> weight_copies(const MeasureRequest& request, int count);
  std::unique_ptr<Chain> make_chain(const MeasureRequest& request);

  std::shared_ptr<const WeightCopies> kept_;
  Device& device_;
  std::string compiler_;
  MeasureOptions options_;
  ThrottleWatch watch_;
};

// Samples from `take(count)` until the rule ends it or the candidate is given up. For tests and the above.
template <typename Take>
Measurement sample_until(Take take, const MeasureOptions& options, double best_us) {
  Measurement result;
  while (true) {
    for (double sample : take(options.samples_per_round)) result.samples_us.push_back(sample);
    result.median_us = median(result.samples_us);
    if (best_us > 0 && (result.median_us > options.give_up_factor * best_us ||
                        median_interval(result.samples_us).low > options.hopeless_factor * best_us)) {
      result.abandoned = true;
      return result;
    }
    if (result.samples_us.empty() || should_stop(result.samples_us, options.rule) != StopReason::none) return result;
  }
}

// Copies of `bytes` that exceed twice the L2 together, at least 1 and at most `limit`.
int copies_beyond_cache(std::uint64_t bytes, std::int64_t l2_bytes, int limit);

}  // namespace duet
