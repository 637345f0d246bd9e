#include "tuner/memory_hog.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "codegen/emit.h"
#include "runtime/device_pointer.h"
#include "templates/stream_config.h"
#include "tuner/stats.h"

namespace duet {
namespace {

constexpr StreamConfig kStream{};
constexpr int kBlocksPerSm = 2;  // resident together with up to 64 registers a thread
constexpr std::int64_t kLeastBytes = std::int64_t{64} << 20;
constexpr int kCachesToExceed = 4;
constexpr int kSamples = 5, kFinalSamples = 15;
constexpr double kShortestUs = 0.1, kLongestUs = 4000;  // periods: shorter is none, longer is no load
constexpr double kCloseEnough = 0.02;
constexpr int kMostTrials = 16;
constexpr double kLimitS = 10;  // of the hog beside one executable
constexpr double kLookUs = 160;

double chunk_bytes() { return static_cast<double>(kStream.chunk_bytes()); }

PlanKernel compile_stream(KernelCompiler& compiler, const std::string& arch) {
  const KernelSource source = emit(kStream);
  CompileResult compiled = compiler.compile(source, arch);
  if (!compiled.ok) fail(ErrorKind::device, "{} does not compile for {}: {:.300}", source.entry, arch, compiled.log);
  PlanKernel kernel{.entry = source.entry, .family = "stream", .source = source.text, .threads = kStream.threads()};
  kernel.images.push_back(std::move(compiled.image));
  return kernel;
}

// Zeros: what a stream reads.
DeviceBuffer zeros(Device& device, std::int64_t bytes) {
  DeviceBuffer buffer(device, static_cast<std::size_t>(bytes));
  device.fill(buffer.address(), std::byte{0}, buffer.bytes());
  return buffer;
}

std::int64_t stream_bytes(const DeviceInfo& info) {
  const std::int64_t least = std::max(kCachesToExceed * info.fingerprint.l2_bytes, kLeastBytes);
  return (least + kStream.chunk_bytes() - 1) / kStream.chunk_bytes() * kStream.chunk_bytes();
}

void set_params(Launch& launch, const StreamParams& params) {
  launch.params.resize(sizeof(params));
  std::memcpy(launch.params.data(), &params, sizeof(params));
}

}  // namespace

double find_hog_period_us(double asked_gbps, const std::function<double(double)>& left_gbps) {
  if (left_gbps(0) >= asked_gbps) return 0;
  double low = kShortestUs, high = kLongestUs;
  double period_us = std::sqrt(low * high);
  for (int trial = 0; trial < kMostTrials; ++trial) {
    period_us = std::sqrt(low * high);
    const double left = left_gbps(period_us);
    if (std::abs(left / asked_gbps - 1) <= kCloseEnough) break;
    (left < asked_gbps ? low : high) = period_us;
  }
  return period_us;
}

// What the hog has on the device; memory that is streamed by the hog and by the slice apart, so that neither finds the
// other's in L2.
struct HoggedDevice::Hog {
  Hog(Device& device, const PlanKernel& code)
      : slice(device),
        hog_data(zeros(device, stream_bytes(device.info()))),
        slice_data(zeros(device, stream_bytes(device.info()))),
        words(zeros(device, 4 * kWordBytes)),
        kernel(device.load(code)) {}
  ~Hog() { slice.unload(kernel); }
  Hog(const Hog&) = delete;
  Hog& operator=(const Hog&) = delete;

  DeviceAddress word(int index) const { return words.address() + static_cast<DeviceAddress>(index) * kWordBytes; }
  std::uint64_t chunks() const { return hog_data.bytes() / static_cast<std::uint64_t>(kStream.chunk_bytes()); }

  Launch stream(const std::string& name, int sms) const {
    Launch launch;
    launch.kernel = kernel;
    launch.name = name;
    launch.grid = {.x = kBlocksPerSm * sms};
    launch.threads = kStream.threads();
    return launch;
  }

  // Reads all of the slice's data once, a chunk more or less.
  Launch reader() const {
    Launch launch = stream("stream.slice", slice.info().fingerprint.sm_count);
    StreamParams params{};
    params.data = device_pointer<const void>(slice_data.address());
    params.found = device_pointer<u32>(word(0));
    params.chunks = chunks();
    params.most_chunks = std::max<std::uint64_t>(chunks() / static_cast<std::uint64_t>(launch.grid.x), 1);
    set_params(launch, params);
    return launch;
  }

  double read_bytes() const {
    const auto blocks = static_cast<std::uint64_t>(kBlocksPerSm * slice.info().fingerprint.sm_count);
    return static_cast<double>(blocks * std::max<std::uint64_t>(chunks() / blocks, 1)) * chunk_bytes();
  }

  Background background(double period_us) const {
    const DeviceInfo& info = slice.info();
    const double cycles_per_us = info.fingerprint.sm_clock_mhz;
    Background background{.launch = stream("stream.hog", info.other_sms)};
    background.stop = word(1);
    background.started = word(2);
    background.expired = word(3);
    StreamParams params{};
    params.data = device_pointer<const void>(hog_data.address());
    params.found = device_pointer<u32>(word(0));
    params.stop = device_pointer<const u32>(background.stop);
    params.started = device_pointer<u32>(background.started);
    params.expired = device_pointer<u32>(background.expired);
    params.chunks = chunks();
    params.limit_cycles = static_cast<u64>(kLimitS * 1e6 * cycles_per_us);
    params.period_cycles = static_cast<u32>(period_us * cycles_per_us);
    params.chunks_a_look = static_cast<u32>(std::clamp(kLookUs / std::max(period_us, 10.0), 1.0, 16.0));
    set_params(background.launch, params);
    return background;
  }

  static constexpr int kWordBytes = 256;  // apart, each in a line of its own
  Device& slice;
  DeviceBuffer hog_data, slice_data, words;
  LoadedKernel kernel;
};

HoggedDevice::HoggedDevice(std::unique_ptr<Device> slice, KernelCompiler& compiler, double left_gbps)
    : slice_(std::move(slice)), info_(slice_->info()) {
  if (info_.other_sms < 1)
    fail(ErrorKind::usage, "{} is no slice of a GPU: a hog needs the SMs beside one; use a target such as auto/16sm",
         info_.fingerprint.module);
  kernel_ = compile_stream(compiler, info_.fingerprint.arch);
  figures_.asked_gbps = left_gbps;
  figures_.sms = info_.other_sms;
  hog_ = make_hog();
  find_period();
  info_.fingerprint.module += fmt::format(", {:g} GB/s", left_gbps);
  info_.memory_gbps = figures_.left_gbps;
}

HoggedDevice::~HoggedDevice() = default;

std::unique_ptr<HoggedDevice::Hog> HoggedDevice::make_hog() const { return std::make_unique<Hog>(*slice_, kernel_); }

// Without a period, the slice alone.
double HoggedDevice::measure_gbps(const std::optional<double>& period_us) {
  const Launch reader = hog_->reader();
  const std::span<const Launch> launches(&reader, 1);
  const auto executable =
      period_us ? slice_->capture_beside(launches, hog_->background(*period_us)) : slice_->capture(launches);
  std::vector<double> times_us = executable->time_us(kSamples, CacheState::cold);
  return hog_->read_bytes() / std::max(median(times_us), 1e-9) * 1e-3;
}

void HoggedDevice::find_period() {
  figures_.alone_gbps = measure_gbps(std::nullopt);
  if (figures_.alone_gbps < figures_.asked_gbps)
    fail(ErrorKind::usage, "{} reads {:.0f} GB/s by itself, less than the {:g} that a hog is to leave; ask for less",
         info_.fingerprint.module, figures_.alone_gbps, figures_.asked_gbps);
  figures_.period_us =
      find_hog_period_us(figures_.asked_gbps, [&](double period_us) { return measure_gbps(period_us); });
  std::vector<double> left;
  for (int i = 0; i < kFinalSamples / kSamples; ++i) left.push_back(measure_gbps(figures_.period_us));
  figures_.left_gbps = median(left);
  log_at(1, "the slice reads {:.0f} GB/s alone, {:.0f} beside {} SMs that stream, a chunk every {:.1f} us a block",
         figures_.alone_gbps, figures_.left_gbps, figures_.sms, figures_.period_us);
  if (figures_.left_gbps > (1 + 5 * kCloseEnough) * figures_.asked_gbps)
    warn("{} other SMs leave {:.0f} GB/s to the slice, more than the {:g} asked for: they cannot take more",
         figures_.sms, figures_.left_gbps, figures_.asked_gbps);
}

std::string HoggedDevice::environment_text() const {
  return fmt::format("{}, {:.0f} of {:.0f} GB/s left to the slice by a hog on {} SMs (measured)",
                     slice_->environment_text(), figures_.left_gbps, figures_.alone_gbps, figures_.sms);
}

// Where the slice lives in a worker, a fault takes the hog's memory with it.
bool HoggedDevice::hog_is_there() const {
  try {
    const std::uint32_t stopped = 1;
    slice_->write(hog_->word(1), std::as_bytes(std::span(&stopped, 1)));
    return true;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::device) throw;
    return false;
  }
}

std::unique_ptr<Executable> HoggedDevice::capture(std::span<const Launch> launches) {
  if (!hog_is_there()) hog_ = make_hog();
  return slice_->capture_beside(launches, hog_->background(figures_.period_us));
}

std::unique_ptr<Executable> HoggedDevice::capture_beside(std::span<const Launch>, const Background&) {
  fail(ErrorKind::usage, "{}: the SMs beside the slice are taken already", info_.fingerprint.module);
}

}  // namespace duet
