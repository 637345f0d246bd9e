#include "tuner/verifier.h"

#include <gtest/gtest.h>

#include "tests/tuner/adding_device.h"

namespace duet {
namespace {

class Verify : public testing::Test {
 protected:
  Verify()
      : graph_(add_graph()),
        problem_(make_kernel_problem(graph_, lower_fused(graph_).groups.front())),
        verifier_(problem_, 1) {
    const KernelCandidate candidate = enumerate_candidates(problem_.group().spec, small_space(), test_device()).front();
    const KernelSource source = emit(candidate);
    plan_ = make_kernel_plan(
        problem_, test_device(),
        {.tile = candidate.tile, .source = source, .images = {compiler_.compile(source, "sm_87").image}});
  }
  Verification verify(AddingDevice::Defect defect) {
    device_.defect = defect;
    return verifier_.verify(device_, plan_);
  }

  Graph graph_;
  KernelProblem problem_;
  KernelVerifier verifier_;
  FakeCompiler compiler_;
  AddingDevice device_;
  Plan plan_;
};

TEST_F(Verify, ARightKernelPasses) {
  const Verification result = verify(AddingDevice::Defect::none);
  EXPECT_EQ(result.status, VerificationStatus::ok) << result.detail;
  EXPECT_LT(result.norm_error, 1e-3);
  EXPECT_EQ(device_.launches, KernelVerifier::kInputSets);
  EXPECT_EQ(device_.live_allocations(), 0u);
}

TEST_F(Verify, AWrongElementIsNamed) {
  const Verification result = verify(AddingDevice::Defect::wrong_element);
  EXPECT_EQ(result.status, VerificationStatus::wrong_result);
  EXPECT_NE(result.detail.find("y[0, 7]"), std::string::npos) << result.detail;
}

TEST_F(Verify, AnUnwrittenElementIsFound) {
  EXPECT_EQ(verify(AddingDevice::Defect::unwritten).status, VerificationStatus::wrong_result);
}

TEST_F(Verify, NotANumberNeverPasses) {
  EXPECT_EQ(verify(AddingDevice::Defect::not_a_number).status, VerificationStatus::wrong_result);
}

TEST_F(Verify, AWriteOutsideIsFound) {
  const Verification result = verify(AddingDevice::Defect::writes_past_end);
  EXPECT_EQ(result.status, VerificationStatus::guard_overwritten);
  EXPECT_FALSE(result.detail.empty());
}

TEST_F(Verify, AFaultKeepsItsText) {
  const Verification result = verify(AddingDevice::Defect::faults);
  EXPECT_EQ(result.status, VerificationStatus::device_fault);
  EXPECT_NE(result.detail.find("illegal address"), std::string::npos);
}

TEST_F(Verify, WholePlansAreComparedByCosine) {
  const Lowering lowering = lower_fused(graph_);
  EXPECT_EQ(verify_plan(device_, plan_, problem_.graph, problem_.lowering, 1).status, VerificationStatus::ok);
  device_.defect = AddingDevice::Defect::wrong_element;
  EXPECT_EQ(verify_plan(device_, plan_, problem_.graph, problem_.lowering, 1).status, VerificationStatus::wrong_result);
}

}  // namespace
}  // namespace duet
