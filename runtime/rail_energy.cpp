#include "runtime/rail_energy.h"

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "runtime/power_rails.h"

namespace duet {
namespace {

class RailEnergy : public EnergyCounter {
 public:
  explicit RailEnergy(std::vector<RailFiles> rails) : rails_(std::move(rails)) {
    sample();
    sampler_ = std::thread([this] { sample_until_stopped(); });
  }
  ~RailEnergy() override {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    stop_.notify_all();
    sampler_.join();
  }
  RailEnergy(const RailEnergy&) = delete;
  RailEnergy& operator=(const RailEnergy&) = delete;

  double read_mj() override {
    const std::lock_guard lock(mutex_);
    sample();
    if (!lost_.empty())
      fail(ErrorKind::device, "power rail {} could be read before and cannot be any more: its energy is not known",
           lost_);
    return integral_.energy_mj();
  }

 private:
  void sample_until_stopped() {
    std::unique_lock lock(mutex_);
    while (!stop_.wait_for(lock, kRailInterval, [this] { return stopped_; })) sample();
  }

  // A sample that failed leaves a hole that nothing can fill: the counter is lost with it.
  void sample() {
    double watts = 0;
    for (const RailFiles& rail : rails_) {
      const auto of_rail = read_watts(rail);
      if (!of_rail) lost_ = rail.name;
      watts += of_rail.value_or(0);
    }
    const std::chrono::duration<double> now = std::chrono::steady_clock::now().time_since_epoch();
    integral_.add(now.count(), watts);
  }

  std::vector<RailFiles> rails_;
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopped_ = false;
  PowerIntegral integral_;
  std::string lost_;  // empty: none
  std::thread sampler_;
};

}  // namespace

void PowerIntegral::add(double seconds, double watts) {
  if (begun_) energy_mj_ += (seconds - last_s_) * 1e3 * (last_w_ + watts) / 2;
  last_s_ = seconds;
  last_w_ = watts;
  begun_ = true;
}

std::unique_ptr<EnergyCounter> open_rail_energy(const std::filesystem::path& root) {
  std::vector<RailFiles> rails = module_rails(find_power_rails(root));
  if (rails.empty()) return nullptr;
  return std::make_unique<RailEnergy>(std::move(rails));
}

}  // namespace duet
