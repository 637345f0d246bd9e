#include "runtime/cuda/context.h"

#include <utility>

#include "base/error.h"

namespace duet {

CudaContext::CudaContext(std::shared_ptr<const CudaDriver> driver, int ordinal, int sms) : driver_(std::move(driver)) {
  int count = 0;
  DUET_CUDA_CHECK(*driver_, cuDeviceGetCount(&count));
  if (ordinal < 0 || ordinal >= count) {
    fail(ErrorKind::missing, "no GPU number {}: this machine has {}", ordinal, count);
  }
  DUET_CUDA_CHECK(*driver_, cuDeviceGet(&device_, ordinal));
  if (sms > 0) {
    slice_.emplace(*driver_, device_, sms);
    context_ = slice_->context();
  } else {
    DUET_CUDA_CHECK(*driver_, cuDevicePrimaryCtxRetain(&context_, device_));
  }
}

CudaContext::~CudaContext() {
  divisions_.clear();  // made of the slice
  outside_.reset();
  if (!slice_) static_cast<void>(driver_->cuDevicePrimaryCtxRelease(device_));
}

bool CudaContext::programmatic_launch() const {
  int major = 0;
  DUET_CUDA_CHECK(*driver_, cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device_));
  return major >= 9;
}

std::vector<const GreenContext*> CudaContext::parts(std::span<const int> shares) const {
  if (shares.empty() || shares.size() > 2) return {};
  const auto find = [&]() -> std::vector<const GreenContext*> {
    for (const auto& [first, second] : divisions_) {
      for (const auto& [part, rest] : {std::pair(&first, &second), std::pair(&second, &first)}) {
        if (part->sms() != shares[0]) continue;
        if (shares.size() == 1) return {part};
        if (rest->sms() == shares[1]) return {part, rest};
      }
    }
    return {};
  };
  std::vector<const GreenContext*> found = find();
  if (!found.empty()) return found;
  auto division = divide_sms(*driver_, device_, slice_ ? &*slice_ : nullptr, shares[0]);
  if (!division || (shares.size() == 2 && division->second.sms() != shares[1])) return {};
  divisions_.push_back(std::move(*division));
  return find();
}

const GreenContext& CudaContext::outside() const {
  if (!slice_) fail(ErrorKind::usage, "the whole GPU has no SMs beside it; use a slice such as auto/16sm");
  if (!outside_) {
    if (auto outside = outside_of_slice(*driver_, device_, slice_->sms())) outside_.emplace(std::move(*outside));
  }
  if (!outside_) fail(ErrorKind::missing, "this GPU gives no context of the SMs beside a slice of {}", slice_->sms());
  return *outside_;
}

CudaContext::Scope::Scope(const CudaDriver& driver, CUcontext context) : driver_(driver) {
  DUET_CUDA_CHECK(driver_, cuCtxPushCurrent(context));
}

CudaContext::Scope::~Scope() {
  CUcontext popped = nullptr;
  static_cast<void>(driver_.cuCtxPopCurrent(&popped));
}

CudaStream CudaContext::make_stream() const {
  if (slice_) return slice_->make_stream();
  CUstream stream = nullptr;
  DUET_CUDA_CHECK(*driver_, cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  return {stream, driver_->cuStreamDestroy};
}

CudaEvent CudaContext::make_event(unsigned int flags) const {
  CUevent event = nullptr;
  DUET_CUDA_CHECK(*driver_, cuEventCreate(&event, flags));
  return {event, driver_->cuEventDestroy};
}

}  // namespace duet
