// What parent and worker say to each other (base/message.h): a request, then its reply, which begins with a
// ReplyStatus. The bytes of buffers go through a shared file, the staging memory, and not through the socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/child_process.h"
#include "base/error.h"
#include "base/message.h"
#include "runtime/device.h"
#include "tuner/kernel_compiler.h"

namespace duet {

inline constexpr int kStagingFile = kChildFiles;                     // where a worker finds it
inline constexpr std::size_t kStagingBytes = std::size_t{16} << 20;  // one transfer

enum class WorkerRequest : std::uint8_t {
  hello,        // -> DeviceInfo
  environment,  // -> text
  state,        // -> u8 whether there is one, DeviceState
  energy,       // -> u8 whether it is counted, f64 mJ
  allocate,     // u64 bytes -> u64 address
  free,         // u64 address
  write,        // u64 address, u64 bytes in the staging memory
  read,         // u64 address, u64 bytes -> in the staging memory
  fill,         // u64 address, byte value, u64 bytes
  load,         // PlanKernel -> u64 handle
  unload,       // u64 handle
  prepare,      // u32 count, texts
  tensor_map,   // TensorMapSpec, u64 address -> bytes
  capture,      // launches -> u64 executable
  beside,       // launches, Background -> u64 executable
  release,      // u64 executable
  run,          // u64 executable, i32 count
  time,         // u64 executable, i32 samples, CacheState -> list of f64
  compile,      // KernelSource, text arch -> CompileResult
};

enum class ReplyStatus : std::uint8_t { ok, failed };  // failed: i32 ErrorKind, text

// Each pair writes and reads one value. A reader's complete() says whether what was read is whole; an enumerator or a
// count that cannot be makes get_* throw Error(internal).
void put_device_info(MessageWriter& message, const DeviceInfo& info);
DeviceInfo get_device_info(MessageReader& message);
void put_state(MessageWriter& message, const std::optional<DeviceState>& state);
std::optional<DeviceState> get_state(MessageReader& message);
void put_kernel(MessageWriter& message, const PlanKernel& kernel);
PlanKernel get_kernel(MessageReader& message);
void put_launches(MessageWriter& message, std::span<const Launch> launches);
std::vector<Launch> get_launches(MessageReader& message);
void put_background(MessageWriter& message, const Background& background);
Background get_background(MessageReader& message);
void put_texts(MessageWriter& message, std::span<const std::string> texts);
std::vector<std::string> get_texts(MessageReader& message);
void put_source(MessageWriter& message, const KernelSource& source);
KernelSource get_source(MessageReader& message);
void put_compile_result(MessageWriter& message, const CompileResult& result);
CompileResult get_compile_result(MessageReader& message);
void put_failure(MessageWriter& message, ErrorKind kind, std::string_view text);
// What follows ReplyStatus::failed; of an unknown kind it is internal.
Error get_failure(MessageReader& message);
// Throws Error(internal) when the message was shorter than what was read of it, or has more.
void require_whole(MessageReader& message);

}  // namespace duet
