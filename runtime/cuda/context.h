// The context in which a GPU, or a slice of its SMs, is used: the primary one or a green one, and what is created in
// it.
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "runtime/cuda/driver.h"
#include "runtime/cuda/green_context.h"
#include "runtime/cuda/handle.h"

namespace duet {

class CudaContext {
 public:
  // `sms`: how many SMs kernels may use, 0 for all. Throws Error(missing) when there is no GPU of this number, what
  // GreenContext throws for a slice, Error(device) when the driver fails.
  CudaContext(std::shared_ptr<const CudaDriver> driver, int ordinal, int sms = 0);
  ~CudaContext();
  CudaContext(const CudaContext&) = delete;
  CudaContext& operator=(const CudaContext&) = delete;

  const CudaDriver& driver() const { return *driver_; }
  CUdevice device() const { return device_; }
  int slice_sms() const { return slice_ ? slice_->sms() : 0; }  // 0: the whole GPU

  // How the SMs can be divided between two streams; zeros where they cannot.
  SmGranule sm_granule() const { return division_granule(*driver_, device_, slice_ ? &*slice_ : nullptr); }
  // Green contexts of `shares` SMs (one or two of them) that have none in common; as many as asked for, or none where
  // the SMs cannot be divided so. They stay as long as this.
  std::vector<const GreenContext*> parts(std::span<const int> shares) const;

  // The SMs outside this slice. Throws Error(usage) when this is no slice, Error(missing) when they cannot be had.
  // Stays as long as this.
  const GreenContext& outside() const;

  // Whether a kernel may be launched before the one it depends on has ended (sm_90 and up).
  bool programmatic_launch() const;

  // Makes the context current on this thread as long as it lives; any thread may use a device.
  class Scope {
   public:
    explicit Scope(const CudaContext& context) : Scope(context.driver(), context.context_) {}
    Scope(const CudaDriver& driver, CUcontext context);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    const CudaDriver& driver_;
  };

  // The context must be current. What runs in the stream keeps to the slice.
  CudaStream make_stream() const;
  CudaEvent make_event(unsigned int flags) const;

 private:
  std::shared_ptr<const CudaDriver> driver_;
  CUdevice device_ = 0;
  std::optional<GreenContext> slice_;
  CUcontext context_ = nullptr;
  mutable std::optional<GreenContext> outside_;
  mutable std::list<std::pair<GreenContext, GreenContext>> divisions_;
};

}  // namespace duet
