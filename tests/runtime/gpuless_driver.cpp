// A shared object that looks like a CUDA driver on a machine without a GPU. It speaks the driver's C interface in plain
// types: every function returns an int, a CUresult.
#include <cstring>

namespace {

constexpr int kSuccess = 0;
constexpr int kNotInitialized = 3;
constexpr int kNoDevice = 100;

int no_device(unsigned int) { return kNoDevice; }
int unused() { return kNotInitialized; }
int error_name(int, const char** text) {
  *text = "CUDA_ERROR_NO_DEVICE";
  return kSuccess;
}
int error_string(int, const char** text) {
  *text = "no GPU";
  return kSuccess;
}

template <typename Function>
void* as_address(Function function) {
  return reinterpret_cast<void*>(function);
}

}  // namespace

extern "C" int cuGetProcAddress_v2(const char* name, void** function, int, unsigned long long, int* found) {
  *function = as_address(unused);
  if (std::strcmp(name, "cuInit") == 0) *function = as_address(no_device);
  if (std::strcmp(name, "cuGetErrorName") == 0) *function = as_address(error_name);
  if (std::strcmp(name, "cuGetErrorString") == 0) *function = as_address(error_string);
  *found = kSuccess;
  return kSuccess;
}
