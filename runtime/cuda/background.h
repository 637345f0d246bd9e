// A kernel on the SMs outside a slice, for as long as something runs in the slice.
#pragma once

#include <memory>

#include "runtime/cuda/context.h"
#include "runtime/device.h"

namespace duet {

// `inner` with `background` beside each of its runs. Context and device outlive the result. Throws what
// CudaContext::outside throws; the result throws Error(device) when the background does not start, or ends before what
// runs beside it.
std::unique_ptr<Executable> run_beside(std::unique_ptr<Executable> inner, const CudaContext& context, Device& device,
                                       const Background& background);

}  // namespace duet
