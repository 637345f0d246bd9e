// Photographs preprocessed by the device that runs the plan: uploaded as 8-bit pixels, resized, cropped and normalised
// there, written where the plan reads them. Equal to the frontend's processor to the bit.
//
//   DevicePreprocessor preprocessor(device, compiler, config, Dtype::f16);
//   preprocessor.run(read_image("photo.jpg"), engine.input_address("pixel_values"));
#pragma once

#include <memory>
#include <vector>

#include "cli/image_passes.h"
#include "runtime/device.h"
#include "tuner/kernel_compiler.h"

namespace duet {

class DevicePreprocessor {
 public:
  // `compiler` makes the device's images; null for the emulator, which compiles for itself. Throws Error(device) when
  // the kernels do not compile. The device must outlive this.
  DevicePreprocessor(Device& device, KernelCompiler* compiler, const ProcessorConfig& config, Dtype dtype);
  ~DevicePreprocessor();
  DevicePreprocessor(const DevicePreprocessor&) = delete;
  DevicePreprocessor& operator=(const DevicePreprocessor&) = delete;

  // Width and height of what a photograph of that size becomes.
  ImageSize result_size(const ImageSize& photo) const;
  // Writes (3, height, width) elements at `out` and waits. Tables and memory are kept for the next photograph of the
  // same size. Throws Error(input) as image_passes does.
  void run(const RgbImage& photo, DeviceAddress out);
  // The two kernels alone, on the last photograph: one time a sample, empty where the device cannot measure.
  std::vector<double> time_us(int samples);

 private:
  struct Prepared;
  void prepare(const ImageSize& photo, DeviceAddress out);

  Device& device_;
  ProcessorConfig config_;
  ImageConfig rows_, columns_;
  LoadedKernel rows_kernel_, columns_kernel_;
  std::unique_ptr<Prepared> prepared_;
};

}  // namespace duet
