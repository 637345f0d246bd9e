#include "runtime/cuda/cuda_device.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "runtime/cuda/background.h"
#include "runtime/cuda/device_info.h"
#include "runtime/cuda/graph.h"
#include "runtime/cuda/tensor_map.h"
#include "runtime/image_choice.h"

namespace duet {
namespace {

// Above this, a kernel must ask for its shared memory.
constexpr int kSmemBytesWithoutOptIn = 48 * 1024;

// Damage and a missing entry are the image's fault, anything else the device's.
ErrorKind kind_of_refusal(CUresult result) {
  switch (result) {
    case CUDA_ERROR_INVALID_IMAGE:
    case CUDA_ERROR_INVALID_SOURCE:
    case CUDA_ERROR_INVALID_PTX:
    case CUDA_ERROR_UNSUPPORTED_PTX_VERSION:
    case CUDA_ERROR_NO_BINARY_FOR_GPU:
    case CUDA_ERROR_NOT_FOUND:
      return ErrorKind::input;
    default:
      return ErrorKind::device;
  }
}

// The driver may look into an image only when its first kernel is asked for: both calls refuse with the same words.
void require_accepted(const CudaDriver& driver, CUresult result, const PlanKernel& kernel, const KernelImage& image) {
  if (result == CUDA_SUCCESS) return;
  if (result == CUDA_ERROR_NOT_FOUND) {
    fail(ErrorKind::input, "kernel {}: its image holds no such entry: {}", kernel.entry, driver.error_text(result));
  }
  fail(kind_of_refusal(result), "kernel {}: the driver refuses its image for {} ({} bytes, {}): {}", kernel.entry,
       image.arch, image.bytes.size(), image.compiler, driver.error_text(result));
}

CudaLibrary load_library(const CudaDriver& driver, const PlanKernel& kernel, const KernelImage& image) {
  CUlibrary library = nullptr;
  require_accepted(driver,
                   driver.cuLibraryLoadData(&library, image.bytes.data(), nullptr, nullptr, 0, nullptr, nullptr, 0),
                   kernel, image);
  return {library, driver.cuLibraryUnload};
}

CUkernel find_kernel(const CudaDriver& driver, const PlanKernel& kernel, const KernelImage& image, CUlibrary library) {
  CUkernel loaded = nullptr;
  require_accepted(driver, driver.cuLibraryGetKernel(&loaded, library, kernel.entry.c_str()), kernel, image);
  return loaded;
}

void require_intact(const PlanKernel& kernel, const KernelImage& image) {
  if (image.bytes.empty() || hash_bytes(image.bytes) != image.hash) {
    fail(ErrorKind::input, "kernel {}: its image for {} is damaged (its hash is not {}); export the plan again",
         kernel.entry, image.arch, image.hash);
  }
}

}  // namespace

std::unique_ptr<CudaDevice> CudaDevice::open(int ordinal, int sms) {
  auto context = std::make_unique<CudaContext>(load_cuda_driver(), ordinal, sms);
  return std::unique_ptr<CudaDevice>(new CudaDevice(std::move(context)));
}

bool CudaDevice::available(std::string* why) {
  try {
    int count = 0;
    const auto driver = load_cuda_driver();
    DUET_CUDA_CHECK(*driver, cuDeviceGetCount(&count));
    if (count > 0) return true;
    if (why != nullptr) *why = "the CUDA driver finds no GPU";
  } catch (const Error& error) {
    if (why != nullptr) *why = error.what();
  }
  return false;
}

CudaDevice::CudaDevice(std::unique_ptr<CudaContext> context)
    : context_(std::move(context)),
      info_(query_device_info(*context_)),
      read_state_(open_state_reader(*context_, info_)) {}

CudaDevice::~CudaDevice() = default;

void CudaDevice::require_free_memory(CUresult result, std::size_t bytes) const {
  if (result != CUDA_ERROR_OUT_OF_MEMORY) return;
  std::size_t free_bytes = 0;
  std::size_t total_bytes = 0;
  static_cast<void>(context_->driver().cuMemGetInfo(&free_bytes, &total_bytes));
  fail(ErrorKind::device, "out of device memory: {} bytes asked for, {} of {} bytes free on {}", bytes, free_bytes,
       total_bytes, info_.fingerprint.module);
}

DeviceAddress CudaDevice::allocate(std::size_t bytes) {
  const CudaContext::Scope scope(*context_);
  CUdeviceptr address = 0;
  const CUresult result = context_->driver().cuMemAlloc(&address, std::max<std::size_t>(bytes, 1));
  require_free_memory(result, bytes);
  check_cuda(context_->driver(), result, fmt::format("cuMemAlloc of {} bytes", bytes));
  return address;
}

void CudaDevice::free(DeviceAddress address) noexcept {
  try {
    const CudaContext::Scope scope(*context_);
    static_cast<void>(context_->driver().cuMemFree(address));
  } catch (const Error&) {
    // The context is gone or broken, and its memory with it.
  }
}

void CudaDevice::write(DeviceAddress destination, std::span<const std::byte> source) {
  if (source.empty()) return;
  const CudaContext::Scope scope(*context_);
  DUET_CUDA_CHECK(context_->driver(), cuMemcpyHtoD(destination, source.data(), source.size()));
  wait_for_default_stream();
}

void CudaDevice::read(std::span<std::byte> destination, DeviceAddress source) {
  if (destination.empty()) return;
  const CudaContext::Scope scope(*context_);
  DUET_CUDA_CHECK(context_->driver(), cuMemcpyDtoH(destination.data(), source, destination.size()));
}

void CudaDevice::fill(DeviceAddress destination, std::byte value, std::size_t bytes) {
  if (bytes == 0) return;
  const CudaContext::Scope scope(*context_);
  DUET_CUDA_CHECK(context_->driver(), cuMemsetD8(destination, std::to_integer<unsigned char>(value), bytes));
  wait_for_default_stream();
}

// Copies from pageable memory and memsets may return early, and streams made non-blocking do not wait for them.
void CudaDevice::wait_for_default_stream() const { DUET_CUDA_CHECK(context_->driver(), cuStreamSynchronize(nullptr)); }

void CudaDevice::divide_shared_memory(const PlanKernel& kernel, CUkernel loaded) const {
  if (kernel.smem_bytes > info_.smem_bytes_per_block) {
    fail(ErrorKind::device, "kernel {} needs {} bytes of shared memory a block; {} has {}", kernel.entry,
         kernel.smem_bytes, info_.fingerprint.module, info_.smem_bytes_per_block);
  }
  // An SM divides its on-chip memory into L1 and shared memory, and must run empty to change the division: left to the
  // driver, which goes by each kernel's need, no kernel could start beside one of another need.
  DUET_CUDA_CHECK(context_->driver(),
                  cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT,
                                       CU_SHAREDMEM_CARVEOUT_MAX_SHARED, loaded, context_->device()));
  if (kernel.smem_bytes <= kSmemBytesWithoutOptIn) return;
  DUET_CUDA_CHECK(context_->driver(), cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                                           kernel.smem_bytes, loaded, context_->device()));
}

LoadedKernel CudaDevice::load(const PlanKernel& kernel) {
  const KernelImage& image = choose_image(kernel, info_.fingerprint.arch, context_->driver().cuda_major());
  require_intact(kernel, image);
  if (!image.arch.starts_with(info_.fingerprint.arch)) {
    log_at(1, "kernel {}: the image for {} runs on this {}", kernel.entry, image.arch, info_.fingerprint.arch);
  }
  const CudaContext::Scope scope(*context_);
  CudaLibrary library = load_library(context_->driver(), kernel, image);
  CUkernel loaded = find_kernel(context_->driver(), kernel, image, library.get());
  divide_shared_memory(kernel, loaded);
  const LoadedKernel result{reinterpret_cast<std::uint64_t>(loaded)};
  const std::lock_guard lock(mutex_);
  libraries_[result.handle] = std::move(library);
  return result;
}

void CudaDevice::unload(LoadedKernel kernel) noexcept {
  try {
    const CudaContext::Scope scope(*context_);
    const std::lock_guard lock(mutex_);
    libraries_.erase(kernel.handle);
  } catch (const Error&) {
    // As in free().
  }
}

std::array<std::byte, kTensorMapBytes> CudaDevice::tensor_map(const TensorMapSpec& spec, DeviceAddress address) {
  const CudaContext::Scope scope(*context_);
  return encode_tensor_map(context_->driver(), spec, address);
}

std::unique_ptr<Executable> CudaDevice::capture(std::span<const Launch> launches) {
  return capture_graph(*context_, *this, launches);
}

std::unique_ptr<Executable> CudaDevice::capture_beside(std::span<const Launch> launches, const Background& background) {
  return run_beside(capture(launches), *context_, *this, background);
}

std::string CudaDevice::environment_text() const { return describe_environment(info_, read_clocks(*context_)); }

std::optional<DeviceState> CudaDevice::state() const {
  if (!read_state_) return std::nullopt;
  return read_state_();
}

std::unique_ptr<EnergyCounter> CudaDevice::energy_counter() const { return open_energy_counter(*context_); }

}  // namespace duet
