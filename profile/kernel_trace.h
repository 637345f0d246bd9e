// Records the kernels that run in this process, through CUPTI.
//
//   KernelTrace trace(CuptiLibrary::open(driver->cuda_major()));
//   trace.start();
//   ...                                    // capture a graph, replay it, wait
//   trace.stop();
//   const TracedKernels kernels = trace.take();
#pragma once

#include <memory>
#include <vector>

#include "profile/cupti_library.h"
#include "profile/kernel_record.h"

namespace duet {

struct TracedKernels {
  std::vector<KernelRecord> records;
  std::size_t dropped = 0;  // records that were lost
};

// One at a time: CUPTI has one set of callbacks a process. Tracing that begins before the GPU's context is made and the
// graph is instantiated sees every node of it.
class KernelTrace {
 public:
  explicit KernelTrace(std::shared_ptr<const CuptiLibrary> library);
  ~KernelTrace();
  KernelTrace(const KernelTrace&) = delete;
  KernelTrace& operator=(const KernelTrace&) = delete;

  // Throw what CuptiLibrary::check throws.
  void start();
  void stop();  // kernels must have been waited for
  // What was recorded since the last take(), in no order. The kernels must still be loaded.
  TracedKernels take();

 private:
  std::shared_ptr<const CuptiLibrary> library_;
  bool running_ = false;
};

}  // namespace duet
