#include "runtime/cuda/green_context.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "runtime/cuda/slice_name.h"

namespace duet {

std::string explain_slice(int sms, int all_sms, SmGranule granule) {
  const int step = std::max(granule.step, 1);
  const int steps_below = std::max((std::min(sms, all_sms) - granule.least) / step, 0);
  const int below = granule.least + steps_below * step;
  const int above = below + step;
  std::string text = fmt::format(
      "a slice of {} SMs is not possible: this GPU has {} SMs and gives slices of at least {} in steps of {}", sms,
      all_sms, granule.least, granule.step);
  if (granule.least > all_sms) return text + "; use target auto";
  if (below >= sms || above > all_sms) return text + "; the nearest is " + slice_target(below);
  return text + "; the nearest are " + slice_target(below) + " and " + slice_target(above);
}

#if CUDA_VERSION >= 12040
namespace {

void require_green_contexts(const CudaDriver& driver, int sms) {
  if (driver.version >= 12040 && driver.cuGreenCtxCreate != nullptr) return;
  fail(ErrorKind::missing,
       "a slice of {} SMs needs the green contexts of CUDA 12.4, and the driver supports {}.{}: update it, or use the "
       "whole GPU with target auto",
       sms, driver.version / 1000, driver.version % 1000 / 10);
}

CUdevResource all_sms(const CudaDriver& driver, CUdevice device) {
  CUdevResource all{};
  const CUresult result = driver.cuDeviceGetDevResource(device, &all, CU_DEV_RESOURCE_TYPE_SM);
  if (result == CUDA_SUCCESS) return all;
  fail(ErrorKind::missing, "this GPU cannot be sliced: cuDeviceGetDevResource gives {}; use target auto",
       driver.error_text(result));
}

int sm_count(const CUdevResource& resource) { return static_cast<int>(resource.sm.smCount); }

// One group of at least `sms` SMs, as the driver rounds it; none when it cannot.
std::optional<CUdevResource> split(const CudaDriver& driver, const CUdevResource& all, int sms) {
  CUdevResource group{};
  CUdevResource rest{};
  unsigned int groups = 1;
  const CUresult result =
      driver.cuDevSmResourceSplitByCount(&group, &groups, &all, &rest, 0, static_cast<unsigned int>(sms));
  if (result != CUDA_SUCCESS || groups < 1) return std::nullopt;
  return group;
}

// Asked of the driver: what it rounds 1 SM up to, and one more than that.
std::optional<SmGranule> query_granule(const CudaDriver& driver, const CUdevResource& all) {
  const std::optional<CUdevResource> least = split(driver, all, 1);
  if (!least) return std::nullopt;
  const std::optional<CUdevResource> next = split(driver, all, sm_count(*least) + 1);
  return SmGranule{.least = sm_count(*least), .step = next ? sm_count(*next) - sm_count(*least) : sm_count(*least)};
}

CUdevResource slice_of(const CudaDriver& driver, CUdevice device, int sms) {
  const CUdevResource all = all_sms(driver, device);
  const std::optional<CUdevResource> slice = split(driver, all, sms);
  if (slice && sm_count(*slice) == sms) return *slice;
  const std::optional<SmGranule> granule = query_granule(driver, all);
  if (!granule) fail(ErrorKind::missing, "this GPU of {} SMs cannot be sliced; use target auto", sm_count(all));
  fail(ErrorKind::usage, "{}", explain_slice(sms, sm_count(all), *granule));
}

CudaHandle<CUgreenCtx> create_green(const CudaDriver& driver, CUdevice device, int sms) {
  require_green_contexts(driver, sms);
  CUdevResource slice = slice_of(driver, device, sms);
  CUdevResourceDesc description = nullptr;
  DUET_CUDA_CHECK(driver, cuDevResourceGenerateDesc(&description, &slice, 1));
  CUgreenCtx green = nullptr;
  DUET_CUDA_CHECK(driver, cuGreenCtxCreate(&green, description, device, CU_GREEN_CTX_DEFAULT_STREAM));
  return {green, driver.cuGreenCtxDestroy};
}

}  // namespace

GreenContext::GreenContext(const CudaDriver& driver, CUdevice device, int sms)
    : driver_(driver), sms_(sms), green_(create_green(driver, device, sms)) {
  DUET_CUDA_CHECK(driver_, cuCtxFromGreenCtx(&context_, green_.get()));
}

CudaStream GreenContext::make_stream() const {
  CUstream stream = nullptr;
  if (driver_.cuGreenCtxStreamCreate != nullptr) {
    DUET_CUDA_CHECK(driver_, cuGreenCtxStreamCreate(&stream, green_.get(), CU_STREAM_NON_BLOCKING, 0));
  } else {  // CUDA 12.4: a stream belongs to the context that is current
    DUET_CUDA_CHECK(driver_, cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  }
  return {stream, driver_.cuStreamDestroy};
}

#else

GreenContext::GreenContext(const CudaDriver& driver, CUdevice, int sms) : driver_(driver), sms_(sms) {
  fail(ErrorKind::missing, "a slice of {} SMs needs a Duet built with cuda.h of CUDA 12.4 or newer; use target auto",
       sms);
}

CudaStream GreenContext::make_stream() const { return {}; }

#endif

}  // namespace duet
