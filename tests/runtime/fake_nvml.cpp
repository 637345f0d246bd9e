// Stands for libnvidia-ml.so.1: one GPU, whose throttle reasons are the number in DUET_FAKE_NVML_REASONS.
#include <cstdlib>

extern "C" {

int nvmlInit_v2() { return 0; }
int nvmlShutdown() { return 0; }
int nvmlDeviceGetHandleByPciBusId_v2(const char*, void** device) {
  static int gpu = 0;
  *device = &gpu;
  return 0;
}
int nvmlDeviceGetClockInfo(void*, unsigned int, unsigned int* mhz) {
  *mhz = 1755;
  return 0;
}
int nvmlDeviceGetTemperature(void*, unsigned int, unsigned int* degrees) {
  *degrees = 64;
  return 0;
}
int nvmlDeviceGetEnforcedPowerLimit(void*, unsigned int* milliwatts) {
  *milliwatts = 700000;
  return 0;
}
int nvmlDeviceGetCurrentClocksThrottleReasons(void*, unsigned long long* reasons) {
  const char* text = std::getenv("DUET_FAKE_NVML_REASONS");
  *reasons = text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
  return 0;
}
}
