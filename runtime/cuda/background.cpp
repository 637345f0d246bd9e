#include "runtime/cuda/background.h"

#include <array>
#include <chrono>
#include <utility>

#include "base/error.h"
#include "runtime/cuda/launch_config.h"

namespace duet {
namespace {

constexpr std::chrono::milliseconds kStartTimeout{2000};

class BackgroundKernel {
 public:
  BackgroundKernel(const CudaContext& context, Device& device, Background background)
      : context_(context), device_(device), background_(std::move(background)), outside_(context.outside()) {
    const CudaContext::Scope scope(context_.driver(), outside_.context());
    stream_ = outside_.make_stream();
  }

  ~BackgroundKernel() {
    try {
      const CudaContext::Scope scope(context_.driver(), outside_.context());
      stream_ = {};
    } catch (const Error&) {
      // The context is gone, and what was made in it.
    }
  }
  BackgroundKernel(const BackgroundKernel&) = delete;
  BackgroundKernel& operator=(const BackgroundKernel&) = delete;

  // Returns when all blocks run.
  void start() {
    for (const DeviceAddress word : {background_.stop, background_.started, background_.expired}) write_word(word, 0);
    launch();
    const auto blocks = static_cast<std::uint32_t>(background_.launch.grid.blocks());
    const auto begin = std::chrono::steady_clock::now();
    while (read_word(background_.started) < blocks) {
      if (std::chrono::steady_clock::now() - begin < kStartTimeout) continue;
      const std::uint32_t started = read_word(background_.started);
      stop();
      fail(ErrorKind::device, "{}: {} of its {} blocks run on the {} SMs beside the slice", background_.launch.name,
           started, blocks, outside_.sms());
    }
  }

  void stop() {
    write_word(background_.stop, 1);
    const CudaContext::Scope scope(context_.driver(), outside_.context());
    DUET_CUDA_CHECK(context_.driver(), cuStreamSynchronize(stream_.get()));
  }

  void require_lasted() {
    if (const std::uint32_t expired = read_word(background_.expired); expired > 0)
      fail(ErrorKind::device, "{}: {} of its blocks reached their time limit before the slice was done",
           background_.launch.name, expired);
  }

 private:
  void launch() {
    const Launch& launch = background_.launch;
    std::vector<std::byte> params = launch.params;
    std::array<void*, 1> pointers = {params.data()};
    const CUlaunchConfig config = launch_config(launch, stream_.get());
    auto* function = reinterpret_cast<CUfunction>(launch.kernel.handle);
    const CudaContext::Scope scope(context_.driver(), outside_.context());
    DUET_CUDA_CHECK(context_.driver(), cuLaunchKernelEx(&config, function, pointers.data(), nullptr));
  }

  // Copies go through an engine of their own: they pass the kernel that runs.
  void write_word(DeviceAddress address, std::uint32_t value) {
    device_.write(address, std::as_bytes(std::span(&value, 1)));
  }
  std::uint32_t read_word(DeviceAddress address) {
    std::uint32_t value = 0;
    device_.read(std::as_writable_bytes(std::span(&value, 1)), address);
    return value;
  }

  const CudaContext& context_;
  Device& device_;
  Background background_;
  const GreenContext& outside_;
  CudaStream stream_;
};

class BesideExecutable : public Executable {
 public:
  BesideExecutable(std::unique_ptr<Executable> inner, const CudaContext& context, Device& device,
                   const Background& background)
      : kernel_(context, device, background), inner_(std::move(inner)) {}

  void run() override { run_queued(1); }

  void run_queued(int count) override {
    beside([&] { inner_->run_queued(count); });
  }

  std::vector<double> time_us(int samples, CacheState caches) override {
    if (!timed_) inner_->time_us(1, caches);  // what it allocates and loads may have to wait for kernels to end
    timed_ = true;
    std::vector<double> times;
    beside([&] { times = inner_->time_us(samples, caches); });
    return times;
  }

 private:
  template <typename Work>
  void beside(const Work& work) {
    kernel_.start();
    try {
      work();
    } catch (...) {
      stop_silently();
      throw;
    }
    kernel_.stop();
    kernel_.require_lasted();
  }

  void stop_silently() {
    try {
      kernel_.stop();
    } catch (const Error&) {
      // Of what failed in the slice, which is told.
    }
  }

  BackgroundKernel kernel_;
  std::unique_ptr<Executable> inner_;
  bool timed_ = false;
};

}  // namespace

std::unique_ptr<Executable> run_beside(std::unique_ptr<Executable> inner, const CudaContext& context, Device& device,
                                       const Background& background) {
  return std::make_unique<BesideExecutable>(std::move(inner), context, device, background);
}

}  // namespace duet
