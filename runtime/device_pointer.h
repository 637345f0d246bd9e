// A device's address as the pointer that a kernel's parameters hold.
#pragma once

#include <cstring>

#include "runtime/device.h"

namespace duet {

template <typename T>
T* device_pointer(DeviceAddress address) {
  static_assert(sizeof(T*) == sizeof(DeviceAddress));
  T* pointer = nullptr;
  std::memcpy(&pointer, &address, sizeof(pointer));
  return pointer;
}

}  // namespace duet
