// A shared object that looks like a CUDA driver on a machine without a GPU.
#include <cuda.h>

#include <cstring>

namespace {

CUresult CUDAAPI no_device(unsigned int) { return CUDA_ERROR_NO_DEVICE; }
CUresult CUDAAPI unused() { return CUDA_ERROR_NOT_INITIALIZED; }
CUresult CUDAAPI error_name(CUresult, const char** text) {
  *text = "CUDA_ERROR_NO_DEVICE";
  return CUDA_SUCCESS;
}
CUresult CUDAAPI error_string(CUresult, const char** text) {
  *text = "no GPU";
  return CUDA_SUCCESS;
}

template <typename Function>
void* as_address(Function function) {
  return reinterpret_cast<void*>(function);
}

}  // namespace

extern "C" CUresult CUDAAPI cuGetProcAddress_v2(const char* name, void** function, int, cuuint64_t,
                                                CUdriverProcAddressQueryResult* found) {
  *function = as_address(unused);
  if (std::strcmp(name, "cuInit") == 0) *function = as_address(no_device);
  if (std::strcmp(name, "cuGetErrorName") == 0) *function = as_address(error_name);
  if (std::strcmp(name, "cuGetErrorString") == 0) *function = as_address(error_string);
  *found = CU_GET_PROC_ADDRESS_SUCCESS;
  return CUDA_SUCCESS;
}
