#include "runtime/device.h"

#include "base/error.h"

namespace duet {

std::array<std::byte, kTensorMapBytes> Device::tensor_map(const TensorMapSpec&, DeviceAddress) {
  fail(ErrorKind::missing, "{} has no tensor memory accelerator, which this plan was made for; tune for this device",
       info().fingerprint.module);
}

}  // namespace duet
