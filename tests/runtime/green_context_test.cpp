// Slices of a GPU on a driver made of functions: granules, refusals, and the names of their targets.
#include "runtime/cuda/green_context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "runtime/cuda/slice_name.h"
#include "tests/support/error_of.h"

namespace duet {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(SliceName, IsReadAndWritten) {
  EXPECT_EQ(slice_target(0), "auto");
  EXPECT_EQ(slice_target(16), "auto/16sm");
  EXPECT_EQ(parse_slice_target("auto"), 0);
  EXPECT_EQ(parse_slice_target("auto/16sm"), 16);
  for (const char* other : {"emulator", "jetson-thor-t5000", "", "automatic", "aut"}) {
    EXPECT_EQ(parse_slice_target(other), std::nullopt) << other;
  }
}

TEST(SliceName, MalformedSlicesSayHowToWriteOne) {
  for (const char* name : {"auto/", "auto/sm", "auto/16", "auto/0sm", "auto/-8sm", "auto/16sms", "auto/9999sm",
                           "auto/99999999999999999999sm", "auto/16 sm"}) {
    EXPECT_THAT(error_of(ErrorKind::usage, [&] { parse_slice_target(name); }),
                AllOf(HasSubstr(name), HasSubstr("auto/16sm")));
  }
}

TEST(ExplainSlice, NamesTheGranuleAndTheNearest) {
  EXPECT_THAT(explain_slice(12, 132, {8, 8}),
              AllOf(HasSubstr("at least 8 in steps of 8"), HasSubstr("auto/8sm and auto/16sm")));
  EXPECT_THAT(explain_slice(3, 16, {4, 2}), HasSubstr("the nearest is auto/4sm"));
  EXPECT_THAT(explain_slice(200, 132, {8, 8}), HasSubstr("the nearest is auto/128sm"));
  EXPECT_THAT(explain_slice(2, 1, {4, 2}), HasSubstr("use target auto"));
}

#if CUDA_VERSION >= 12040

// A GPU of kSms SMs that is cut in steps of kStep, at least kLeast.
constexpr unsigned int kSms = 20;
constexpr unsigned int kLeast = 4;
constexpr unsigned int kStep = 2;
int alive = 0;
bool sliceable = true;

CUresult get_resource(CUdevice, CUdevResource* resource, CUdevResourceType type) {
  resource->type = type;
  resource->sm.smCount = kSms;
  return sliceable ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
}
CUresult split(CUdevResource* group, unsigned int* count, const CUdevResource* input, CUdevResource* rest,
               unsigned int flags, unsigned int sms) {
  const bool fine = (flags & CU_DEV_SM_RESOURCE_SPLIT_IGNORE_SM_COSCHEDULING) != 0;
  const unsigned int rounded = std::max(fine ? kStep : kLeast, (sms + kStep - 1) / kStep * kStep);
  if (rounded > input->sm.smCount) return CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
  *group = *rest = *input;
  group->sm.smCount = rounded;
  rest->sm.smCount = input->sm.smCount - rounded;
  *count = 1;
  return CUDA_SUCCESS;
}
CUresult get_slice_resource(CUgreenCtx, CUdevResource* resource, CUdevResourceType type) {
  resource->type = type;
  resource->sm.smCount = 6;
  return CUDA_SUCCESS;
}
CUresult describe(CUdevResourceDesc*, CUdevResource*, unsigned int) { return CUDA_SUCCESS; }
CUresult create(CUgreenCtx* green, CUdevResourceDesc, CUdevice, unsigned int) {
  *green = reinterpret_cast<CUgreenCtx>(&alive);
  ++alive;
  return CUDA_SUCCESS;
}
CUresult destroy(CUgreenCtx) {
  --alive;
  return CUDA_SUCCESS;
}
CUresult convert(CUcontext* context, CUgreenCtx green) {
  *context = reinterpret_cast<CUcontext>(green);
  return CUDA_SUCCESS;
}
CUresult error_text(CUresult, const char** text) {
  *text = "CUDA_ERROR_NOT_SUPPORTED";
  return CUDA_SUCCESS;
}

CudaDriver make_driver() {
  sliceable = true;
  CudaDriver driver;
  driver.version = 12040;
  driver.cuGetErrorName = error_text;
  driver.cuGetErrorString = error_text;
  driver.cuDeviceGetDevResource = get_resource;
  driver.cuDevSmResourceSplitByCount = split;
  driver.cuDevResourceGenerateDesc = describe;
  driver.cuGreenCtxCreate = create;
  driver.cuGreenCtxDestroy = destroy;
  driver.cuCtxFromGreenCtx = convert;
  driver.cuGreenCtxGetDevResource = get_slice_resource;
  return driver;
}

TEST(GreenContext, OpensASliceAndGivesItBack) {
  const CudaDriver driver = make_driver();
  {
    const GreenContext slice(driver, 0, 6);
    EXPECT_EQ(slice.sms(), 6);
    EXPECT_NE(slice.context(), nullptr);
    EXPECT_EQ(alive, 1);
  }
  EXPECT_EQ(alive, 0);
}

TEST(GreenContext, RefusalsNameTheGranuleTheyAskedFor) {
  const CudaDriver driver = make_driver();
  const auto refusal = [&](int sms) { return error_of(ErrorKind::usage, [&] { GreenContext(driver, 0, sms); }); };
  EXPECT_THAT(refusal(7),
              AllOf(HasSubstr("20 SMs"), HasSubstr("at least 4 in steps of 2"), HasSubstr("auto/6sm and auto/8sm")));
  EXPECT_THAT(refusal(2), HasSubstr("the nearest is auto/4sm"));
  EXPECT_THAT(refusal(30), HasSubstr("the nearest is auto/20sm"));
  EXPECT_EQ(alive, 0);
}

TEST(GreenContext, AnOldDriverOrABoardWithoutThemIsOneSentence) {
  CudaDriver driver = make_driver();
  sliceable = false;
  EXPECT_THAT(error_of(ErrorKind::missing, [&] { GreenContext(driver, 0, 8); }),
              AllOf(HasSubstr("CUDA_ERROR_NOT_SUPPORTED"), HasSubstr("target auto")));
  driver.version = 12030;
  EXPECT_THAT(error_of(ErrorKind::missing, [&] { GreenContext(driver, 0, 8); }), HasSubstr("supports 12.3"));
  driver = make_driver();
  driver.cuGreenCtxCreate = nullptr;
  EXPECT_THAT(error_of(ErrorKind::missing, [&] { GreenContext(driver, 0, 8); }), HasSubstr("CUDA 12.4"));
}

TEST(SmDivision, GivesBothPartsWhicheverTheDriverCutsOff) {
  const CudaDriver driver = make_driver();
  EXPECT_EQ(division_granule(driver, 0, nullptr), (SmGranule{.least = 4, .step = 2}));
  {
    const auto division = divide_sms(driver, 0, nullptr, 14);
    ASSERT_TRUE(division.has_value());
    EXPECT_EQ(division->first.sms(), 14);
    EXPECT_EQ(division->second.sms(), 6);
    EXPECT_EQ(alive, 2);
    const auto rest_first = divide_sms(driver, 0, nullptr, 18);  // a rest of 2 is less than a group may have
    EXPECT_EQ(rest_first.has_value() ? rest_first->first.sms() : 0, 18);
    const auto rest_asked = divide_sms(driver, 0, nullptr, 2);
    EXPECT_EQ(rest_asked.has_value() ? rest_asked->second.sms() : 0, 18);
  }
  EXPECT_EQ(alive, 0);
  for (const int impossible : {0, 7, 20, 21, -2})
    EXPECT_FALSE(divide_sms(driver, 0, nullptr, impossible)) << impossible;
}

TEST(SmDivision, FewSmsAreCutMoreFinely) {
  const CudaDriver driver = make_driver();
  const GreenContext slice(driver, 0, 6);
  EXPECT_EQ(division_granule(driver, 0, &slice), (SmGranule{.least = 2, .step = 2}));
  const auto division = divide_sms(driver, 0, &slice, 2);
  ASSERT_TRUE(division.has_value());
  EXPECT_EQ(division->second.sms(), 4);
}

TEST(SmDivision, IsImpossibleWithoutGreenContexts) {
  CudaDriver driver = make_driver();
  driver.version = 12020;
  EXPECT_EQ(division_granule(driver, 0, nullptr), SmGranule{});
  EXPECT_FALSE(divide_sms(driver, 0, nullptr, 8));
  driver = make_driver();
  sliceable = false;
  EXPECT_EQ(division_granule(driver, 0, nullptr), SmGranule{});
}

#endif

}  // namespace
}  // namespace duet
