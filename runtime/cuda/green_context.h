// A green context: some of a GPU's SMs, to which everything that runs in its streams keeps, captured graphs included.
// And the division of SMs between two of them.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "runtime/cuda/driver.h"
#include "runtime/cuda/handle.h"
#include "runtime/device.h"

#if CUDA_VERSION < 12040
using CUgreenCtx = struct CUgreenCtx_st*;  // this cuda.h does not know it: opening one says so
#endif

namespace duet {

// "a slice of 12 SMs is not possible: this GPU has 132 SMs and gives slices of at least 8 in steps of 8; the nearest
// are auto/8sm and auto/16sm"
std::string explain_slice(int sms, int all_sms, SmGranule granule);

class GreenContext {
 public:
  // Throws Error(missing) when driver or GPU have no green contexts, Error(usage) naming the granule when `sms` is no
  // slice of this GPU, Error(device) when the driver fails. `driver` must outlive it.
  GreenContext(const CudaDriver& driver, CUdevice device, int sms);

  CUgreenCtx handle() const { return green_.get(); }
  CUcontext context() const { return context_; }
  int sms() const { return sms_; }
  // The context must be current. All streams must be gone before the context is.
  CudaStream make_stream() const;

 private:
  friend std::optional<std::pair<GreenContext, GreenContext>> divide_sms(const CudaDriver&, CUdevice,
                                                                         const GreenContext*, int);
  friend std::optional<GreenContext> outside_of_slice(const CudaDriver&, CUdevice, int);
  GreenContext(const CudaDriver& driver, CudaHandle<CUgreenCtx> green, int sms);

  const CudaDriver& driver_;
  int sms_;
  CudaHandle<CUgreenCtx> green_;
  CUcontext context_ = nullptr;
};

// How the SMs of `slice` (null: of the whole GPU) can be divided between two green contexts; zeros where driver or GPU
// cannot. Finer than slices are cut where the SMs are few: no kernel here works in clusters of blocks.
SmGranule division_granule(const CudaDriver& driver, CUdevice device, const GreenContext* slice);

// The SMs outside a slice of `sms`, as a context of their own; none where there are none.
std::optional<GreenContext> outside_of_slice(const CudaDriver& driver, CUdevice device, int sms);

// Two green contexts on disjoint SMs of `slice` (null: of the whole GPU): `sms` of them, and the rest. None where that
// is not possible. Both live no longer than `slice`.
std::optional<std::pair<GreenContext, GreenContext>> divide_sms(const CudaDriver& driver, CUdevice device,
                                                                const GreenContext* slice, int sms);

}  // namespace duet
