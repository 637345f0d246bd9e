#include "runtime/relocate.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "tests/support/fake_device.h"

namespace duet {
namespace {

// Writes the address and the map's rows where a driver would encode them.
class MappingDevice : public FakeDevice {
 public:
  std::array<std::byte, kTensorMapBytes> tensor_map(const TensorMapSpec& spec, DeviceAddress address) override {
    std::array<std::byte, kTensorMapBytes> map{};
    std::memcpy(map.data(), &address, sizeof address);
    std::memcpy(map.data() + sizeof address, &spec.rows, sizeof spec.rows);
    return map;
  }
};

template <typename T>
T at(const std::vector<std::byte>& params, std::size_t offset) {
  T value;
  std::memcpy(&value, params.data() + offset, sizeof value);
  return value;
}

PlanStep step_of(std::size_t bytes, std::vector<Relocation> relocations) {
  PlanStep step;
  step.name = "text.qkv";
  step.params.resize(bytes, std::byte{0x5a});
  step.relocations = std::move(relocations);
  return step;
}

DeviceAddress offset_beyond_4096(const Relocation& relocation) { return 4096 + relocation.target.offset_bytes; }

TEST(Relocate, WritesAddressesAndMaps) {
  const BufferRef target{.space = BufferSpace::weights, .index = 0, .offset_bytes = 256};
  const TensorMapSpec map{.rows = 7, .columns = 64, .ld = 64, .box_rows = 7};
  MappingDevice device;
  const std::vector<std::byte> params = relocate(
      step_of(192, {{.param_offset = 8, .target = target}, {.param_offset = 64, .target = target, .map = map}}), device,
      offset_beyond_4096);
  EXPECT_EQ(at<std::byte>(params, 7), std::byte{0x5a});
  EXPECT_EQ(at<DeviceAddress>(params, 8), 4352u);
  EXPECT_EQ(at<std::byte>(params, 16), std::byte{0x5a});
  EXPECT_EQ(at<DeviceAddress>(params, 64), 4352u);
  EXPECT_EQ(at<int>(params, 72), 7);
}

TEST(Relocate, RefusesToLeaveTheParameters) {
  MappingDevice device;
  EXPECT_THROW(relocate(step_of(15, {{.param_offset = 8}}), device, offset_beyond_4096), Error);
  EXPECT_THROW(relocate(step_of(128, {{.param_offset = 64, .map = TensorMapSpec{}}}), device, offset_beyond_4096),
               Error);
}

TEST(Relocate, ADeviceWithoutTheAcceleratorSaysSo) {
  FakeDevice device;
  try {
    relocate(step_of(128, {{.param_offset = 0, .map = TensorMapSpec{}}}), device, offset_beyond_4096);
    FAIL() << "it made a map";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("no tensor memory accelerator"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace duet
