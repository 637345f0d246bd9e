// Behind the C API: what a duet_engine is, and how C++ hands one out (tests give it a device of their own).
#pragma once

#include <memory>
#include <string>

#include "runtime/device.h"
#include "runtime/duet_c.h"
#include "runtime/engine.h"

struct duet_engine {
  std::unique_ptr<duet::Device> device;
  std::unique_ptr<duet::Engine> engine;  // dies before its device
  std::string differences;               // of the plan's device from this one
};
