#include "isolation/protocol.h"

#include <string>

#include "runtime/store_fields.h"

namespace duet {
namespace {

// Writes what a list of fields names (runtime/store_fields.h), so that no member is forgotten here.
struct FieldWriter {
  MessageWriter& message;
  template <typename T>
  void operator()(const char*, const T& value) {
    message.put(value);
  }
  void operator()(const char*, const std::string& value) { message.put_text(value); }
  void operator()(const char*, const std::vector<std::byte>& value) { message.put_list(std::span(value)); }
};

struct FieldReader {
  MessageReader& message;
  template <typename T>
  void operator()(const char*, T& value) {
    value = message.get<T>();
  }
  void operator()(const char*, bool& value) { value = message.get<std::uint8_t>() != 0; }
  void operator()(const char*, std::string& value) { value = message.get_text(); }
  void operator()(const char*, std::vector<std::byte>& value) { value = message.get_list<std::byte>(); }
};

constexpr auto kInfoFields = [](auto& row, auto& info) {
  row("smem_bytes_per_block", info.smem_bytes_per_block);
  row("smem_bytes_per_sm", info.smem_bytes_per_sm);
  row("threads_per_sm", info.threads_per_sm);
  row("registers_per_sm", info.registers_per_sm);
  row("blocks_per_sm", info.blocks_per_sm);
  row("memory_bytes", info.memory_bytes);
  row("memory_gbps", info.memory_gbps);
  row("sm_granule_least", info.sm_granule.least);
  row("sm_granule_step", info.sm_granule.step);
  row("other_sms", info.other_sms);
  row("can_measure", info.can_measure);
};

constexpr auto kStateFields = [](auto& row, auto& state) {
  row("sm_clock_mhz", state.sm_clock_mhz);
  row("expected_sm_clock_mhz", state.expected_sm_clock_mhz);
  row("temperature_c", state.temperature_c);
  row("power_mode", state.power_mode);
  row("slowdown", state.slowdown);
  row("low_clock_explained", state.low_clock_explained);
  row("overcurrent_events", state.overcurrent_events);
};

constexpr auto kLaunchFields = [](auto& row, auto& launch) {
  row("kernel", launch.kernel.handle);
  row("name", launch.name);
  row("grid_x", launch.grid.x);
  row("grid_y", launch.grid.y);
  row("grid_z", launch.grid.z);
  row("threads", launch.threads);
  row("smem_bytes", launch.smem_bytes);
  row("programmatic", launch.programmatic);
  row("params", launch.params);
  row("stream", launch.stream);
  row("priority", launch.share.priority);
  row("sms", launch.share.sms);
};

constexpr auto kSourceFields = [](auto& row, auto& source) {
  row("entry", source.entry);
  row("text", source.text);
  row("hash", source.hash);
};

constexpr auto kResultFields = [](auto& row, auto& result) {
  row("ok", result.ok);
  row("log", result.log);
  row("from_cache", result.from_cache);
  row("compile_s", result.compile_s);
};

template <typename Fields, typename Value>
void put_fields(MessageWriter& message, const Fields& fields, const Value& value) {
  FieldWriter row{message};
  fields(row, value);
}

template <typename Fields, typename Value>
void get_fields(MessageReader& message, const Fields& fields, Value& value) {
  FieldReader row{message};
  fields(row, value);
}

// Reads a count of values and that many; a message that ends before does not hold its count.
template <typename Get>
auto get_many(MessageReader& message, Get get) {
  std::vector<decltype(get(message))> values;
  for (std::uint32_t left = message.get<std::uint32_t>(); left > 0; --left) {
    values.push_back(get(message));
    if (!message.complete()) fail(ErrorKind::internal, "a worker's message ends within a list, {} values short", left);
  }
  return values;
}

std::uint32_t count_of(std::size_t count) { return static_cast<std::uint32_t>(count); }

KernelImage get_image(MessageReader& message) {
  KernelImage image;
  get_fields(message, kImageFields, image);
  return image;
}

}  // namespace

void put_device_info(MessageWriter& message, const DeviceInfo& info) {
  put_fields(message, kDeviceFields, info.fingerprint);
  put_fields(message, kInfoFields, info);
}

DeviceInfo get_device_info(MessageReader& message) {
  DeviceInfo info;
  get_fields(message, kDeviceFields, info.fingerprint);
  get_fields(message, kInfoFields, info);
  return info;
}

void put_state(MessageWriter& message, const std::optional<DeviceState>& state) {
  message.put(static_cast<std::uint8_t>(state.has_value()));
  if (state) put_fields(message, kStateFields, *state);
}

std::optional<DeviceState> get_state(MessageReader& message) {
  if (message.get<std::uint8_t>() == 0) return std::nullopt;
  DeviceState state;
  get_fields(message, kStateFields, state);
  return state;
}

void put_kernel(MessageWriter& message, const PlanKernel& kernel) {
  put_fields(message, kKernelFields, kernel);
  message.put(count_of(kernel.images.size()));
  for (const KernelImage& image : kernel.images) put_fields(message, kImageFields, image);
}

PlanKernel get_kernel(MessageReader& message) {
  PlanKernel kernel;
  get_fields(message, kKernelFields, kernel);
  kernel.images = get_many(message, get_image);
  return kernel;
}

void put_launches(MessageWriter& message, std::span<const Launch> launches) {
  message.put(count_of(launches.size()));
  for (const Launch& launch : launches) {
    put_fields(message, kLaunchFields, launch);
    message.put_list(std::span(launch.waits));
  }
}

std::vector<Launch> get_launches(MessageReader& message) {
  return get_many(message, [](MessageReader& from) {
    Launch launch;
    get_fields(from, kLaunchFields, launch);
    launch.waits = from.get_list<int>();
    return launch;
  });
}

void put_background(MessageWriter& message, const Background& background) {
  put_launches(message, std::span(&background.launch, 1));
  message.put(background.stop).put(background.started).put(background.expired);
}

Background get_background(MessageReader& message) {
  std::vector<Launch> launches = get_launches(message);
  if (launches.size() != 1) fail(ErrorKind::internal, "a background of {} launches", launches.size());
  Background background{.launch = std::move(launches.front())};
  background.stop = message.get<DeviceAddress>();
  background.started = message.get<DeviceAddress>();
  background.expired = message.get<DeviceAddress>();
  return background;
}

void put_texts(MessageWriter& message, std::span<const std::string> texts) {
  message.put(count_of(texts.size()));
  for (const std::string& text : texts) message.put_text(text);
}

std::vector<std::string> get_texts(MessageReader& message) {
  return get_many(message, [](MessageReader& from) { return from.get_text(); });
}

void put_source(MessageWriter& message, const KernelSource& source) { put_fields(message, kSourceFields, source); }

KernelSource get_source(MessageReader& message) {
  KernelSource source;
  get_fields(message, kSourceFields, source);
  return source;
}

void put_compile_result(MessageWriter& message, const CompileResult& result) {
  put_fields(message, kResultFields, result);
  put_fields(message, kImageFields, result.image);
}

CompileResult get_compile_result(MessageReader& message) {
  CompileResult result;
  get_fields(message, kResultFields, result);
  result.image = get_image(message);
  return result;
}

void put_failure(MessageWriter& message, ErrorKind kind, std::string_view text) {
  message.put(ReplyStatus::failed).put(static_cast<std::int32_t>(kind)).put_text(text);
}

Error get_failure(MessageReader& message) {
  const auto kind = message.get<std::int32_t>();
  const bool known =
      kind >= static_cast<std::int32_t>(ErrorKind::internal) && kind <= static_cast<std::int32_t>(ErrorKind::no_result);
  return {known ? static_cast<ErrorKind>(kind) : ErrorKind::internal, message.get_text()};
}

void require_whole(MessageReader& message) {
  if (!message.complete()) fail(ErrorKind::internal, "a worker's message is shorter than it says");
  if (const std::size_t left = message.rest().size(); left > 0)
    fail(ErrorKind::internal, "a worker's message has {} bytes too many", left);
}

}  // namespace duet
