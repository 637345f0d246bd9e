// Whether a plan gives the same bits on every run: blocks and kernels that race show here before anywhere else.
#pragma once

#include <string>

#include "runtime/engine.h"

namespace duet {

struct Repeatability {
  int runs = 0;            // after the first, which the others are compared with
  int different = 0;       // of them
  std::string difference;  // the first one found: "run 17: text_embeds differs in 12 of 2048 bytes"
};

// Every second run finds an L2 flushed of weights and activations, so that kernels meet at other times. The inputs are
// set, and the device is one that measures. Throws Error(device) when the device fails.
Repeatability check_repeatability(Engine& engine, int runs);

}  // namespace duet
