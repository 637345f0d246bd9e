#include "tests/runtime/c_api_fake.h"

#include "runtime/c_api.h"
#include "runtime/plan_rank.h"
#include "tests/support/two_tower_plan.h"

duet_engine* duet_test_open_fake(void) {
  auto device = std::make_unique<duet::FakeDevice>();
  duet::two_tower::define_kernels(*device);
  auto opened = std::make_unique<duet_engine>();
  opened->engine =
      std::make_unique<duet::Engine>(*device, duet::two_tower::make_plan(), duet::two_tower::make_weights());
  opened->differences =
      duet::device_differences(opened->engine->plan().key.device, device->info().fingerprint, {"a plan of the tests"});
  opened->device = std::move(device);
  return opened.release();
}
