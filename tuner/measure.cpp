#include "tuner/measure.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "runtime/plan_memory.h"
#include "runtime/relocate.h"
#include "runtime/tensor_layout.h"
#include "runtime/weight_loading.h"
#include "tuner/weight_prefetch.h"

namespace duet {
namespace {

constexpr int kMaxCopies = 64;
constexpr std::uint64_t kMaxCopyBytes = std::uint64_t{1} << 30;

// A kernel loaded for as long as this lives.
class Loaded {
 public:
  Loaded(Device& device, const PlanKernel& kernel) : device_(device), kernel_(device.load(kernel)) {}
  ~Loaded() { device_.unload(kernel_); }
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;
  LoadedKernel get() const { return kernel_; }

 private:
  Device& device_;
  LoadedKernel kernel_;
};

// One copy of everything but the weights, and several of those.
class ChainMemory {
 public:
  ChainMemory(Device& device, const MeasureRequest& request, const std::vector<DeviceBuffer>& weights)
      : device_(device), memory_(device, request.plan, 0), weights_(weights) {
    memory_.poison(std::byte{0});
    for (std::size_t i = 0; i < request.plan.inputs.size(); ++i) {
      const PlanTensor& input = request.plan.inputs[i];
      device.write(memory_.address({.space = BufferSpace::input, .index = static_cast<int>(i)}),
                   pack_input(input, request.inputs.at(input.name)));
    }
  }

  std::vector<std::byte> relocated(const PlanStep& step, const PlanKernel& kernel, std::size_t link) const {
    return relocate(step, device_, [&](const Relocation& relocation) {
      return address_of(relocation.target, is_weight_prefetch(kernel, relocation) ? link + 1 : link);
    });
  }

 private:
  DeviceAddress address_of(const BufferRef& ref, std::size_t link) const {
    if (ref.space != BufferSpace::weights || weights_.empty()) return memory_.address(ref);
    return weights_[link % weights_.size()].address() + ref.offset_bytes;
  }
  Device& device_;
  PlanMemory memory_;
  const std::vector<DeviceBuffer>& weights_;
};

std::vector<Launch> chain_launches(const Plan& plan, LoadedKernel kernel, const ChainMemory& memory, int length,
                                   std::int64_t prefetch_bytes) {
  PlanStep step = plan.steps.front();
  const PlanKernel& info = plan.kernels.front();
  add_own_weight_prefetch(step, info, prefetch_bytes);
  std::vector<Launch> chain;
  for (int i = 0; i < length; ++i) {
    Launch launch;
    launch.kernel = kernel;
    launch.name = step.name;
    launch.grid = step.grid;
    launch.threads = info.threads;
    launch.smem_bytes = info.smem_bytes;
    launch.programmatic = info.programmatic_launch;
    launch.params = memory.relocated(step, info, static_cast<std::size_t>(i));
    chain.push_back(std::move(launch));
  }
  return chain;
}

int chain_length(const MeasureOptions& options, double expected_us, int copies) {
  const double wanted = expected_us > 0 ? std::ceil(options.chain_us / expected_us) : options.max_chain / 4.0;
  return std::clamp(static_cast<int>(std::min(wanted, 1e6)), std::min(copies, options.max_chain), options.max_chain);
}

}  // namespace

int copies_beyond_cache(std::uint64_t bytes, std::int64_t l2_bytes, int limit) {
  if (bytes == 0 || l2_bytes <= 0) return 1;
  const std::uint64_t wanted = 2 * static_cast<std::uint64_t>(l2_bytes) / bytes + 1;
  return static_cast<int>(std::clamp<std::uint64_t>(wanted, 1, static_cast<std::uint64_t>(std::max(limit, 1))));
}

// One candidate's chain, with all that it runs on.
class DeviceMeasurer::Chain : public TimedKernel {
 public:
  Chain(Device& device, const MeasureRequest& request, std::shared_ptr<const WeightCopies> weights, int length,
        int warm_up)
      : weights_(std::move(weights)),
        kernel_(device, request.plan.kernels.front()),
        memory_(device, request, weights_->copies),
        executable_(device.capture(chain_launches(request.plan, kernel_.get(), memory_, length,
                                                  weight_prefetch_limit(device.info().fingerprint)))),
        length_(length) {
    executable_->time_us(warm_up, CacheState::warm);
  }

  int length() const { return length_; }
  std::vector<double> take(int samples) override {
    std::vector<double> times_us = executable_->time_us(samples, CacheState::warm);
    for (double& time_us : times_us) time_us /= length_;
    return times_us;
  }

 private:
  std::shared_ptr<const WeightCopies> weights_;
  Loaded kernel_;
  ChainMemory memory_;
  std::unique_ptr<Executable> executable_;
  int length_;
};

DeviceMeasurer::DeviceMeasurer(Device& device, std::string compiler, MeasureOptions options)
    : device_(device), compiler_(std::move(compiler)), options_(options), watch_(device) {}

std::shared_ptr<const DeviceMeasurer::WeightCopies> DeviceMeasurer::weight_copies(const MeasureRequest& request,
                                                                                  int count) {
  const Plan& plan = request.plan;
  const bool same = kept_ && kept_->provider == &request.weights && kept_->weights == plan.weights &&
                    kept_->copies.size() == static_cast<std::size_t>(count);
  if (same) return kept_;
  kept_ = nullptr;  // gives the old copies back first
  auto made = std::make_shared<WeightCopies>();
  if (plan.weight_bytes == 0) return made;
  const std::vector<std::byte> space = make_weight_space(plan, request.weights);
  for (int i = 0; i < count; ++i) {
    made->copies.emplace_back(device_, space.size());
    device_.write(made->copies.back().address(), space);
  }
  made->provider = &request.weights;
  made->weights = plan.weights;
  kept_ = made;
  return kept_;
}

std::unique_ptr<DeviceMeasurer::Chain> DeviceMeasurer::make_chain(const MeasureRequest& request) {
  if (request.plan.steps.size() != 1)
    fail(ErrorKind::internal, "a measurement is of one kernel, not {}", request.plan.steps.size());
  const std::uint64_t bytes = request.plan.weight_bytes;
  const int limit = bytes == 0 ? 1 : static_cast<int>(std::min<std::uint64_t>(kMaxCopies, 1 + kMaxCopyBytes / bytes));
  const int copies = copies_beyond_cache(bytes, device_.info().fingerprint.l2_bytes, limit);
  const int length = chain_length(options_, request.expected_us, copies);
  return std::make_unique<Chain>(device_, request, weight_copies(request, copies), length, options_.warm_up);
}

std::unique_ptr<TimedKernel> DeviceMeasurer::prepare(const MeasureRequest& request) { return make_chain(request); }

std::string DeviceMeasurer::environment() {
  return device_.environment_text() + ", " + compiler_ + watch_.take_log().text();
}

Measurement DeviceMeasurer::measure(const MeasureRequest& request) {
  const std::unique_ptr<Chain> chain = make_chain(request);
  MeasureOptions options = options_;
  options.rule.budget_us /= chain->length();  // it is of whole chains
  Measurement result = sample_until([&](int count) { return watch_.steady([&] { return chain->take(count); }); },
                                    options, request.best_us);
  result.environment = environment();
  return result;
}

}  // namespace duet
