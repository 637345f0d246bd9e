#include "isolation/protocol.h"

#include <gtest/gtest.h>

#include <random>

namespace duet {
namespace {

std::vector<std::byte> bytes_of(std::initializer_list<int> values) {
  std::vector<std::byte> bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

PlanKernel sample_kernel() {
  PlanKernel kernel{.entry = "gemm_f16", .family = "gemm", .config_text = "block 64", .source = "// text"};
  kernel.threads = 128;
  kernel.smem_bytes = 49152;
  kernel.programmatic_launch = true;
  kernel.images = {{.arch = "sm_87", .cuda_major = 13, .compiler = "NVRTC 13.0", .bytes = bytes_of({1, 2, 3})},
                   {.arch = "sm_90", .cuda_major = 12, .compiler = "NVRTC 12.9", .registers = 255}};
  return kernel;
}

std::vector<Launch> sample_launches() {
  Launch first;
  first.kernel.handle = 7;
  first.name = "text.qkv";
  first.grid = {.x = 3, .y = 2, .z = 1};
  first.threads = 64;
  first.params = bytes_of({9, 8});
  Launch second = first;
  second.stream = 1;
  second.share = {.priority = 1, .sms = 44};
  second.waits = {0};
  second.programmatic = true;
  return {first, second};
}

TEST(Protocol, KernelsComeOutAsTheyWentIn) {
  MessageWriter message;
  put_kernel(message, sample_kernel());
  MessageReader reader(message.data());
  EXPECT_EQ(get_kernel(reader), sample_kernel());
  EXPECT_NO_THROW(require_whole(reader));
}

TEST(Protocol, StatesComeOutAsTheyWentIn) {
  const DeviceState hot{.sm_clock_mhz = 612,
                        .expected_sm_clock_mhz = 918,
                        .temperature_c = 91.5,
                        .power_mode = "25W",
                        .slowdown = "thermal slowdown",
                        .low_clock_explained = true,
                        .overcurrent_events = 27390};
  for (const std::optional<DeviceState>& state : {std::optional(hot), std::optional<DeviceState>()}) {
    MessageWriter message;
    put_state(message, state);
    MessageReader reader(message.data());
    EXPECT_EQ(get_state(reader), state);
    EXPECT_NO_THROW(require_whole(reader));
  }
}

TEST(Protocol, LaunchesComeOutAsTheyWentIn) {
  MessageWriter message;
  put_launches(message, sample_launches());
  MessageReader reader(message.data());
  const std::vector<Launch> launches = get_launches(reader);
  require_whole(reader);
  ASSERT_EQ(launches.size(), 2u);
  EXPECT_EQ(launches[0].kernel.handle, 7u);
  EXPECT_EQ(launches[1].name, "text.qkv");
  EXPECT_EQ(launches[1].grid, (GridSize{.x = 3, .y = 2, .z = 1}));
  EXPECT_EQ(launches[1].params, sample_launches()[1].params);
  EXPECT_EQ(launches[1].waits, std::vector<int>{0});
  EXPECT_TRUE(launches[1].programmatic);
  EXPECT_EQ(launches[0].share, StreamShare{});
  EXPECT_EQ(launches[1].share, (StreamShare{.priority = 1, .sms = 44}));
}

TEST(Protocol, ABackgroundComesOutAsItWentIn) {
  MessageWriter message;
  put_background(message, {.launch = sample_launches()[1], .stop = 256, .started = 512, .expired = 768});
  MessageReader reader(message.data());
  const Background background = get_background(reader);
  require_whole(reader);
  EXPECT_EQ(background.launch.name, "text.qkv");
  EXPECT_EQ(background.launch.params, sample_launches()[1].params);
  EXPECT_EQ(background.stop, 256u);
  EXPECT_EQ(background.started, 512u);
  EXPECT_EQ(background.expired, 768u);
}

TEST(Protocol, DeviceAndCompilerSpeakInFull) {
  DeviceInfo info;
  info.fingerprint = {.target = "auto", .module = "GPU", .arch = "sm_90", .sm_count = 132};
  info.memory_gbps = 3350;
  info.can_measure = true;
  info.sm_granule = {.least = 8, .step = 4};
  info.other_sms = 116;
  MessageWriter message;
  put_device_info(message, info);
  const CompileResult result{.ok = true, .image = sample_kernel().images[0], .log = "fine", .compile_s = 0.25};
  put_compile_result(message, result);
  MessageReader reader(message.data());
  const DeviceInfo got = get_device_info(reader);
  EXPECT_EQ(got.fingerprint, info.fingerprint);
  EXPECT_EQ(got.memory_gbps, info.memory_gbps);
  EXPECT_TRUE(got.can_measure);
  EXPECT_EQ(got.sm_granule, info.sm_granule);
  EXPECT_EQ(got.other_sms, 116);
  const CompileResult compiled = get_compile_result(reader);
  EXPECT_TRUE(compiled.ok);
  EXPECT_EQ(compiled.image, result.image);
  EXPECT_EQ(compiled.compile_s, 0.25);
  EXPECT_NO_THROW(require_whole(reader));
}

TEST(Protocol, AMessageCutShortIsRefusedAtEveryLength) {
  MessageWriter message;
  put_kernel(message, sample_kernel());
  put_launches(message, sample_launches());
  for (std::size_t length = 0; length < message.data().size(); ++length) {
    MessageReader reader(message.data().first(length));
    EXPECT_THROW(
        {
          get_kernel(reader);
          get_launches(reader);
          require_whole(reader);
        },
        Error)
        << length;
  }
}

TEST(Protocol, AMessageThatIsTooLongIsRefused) {
  MessageWriter message;
  put_kernel(message, sample_kernel());
  message.put(std::byte{0});
  MessageReader reader(message.data());
  get_kernel(reader);
  EXPECT_THROW(require_whole(reader), Error);
}

// Sizes that the message does not hold take neither memory nor time.
TEST(Protocol, RandomBytesAreRefusedOrRead) {
  std::mt19937 random(3);
  int refused = 0;
  for (int i = 0; i < 2000; ++i) {
    std::vector<std::byte> bytes(random() % 300);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random() % 4 == 0 ? 0xff : random() % 3);
    MessageReader reader(bytes);
    try {
      i % 2 == 0 ? static_cast<void>(get_kernel(reader)) : static_cast<void>(get_launches(reader));
      require_whole(reader);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::internal);
      ++refused;
    }
  }
  EXPECT_GT(refused, 1900);
}

}  // namespace
}  // namespace duet
