// What the test tells the stand-in for CUPTI.
#pragma once

#include <cstddef>

#include "profile/cupti_abi.h"

// From now on `enable` gives this result.
extern "C" void fake_cupti_answer_enable(duet::cupti::Result result);
// The next flush delivers these records, each of `record_bytes` (as a version of CUPTI has it), and tells of `dropped`.
extern "C" void fake_cupti_deliver(const duet::cupti::KernelActivity* records, std::size_t count,
                                   std::size_t record_bytes, std::size_t dropped);
