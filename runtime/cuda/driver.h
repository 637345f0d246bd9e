// The CUDA driver, opened at run time: a table of functions, each resolved with the version of its ABI. A binary that
// contains this starts on a machine without a driver, and nothing is opened before load_cuda_driver() is called.
#pragma once

#include <cuda.h>

#include <memory>
#include <string>
#include <string_view>

namespace duet {

// function, CUDA version that introduced this signature, parameters.
// cuda.h renames functions to their newest ABI (cuMemAlloc is cuMemAlloc_v2). The members below take the renamed
// names, as does every use, while the string given to cuGetProcAddress stays the plain one.
#define DUET_CUDA_FUNCTIONS(X)                                                                                    \
  X(cuInit, 2000, (unsigned int flags))                                                                           \
  X(cuDriverGetVersion, 2020, (int* version))                                                                     \
  X(cuGetErrorName, 6000, (CUresult error, const char** text))                                                    \
  X(cuGetErrorString, 6000, (CUresult error, const char** text))                                                  \
  X(cuDeviceGetCount, 2000, (int* count))                                                                         \
  X(cuDeviceGet, 2000, (CUdevice * device, int ordinal))                                                          \
  X(cuDeviceGetName, 2000, (char* name, int length, CUdevice device))                                             \
  X(cuDeviceGetPCIBusId, 4010, (char* id, int length, CUdevice device))                                           \
  X(cuDeviceTotalMem, 3020, (size_t * bytes, CUdevice device))                                                    \
  X(cuDeviceGetAttribute, 2000, (int* value, CUdevice_attribute attribute, CUdevice device))                      \
  X(cuDevicePrimaryCtxRetain, 7000, (CUcontext * context, CUdevice device))                                       \
  X(cuDevicePrimaryCtxRelease, 11000, (CUdevice device))                                                          \
  X(cuCtxPushCurrent, 4000, (CUcontext context))                                                                  \
  X(cuCtxPopCurrent, 4000, (CUcontext * context))                                                                 \
  X(cuCtxGetStreamPriorityRange, 5050, (int* least, int* greatest))                                               \
  X(cuMemAlloc, 3020, (CUdeviceptr * address, size_t bytes))                                                      \
  X(cuMemFree, 3020, (CUdeviceptr address))                                                                       \
  X(cuMemGetInfo, 3020, (size_t * free_bytes, size_t * total_bytes))                                              \
  X(cuMemcpyHtoD, 3020, (CUdeviceptr destination, const void* source, size_t bytes))                              \
  X(cuMemcpyDtoH, 3020, (void* destination, CUdeviceptr source, size_t bytes))                                    \
  X(cuMemsetD8, 3020, (CUdeviceptr destination, unsigned char value, size_t bytes))                               \
  X(cuMemsetD8Async, 3020, (CUdeviceptr destination, unsigned char value, size_t bytes, CUstream stream))         \
  X(cuLibraryLoadData, 12000,                                                                                     \
    (CUlibrary * library, const void* code, CUjit_option* jit_options, void** jit_values, unsigned int jit_count, \
     CUlibraryOption* options, void** values, unsigned int count))                                                \
  X(cuLibraryUnload, 12000, (CUlibrary library))                                                                  \
  X(cuLibraryGetKernel, 12000, (CUkernel * kernel, CUlibrary library, const char* name))                          \
  X(cuKernelSetAttribute, 12000, (CUfunction_attribute attribute, int value, CUkernel kernel, CUdevice device))   \
  X(cuLaunchKernelEx, 11060, (const CUlaunchConfig* config, CUfunction function, void** params, void** extra))    \
  X(cuStreamCreate, 2000, (CUstream * stream, unsigned int flags))                                                \
  X(cuStreamDestroy, 4000, (CUstream stream))                                                                     \
  X(cuStreamSynchronize, 2000, (CUstream stream))                                                                 \
  X(cuStreamWaitEvent, 3020, (CUstream stream, CUevent event, unsigned int flags))                                \
  X(cuStreamBeginCapture, 10010, (CUstream stream, CUstreamCaptureMode mode))                                     \
  X(cuStreamEndCapture, 10000, (CUstream stream, CUgraph * graph))                                                \
  X(cuEventCreate, 2000, (CUevent * event, unsigned int flags))                                                   \
  X(cuEventDestroy, 4000, (CUevent event))                                                                        \
  X(cuEventRecord, 2000, (CUevent event, CUstream stream))                                                        \
  X(cuEventElapsedTime, 2000, (float* milliseconds, CUevent start, CUevent stop))                                 \
  X(cuGraphInstantiateWithFlags, 11040, (CUgraphExec * executable, CUgraph graph, unsigned long long flags))      \
  X(cuGraphUpload, 11010, (CUgraphExec executable, CUstream stream))                                              \
  X(cuGraphLaunch, 10000, (CUgraphExec executable, CUstream stream))                                              \
  X(cuGraphDestroy, 10000, (CUgraph graph))                                                                       \
  X(cuGraphExecDestroy, 10000, (CUgraphExec executable))

// Green contexts: a part of a GPU's SMs. Null where the driver is older than CUDA 12.4; absent where cuda.h is.
#if CUDA_VERSION >= 12040
#define DUET_CUDA_GREEN_FUNCTIONS(X)                                                                                   \
  X(cuDeviceGetDevResource, 12040, (CUdevice device, CUdevResource * resource, CUdevResourceType type))                \
  X(cuDevSmResourceSplitByCount, 12040,                                                                                \
    (CUdevResource * groups, unsigned int* count, const CUdevResource* input, CUdevResource* rest, unsigned int flags, \
     unsigned int sms))                                                                                                \
  X(cuDevResourceGenerateDesc, 12040,                                                                                  \
    (CUdevResourceDesc * description, CUdevResource * resources, unsigned int count))                                  \
  X(cuGreenCtxCreate, 12040,                                                                                           \
    (CUgreenCtx * context, CUdevResourceDesc description, CUdevice device, unsigned int flags))                        \
  X(cuGreenCtxDestroy, 12040, (CUgreenCtx context))                                                                    \
  X(cuCtxFromGreenCtx, 12040, (CUcontext * context, CUgreenCtx green))                                                 \
  X(cuGreenCtxGetDevResource, 12040, (CUgreenCtx context, CUdevResource * resource, CUdevResourceType type))           \
  X(cuGreenCtxStreamCreate, 12050, (CUstream * stream, CUgreenCtx context, unsigned int flags, int priority))
#else
#define DUET_CUDA_GREEN_FUNCTIONS(X)
#endif

// Null where the driver is older: tensor maps, and what a kernel's parameters are.
#define DUET_CUDA_OPTIONAL_FUNCTIONS(X)                                                                           \
  X(cuTensorMapEncodeTiled, 12000,                                                                                \
    (CUtensorMap * map, CUtensorMapDataType type, cuuint32_t rank, void* address, const cuuint64_t* extents,      \
     const cuuint64_t* strides, const cuuint32_t* box, const cuuint32_t* steps, CUtensorMapInterleave interleave, \
     CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill))                 \
  X(cuKernelGetParamInfo, 12040, (CUkernel kernel, size_t index, size_t * offset, size_t * size))

struct CudaDriver {
#define DUET_CUDA_MEMBER(function, version, parameters) CUresult(CUDAAPI* function) parameters = nullptr;
  DUET_CUDA_FUNCTIONS(DUET_CUDA_MEMBER)
  DUET_CUDA_GREEN_FUNCTIONS(DUET_CUDA_MEMBER)
  DUET_CUDA_OPTIONAL_FUNCTIONS(DUET_CUDA_MEMBER)
#undef DUET_CUDA_MEMBER
  int version = 0;  // as cuDriverGetVersion gives it: 13000 is CUDA 13.0

  int cuda_major() const { return version / 1000; }
  // "CUDA_ERROR_OUT_OF_MEMORY (out of memory)"
  std::string error_text(CUresult result) const;
};

// Opens and initialises the driver. Throws Error(missing), saying why and what still works, when there is no driver,
// no GPU, or a driver older than CUDA 12.0. `library` is an argument for the tests.
std::shared_ptr<const CudaDriver> load_cuda_driver(const char* library = "libcuda.so.1");

// Throws Error(device): "<call>: <name> (<description>)" when `result` is no success.
void check_cuda(const CudaDriver& driver, CUresult result, std::string_view call);

// DUET_CUDA_CHECK(driver, cuMemFree(address)) calls the driver's function and reports the call's text on failure.
#define DUET_CUDA_CHECK(driver, call) ::duet::check_cuda((driver), (driver).call, #call)

}  // namespace duet
