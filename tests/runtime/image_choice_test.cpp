// Which image a GPU is given: exact architecture, a lower minor, never a higher one or a newer CUDA.
#include "runtime/image_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace duet {
namespace {

using testing::HasSubstr;

PlanKernel kernel_with(const std::vector<std::pair<std::string, int>>& images) {
  PlanKernel kernel;
  kernel.entry = "gemm_64x64";
  for (const auto& [arch, cuda_major] : images) {
    KernelImage image;
    image.arch = arch;
    image.cuda_major = cuda_major;
    kernel.images.push_back(image);
  }
  return kernel;
}

std::string chosen(const std::vector<std::pair<std::string, int>>& images, std::string_view arch, int cuda_major = 13) {
  const PlanKernel kernel = kernel_with(images);
  return choose_image(kernel, arch, cuda_major).arch;
}

std::string refusal(const std::vector<std::pair<std::string, int>>& images, std::string_view arch,
                    int cuda_major = 13) {
  try {
    return "chose " + chosen(images, arch, cuda_major);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::missing);
    return error.what();
  }
}

TEST(ImageChoice, PrefersTheExactArchitecture) {
  EXPECT_EQ(chosen({{"sm_80", 12}, {"sm_87", 12}, {"sm_90", 12}}, "sm_87"), "sm_87");
  EXPECT_EQ(chosen({{"sm_90a", 12}}, "sm_90"), "sm_90a");
  EXPECT_EQ(chosen({{"sm_110", 13}, {"sm_101", 12}}, "sm_110"), "sm_110");
}

TEST(ImageChoice, FallsBackToTheNewestLowerMinor) {
  EXPECT_EQ(chosen({{"sm_80", 12}, {"sm_86", 12}, {"sm_89", 12}}, "sm_87"), "sm_86");
}

TEST(ImageChoice, NeverTakesAHigherMinorAnotherMajorOrASpecificArchitecture) {
  EXPECT_THAT(refusal({{"sm_87", 12}}, "sm_80"), HasSubstr("no image for sm_80"));
  EXPECT_THAT(refusal({{"sm_80", 12}}, "sm_90"), HasSubstr("sm_80 (CUDA 12)"));
  EXPECT_THAT(refusal({{"sm_100a", 12}}, "sm_101"), HasSubstr("no image"));
  EXPECT_THAT(refusal({{"sm_11", 12}}, "sm_110"), HasSubstr("no image"));
}

TEST(ImageChoice, TakesTheNewestCudaThatTheDriverTakes) {
  const PlanKernel kernel = kernel_with({{"sm_80", 13}, {"sm_87", 12}, {"sm_87", 13}, {"sm_87", 11}});
  EXPECT_EQ(choose_image(kernel, "sm_87", 13).cuda_major, 13);
  EXPECT_EQ(choose_image(kernel, "sm_87", 12).cuda_major, 12);
  EXPECT_EQ(choose_image(kernel, "sm_87", 14).arch, "sm_87");
}

TEST(ImageChoice, PassesOverImagesOfANewerCuda) {
  EXPECT_EQ(chosen({{"sm_87", 13}, {"sm_87", 12}}, "sm_87", 12), "sm_87");
  EXPECT_THAT(refusal({{"sm_87", 13}}, "sm_87", 12), HasSubstr("CUDA 12 driver"));
}

TEST(ImageChoice, MalformedArchitecturesAreNotUnderstood) {
  for (const char* arch : {"", "sm_", "sm_x", "sm_87z", "host", "sm_99999999999", "sm_-87"}) {
    EXPECT_THAT(refusal({{arch, 12}}, "sm_87"), HasSubstr("no image")) << arch;
  }
  EXPECT_THAT(refusal({}, "sm_87"), HasSubstr("there are: none"));
}

}  // namespace
}  // namespace duet
