// Generated source: a stub that includes one template and names every parameter. Bodies are never strings.
#pragma once

#include <string>

#include "codegen/candidate.h"
#include "templates/image_config.h"
#include "templates/stream_config.h"

namespace duet {

struct KernelSource {
  std::string entry;  // extern "C", readable in a profiler: "gemm_f16_ln_bias_64x64x32_w2x2x1_s3_k1"
  std::string text;   // the stub; equal for equal op and tile, whatever the sizes
  std::string hash;   // of text and the templates' hash
};

KernelSource emit(const KernelCandidate& candidate);
// Both in one launch (templates/pair.cuh): "pair_<one>_<other>".
KernelSource emit_pair(const KernelCandidate& first, const KernelCandidate& second);
// A pass of image preprocessing, which no graph asks for.
KernelSource emit(const ImageConfig& config);
// The reader of memory that bandwidth is measured and taken with.
KernelSource emit(const StreamConfig& config);

}  // namespace duet
