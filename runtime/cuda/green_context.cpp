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

bool has_green_contexts(const CudaDriver& driver) {
  return driver.version >= 12040 && driver.cuGreenCtxCreate != nullptr;
}

void require_green_contexts(const CudaDriver& driver, int sms) {
  if (has_green_contexts(driver)) return;
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

struct Parts {
  CUdevResource group{}, rest{};
};

// One group of at least `sms` SMs, as the driver rounds it, and what is left; none when it cannot.
std::optional<Parts> split(const CudaDriver& driver, const CUdevResource& all, int sms, unsigned int flags = 0) {
  Parts parts;
  unsigned int groups = 1;
  const CUresult result = driver.cuDevSmResourceSplitByCount(&parts.group, &groups, &all, &parts.rest, flags,
                                                             static_cast<unsigned int>(sms));
  if (result != CUDA_SUCCESS || groups < 1) return std::nullopt;
  return parts;
}

// Asked of the driver: what it rounds 1 SM up to, and one more than that.
std::optional<SmGranule> query_granule(const CudaDriver& driver, const CUdevResource& all, unsigned int flags = 0) {
  const std::optional<Parts> least = split(driver, all, 1, flags);
  if (!least) return std::nullopt;
  const int count = sm_count(least->group);
  const std::optional<Parts> next = split(driver, all, count + 1, flags);
  return SmGranule{.least = count, .step = next ? sm_count(next->group) - count : count};
}

CUdevResource slice_of(const CudaDriver& driver, CUdevice device, int sms) {
  const CUdevResource all = all_sms(driver, device);
  const std::optional<Parts> slice = split(driver, all, sms);
  if (slice && sm_count(slice->group) == sms) return slice->group;
  const std::optional<SmGranule> granule = query_granule(driver, all);
  if (!granule) fail(ErrorKind::missing, "this GPU of {} SMs cannot be sliced; use target auto", sm_count(all));
  fail(ErrorKind::usage, "{}", explain_slice(sms, sm_count(all), *granule));
}

CudaHandle<CUgreenCtx> create_green(const CudaDriver& driver, CUdevice device, CUdevResource sms) {
  CUdevResourceDesc description = nullptr;
  DUET_CUDA_CHECK(driver, cuDevResourceGenerateDesc(&description, &sms, 1));
  CUgreenCtx green = nullptr;
  DUET_CUDA_CHECK(driver, cuGreenCtxCreate(&green, description, device, CU_GREEN_CTX_DEFAULT_STREAM));
  return {green, driver.cuGreenCtxDestroy};
}

CudaHandle<CUgreenCtx> create_slice(const CudaDriver& driver, CUdevice device, int sms) {
  require_green_contexts(driver, sms);
  return create_green(driver, device, slice_of(driver, device, sms));
}

// ---- division

// The driver splits again only what it gave to a context.
std::optional<CUdevResource> sms_to_divide(const CudaDriver& driver, CUdevice device, const GreenContext* slice) {
  if (!has_green_contexts(driver)) return std::nullopt;
  CUdevResource sms{};
  const CUresult result = slice != nullptr
                              ? driver.cuGreenCtxGetDevResource(slice->handle(), &sms, CU_DEV_RESOURCE_TYPE_SM)
                              : driver.cuDeviceGetDevResource(device, &sms, CU_DEV_RESOURCE_TYPE_SM);
  if (result != CUDA_SUCCESS) return std::nullopt;
  return sms;
}

struct Division {
  unsigned int flags = 0;
  SmGranule granule;
};

// The driver's usual granule keeps together SMs that a cluster of blocks needs: few SMs are divided more finely.
std::optional<Division> choose_division(const CudaDriver& driver, const CUdevResource& all) {
  constexpr int kFewGranules = 4;
  const std::optional<SmGranule> usual = query_granule(driver, all);
  if (usual && sm_count(all) >= kFewGranules * usual->least) return Division{.flags = 0, .granule = *usual};
  constexpr unsigned int kFine = CU_DEV_SM_RESOURCE_SPLIT_IGNORE_SM_COSCHEDULING;
  const std::optional<SmGranule> fine = query_granule(driver, all, kFine);
  if (fine) return Division{.flags = kFine, .granule = *fine};
  if (usual) return Division{.flags = 0, .granule = *usual};
  return std::nullopt;
}

std::optional<Parts> split_exactly(const CudaDriver& driver, const CUdevResource& all, int sms, unsigned int flags) {
  if (sms < 1 || sms >= sm_count(all)) return std::nullopt;
  std::optional<Parts> parts = split(driver, all, sms, flags);
  if (!parts || sm_count(parts->group) != sms || sm_count(parts->rest) != sm_count(all) - sms) return std::nullopt;
  return parts;
}

}  // namespace

GreenContext::GreenContext(const CudaDriver& driver, CUdevice device, int sms)
    : GreenContext(driver, create_slice(driver, device, sms), sms) {}

GreenContext::GreenContext(const CudaDriver& driver, CudaHandle<CUgreenCtx> green, int sms)
    : driver_(driver), sms_(sms), green_(std::move(green)) {
  DUET_CUDA_CHECK(driver_, cuCtxFromGreenCtx(&context_, green_.get()));
}

SmGranule division_granule(const CudaDriver& driver, CUdevice device, const GreenContext* slice) {
  const std::optional<CUdevResource> all = sms_to_divide(driver, device, slice);
  const std::optional<Division> division = all ? choose_division(driver, *all) : std::nullopt;
  return division ? division->granule : SmGranule{};
}

// The driver cuts the same SMs off each time, so that these are the ones that the slice has not.
std::optional<GreenContext> outside_of_slice(const CudaDriver& driver, CUdevice device, int sms) {
  const std::optional<Parts> parts = split(driver, all_sms(driver, device), sms);
  if (!parts || sm_count(parts->group) != sms || sm_count(parts->rest) < 1) return std::nullopt;
  return GreenContext(driver, create_green(driver, device, parts->rest), sm_count(parts->rest));
}

std::optional<std::pair<GreenContext, GreenContext>> divide_sms(const CudaDriver& driver, CUdevice device,
                                                                const GreenContext* slice, int sms) {
  const std::optional<CUdevResource> all = sms_to_divide(driver, device, slice);
  const std::optional<Division> division = all ? choose_division(driver, *all) : std::nullopt;
  if (!division) return std::nullopt;
  // Only the group is a multiple of the granule: the rest may be the one asked for.
  std::optional<Parts> parts = split_exactly(driver, *all, sms, division->flags);
  if (!parts) {
    parts = split_exactly(driver, *all, sm_count(*all) - sms, division->flags);
    if (!parts) return std::nullopt;
    std::swap(parts->group, parts->rest);
  }
  return std::pair(GreenContext(driver, create_green(driver, device, parts->group), sms),
                   GreenContext(driver, create_green(driver, device, parts->rest), sm_count(*all) - sms));
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

SmGranule division_granule(const CudaDriver&, CUdevice, const GreenContext*) { return {}; }

std::optional<GreenContext> outside_of_slice(const CudaDriver&, CUdevice, int) { return std::nullopt; }

std::optional<std::pair<GreenContext, GreenContext>> divide_sms(const CudaDriver&, CUdevice, const GreenContext*, int) {
  return std::nullopt;
}

#endif

}  // namespace duet
