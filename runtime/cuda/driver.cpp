#include "runtime/cuda/driver.h"

#include <dlfcn.h>

#include "base/error.h"

namespace duet {
namespace {

constexpr int kOldestCuda = 12000;  // cuLibrary: one image for several contexts
constexpr const char* kStillWorks =
    "checking, generating and tuning for a file of devices/ or the emulator work without one";

using GetProcAddress = CUresult(CUDAAPI*)(const char*, void**, int, cuuint64_t, CUdriverProcAddressQueryResult*);

template <typename Function>
Function function_cast(void* address) {
  return reinterpret_cast<Function>(address);
}

GetProcAddress open_library(const char* library) {
  // Never closed: the driver leaves threads and exit handlers behind.
  void* handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) fail(ErrorKind::missing, "no CUDA driver: cannot open {}; {}", library, kStillWorks);
  auto* resolve = function_cast<GetProcAddress>(dlsym(handle, "cuGetProcAddress_v2"));
  if (resolve == nullptr) {
    fail(ErrorKind::missing, "the CUDA driver in {} is older than CUDA 12.0: update it; {}", library, kStillWorks);
  }
  return resolve;
}

// Null where the driver does not have it.
template <typename Function>
void find_function(GetProcAddress resolve, Function& function, const char* name, int version) {
  void* address = nullptr;
  CUdriverProcAddressQueryResult found{};
  const CUresult result = resolve(name, &address, version, CU_GET_PROC_ADDRESS_DEFAULT, &found);
  const bool usable = result == CUDA_SUCCESS && found == CU_GET_PROC_ADDRESS_SUCCESS;
  function = usable ? function_cast<Function>(address) : nullptr;
}

template <typename Function>
void resolve_function(GetProcAddress resolve, Function& function, const char* name, int version) {
  find_function(resolve, function, name, version);
  if (function == nullptr) {
    fail(ErrorKind::missing, "the CUDA driver has no {} of CUDA {}.{}: update it; {}", name, version / 1000,
         version % 1000 / 10, kStillWorks);
  }
}

void initialise(CudaDriver& driver) {
  const CUresult result = driver.cuInit(0);
  if (result != CUDA_SUCCESS) {
    fail(ErrorKind::missing, "the CUDA driver finds no usable GPU: cuInit gives {}; {}", driver.error_text(result),
         kStillWorks);
  }
  DUET_CUDA_CHECK(driver, cuDriverGetVersion(&driver.version));
  if (driver.version < kOldestCuda) {
    fail(ErrorKind::missing, "the CUDA driver supports CUDA {}.{} and Duet needs 12.0 or newer: update it; {}",
         driver.version / 1000, driver.version % 1000 / 10, kStillWorks);
  }
}

}  // namespace

std::shared_ptr<const CudaDriver> load_cuda_driver(const char* library) {
  auto driver = std::make_shared<CudaDriver>();
  GetProcAddress resolve = open_library(library);
#define DUET_CUDA_RESOLVE(function, version, parameters) \
  resolve_function(resolve, driver->function, #function, version);
  DUET_CUDA_FUNCTIONS(DUET_CUDA_RESOLVE)
#undef DUET_CUDA_RESOLVE
#define DUET_CUDA_FIND(function, version, parameters) find_function(resolve, driver->function, #function, version);
  DUET_CUDA_GREEN_FUNCTIONS(DUET_CUDA_FIND)
  DUET_CUDA_OPTIONAL_FUNCTIONS(DUET_CUDA_FIND)
#undef DUET_CUDA_FIND
  initialise(*driver);
  return driver;
}

std::string CudaDriver::error_text(CUresult result) const {
  const char* name = nullptr;
  const char* description = nullptr;
  if (cuGetErrorName(result, &name) != CUDA_SUCCESS || name == nullptr) {
    return fmt::format("CUDA error {}", static_cast<int>(result));
  }
  if (cuGetErrorString(result, &description) != CUDA_SUCCESS || description == nullptr) return name;
  return fmt::format("{} ({})", name, description);
}

void check_cuda(const CudaDriver& driver, CUresult result, std::string_view call) {
  if (result != CUDA_SUCCESS) fail(ErrorKind::device, "{}: {}", call, driver.error_text(result));
}

}  // namespace duet
