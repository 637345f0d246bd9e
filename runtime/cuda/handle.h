// A move-only owner of any CUDA handle: stream, event, graph, library.
#pragma once

#include <cuda.h>

#include <utility>

namespace duet {

template <typename Handle>
class CudaHandle {
 public:
  using Destroy = CUresult(CUDAAPI*)(Handle);

  CudaHandle() = default;
  CudaHandle(Handle handle, Destroy destroy) : handle_(handle), destroy_(destroy) {}
  CudaHandle(CudaHandle&& other) noexcept
      : handle_(std::exchange(other.handle_, nullptr)), destroy_(std::exchange(other.destroy_, nullptr)) {}
  CudaHandle& operator=(CudaHandle&& other) noexcept {
    CudaHandle taken(std::move(other));
    std::swap(handle_, taken.handle_);
    std::swap(destroy_, taken.destroy_);
    return *this;
  }
  // Silent: after a failed kernel every call fails, and at exit the driver may be gone already.
  ~CudaHandle() {
    if (handle_ != nullptr) static_cast<void>(destroy_(handle_));
  }

  Handle get() const { return handle_; }

 private:
  Handle handle_ = nullptr;
  Destroy destroy_ = nullptr;
};

using CudaStream = CudaHandle<CUstream>;
using CudaEvent = CudaHandle<CUevent>;
using CudaGraph = CudaHandle<CUgraph>;
using CudaGraphExec = CudaHandle<CUgraphExec>;
using CudaLibrary = CudaHandle<CUlibrary>;

}  // namespace duet
