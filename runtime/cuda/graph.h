// A sequence of launches as one CUDA graph: streams fork and join inside it, waits become edges.
#pragma once

#include <memory>
#include <span>

#include "runtime/cuda/context.h"
#include "runtime/device.h"

namespace duet {

// `device` gives the memory that is overwritten to flush L2 between timed replays. Both outlive the result.
// Throws Error(internal) on a wait or stream that makes no sense, Error(device) naming the launch that is refused.
std::unique_ptr<Executable> capture_graph(const CudaContext& context, Device& device, std::span<const Launch> launches);

}  // namespace duet
