// A green context: some of a GPU's SMs, to which everything that runs in its streams keeps, captured graphs included.
#pragma once

#include <string>

#include "runtime/cuda/driver.h"
#include "runtime/cuda/handle.h"

#if CUDA_VERSION < 12040
using CUgreenCtx = struct CUgreenCtx_st*;  // this cuda.h does not know it: opening one says so
#endif

namespace duet {

// The slices a GPU can give: `least` SMs, and larger ones in steps of `step`.
struct SmGranule {
  int least = 0;
  int step = 0;
};

// "a slice of 12 SMs is not possible: this GPU has 132 SMs and gives slices of at least 8 in steps of 8; the nearest
// are auto/8sm and auto/16sm"
std::string explain_slice(int sms, int all_sms, SmGranule granule);

class GreenContext {
 public:
  // Throws Error(missing) when driver or GPU have no green contexts, Error(usage) naming the granule when `sms` is no
  // slice of this GPU, Error(device) when the driver fails. `driver` must outlive it.
  GreenContext(const CudaDriver& driver, CUdevice device, int sms);

  CUcontext context() const { return context_; }
  int sms() const { return sms_; }
  // The context must be current. All streams must be gone before the context is.
  CudaStream make_stream() const;

 private:
  const CudaDriver& driver_;
  int sms_;
  CudaHandle<CUgreenCtx> green_;
  CUcontext context_ = nullptr;
};

}  // namespace duet
