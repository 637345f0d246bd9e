// What is said where there is no driver, an old one, or one without a GPU.
#include "runtime/cuda/driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "runtime/cuda/cuda_device.h"

namespace duet {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string refusal(const char* library) {
  try {
    load_cuda_driver(library);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::missing) << error.what();
    return error.what();
  }
  return "a driver";
}

TEST(CudaDriver, AnAbsentLibraryNamesWhatStillWorks) {
  EXPECT_THAT(refusal("libduet-no-such-driver.so"),
              AllOf(HasSubstr("no CUDA driver"), HasSubstr("libduet-no-such-driver.so"), HasSubstr("emulator")));
}

TEST(CudaDriver, ALibraryWithoutVersionedLookUpIsTooOld) {
  EXPECT_THAT(refusal("libm.so.6"), HasSubstr("older than CUDA 12.0"));
}

TEST(CudaDriver, ADriverWithoutAGpuSaysSo) {
  EXPECT_THAT(refusal(DUET_GPULESS_DRIVER),
              AllOf(HasSubstr("no usable GPU"), HasSubstr("CUDA_ERROR_NO_DEVICE (no GPU)")));
}

TEST(CudaDriver, AvailableGivesTheReasonWithoutThrowing) {
  std::string why;
  if (CudaDevice::available(&why)) GTEST_SKIP() << "there is a GPU here";
  EXPECT_FALSE(why.empty());
  EXPECT_FALSE(CudaDevice::available());
}

}  // namespace
}  // namespace duet
