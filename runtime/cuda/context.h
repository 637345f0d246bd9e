// The primary context of one GPU, retained while this lives, and what is created in it.
#pragma once

#include <memory>

#include "runtime/cuda/driver.h"
#include "runtime/cuda/handle.h"

namespace duet {

class CudaContext {
 public:
  // Throws Error(missing) when there is no GPU of this number, Error(device) when the driver fails.
  CudaContext(std::shared_ptr<const CudaDriver> driver, int ordinal);
  ~CudaContext();
  CudaContext(const CudaContext&) = delete;
  CudaContext& operator=(const CudaContext&) = delete;

  const CudaDriver& driver() const { return *driver_; }
  CUdevice device() const { return device_; }

  // Makes the context current on this thread as long as it lives; any thread may use a device.
  class Scope {
   public:
    explicit Scope(const CudaContext& context);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    const CudaDriver& driver_;
  };

  // The context must be current.
  CudaStream make_stream() const;
  CudaEvent make_event(unsigned int flags) const;

 private:
  std::shared_ptr<const CudaDriver> driver_;
  CUdevice device_ = 0;
  CUcontext context_ = nullptr;
};

}  // namespace duet
