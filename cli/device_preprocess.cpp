#include "cli/device_preprocess.h"

#include <cstring>

#include "base/error.h"
#include "codegen/emit.h"
#include "runtime/device_pointer.h"

namespace duet {
namespace {

PlanKernel make_kernel(const ImageConfig& config, KernelCompiler* compiler, const std::string& arch) {
  const KernelSource source = emit(config);
  PlanKernel kernel{.entry = source.entry, .family = "image", .source = source.text, .threads = config.threads()};
  if (compiler == nullptr) return kernel;
  CompileResult compiled = compiler->compile(source, arch);
  if (!compiled.ok) fail(ErrorKind::device, "{} does not compile for {}: {:.300}", source.entry, arch, compiled.log);
  kernel.images.push_back(std::move(compiled.image));
  return kernel;
}

template <typename T>
DeviceBuffer upload(Device& device, std::span<const T> values) {
  DeviceBuffer buffer(device, values.size_bytes());
  device.write(buffer.address(), std::as_bytes(values));
  return buffer;
}

struct DeviceTable {
  DeviceTable(Device& device, const FilterTable& table, ImageParams& params)
      : begins(upload<std::int32_t>(device, table.begins)),
        counts(upload<std::int32_t>(device, table.counts)),
        weights(upload<std::int32_t>(device, table.weights)) {
    params.begins = device_pointer<const int>(begins.address());
    params.counts = device_pointer<const int>(counts.address());
    params.weights = device_pointer<const int>(weights.address());
  }
  DeviceBuffer begins, counts, weights;
};

Launch make_launch(LoadedKernel kernel, const std::string& name, const ImageConfig& config, int pixels,
                   const ImageParams& params) {
  const Grid3 grid = image_grid(config, pixels);
  Launch launch;
  launch.kernel = kernel;
  launch.name = name;
  launch.grid = {grid.x, grid.y, grid.z};
  launch.threads = config.threads();
  launch.params.resize(sizeof(params));
  std::memcpy(launch.params.data(), &params, sizeof(params));
  return launch;
}

}  // namespace

// What photographs of one size need, bound to one place of the result.
struct DevicePreprocessor::Prepared {
  Prepared(Device& device, const ImageSize& size, ImagePasses what, DeviceAddress result)
      : photo(size),
        out(result),
        passes(std::move(what)),
        x(device, passes.x, passes.rows),
        y(device, passes.y, passes.columns),
        levels(upload<float>(device, {passes.levels.front().data(), 3 * passes.levels.front().size()})),
        pixels(device, static_cast<std::size_t>(image_bytes(passes.rows.width, passes.rows.height))),
        strip(device, static_cast<std::size_t>(passes.rows.taps) * static_cast<std::size_t>(passes.rows.height) * 4) {
    passes.rows.pixels = device_pointer<const void>(pixels.address());
    passes.rows.out = device_pointer<void>(strip.address());
    passes.columns.pixels = device_pointer<const void>(strip.address());
    passes.columns.levels = device_pointer<const float>(levels.address());
    passes.columns.out = device_pointer<void>(out);
    device.fill(pixels.address(), std::byte{0}, pixels.bytes());  // the words behind the last row are read
  }

  ImageSize photo;
  DeviceAddress out;
  ImagePasses passes;
  DeviceTable x, y;
  DeviceBuffer levels, pixels, strip;
  std::unique_ptr<Executable> executable;  // dies before the memory it uses
};

DevicePreprocessor::DevicePreprocessor(Device& device, KernelCompiler* compiler, const ProcessorConfig& config,
                                       Dtype dtype)
    : device_(device), config_(config) {
  columns_.op = {.pass = ImagePass::columns, .dtype = dtype};
  const std::string& arch = device.info().fingerprint.arch;
  const PlanKernel rows = make_kernel(rows_, compiler, arch), columns = make_kernel(columns_, compiler, arch);
  const std::string sources[] = {rows.source, columns.source};
  device.prepare(sources);
  rows_kernel_ = device.load(rows);
  try {
    columns_kernel_ = device.load(columns);
  } catch (...) {
    device.unload(rows_kernel_);
    throw;
  }
}

DevicePreprocessor::~DevicePreprocessor() {
  prepared_.reset();
  device_.unload(columns_kernel_);
  device_.unload(rows_kernel_);
}

ImageSize DevicePreprocessor::result_size(const ImageSize& photo) const {
  const CropPlan crop = plan_crop(photo, config_);
  return {crop.x.size, crop.y.size};
}

void DevicePreprocessor::prepare(const ImageSize& photo, DeviceAddress out) {
  if (prepared_ && prepared_->photo == photo && prepared_->out == out) return;
  prepared_.reset();
  auto prepared = std::make_unique<Prepared>(device_, photo, image_passes(photo, config_), out);
  const ImageParams &rows = prepared->passes.rows, &columns = prepared->passes.columns;
  const Launch launches[] = {
      make_launch(rows_kernel_, "preprocess.rows", rows_, rows.taps * rows.height, rows),
      make_launch(columns_kernel_, "preprocess.columns", columns_, columns.out_w * columns.out_h, columns)};
  prepared->executable = device_.capture(launches);
  prepared_ = std::move(prepared);
}

void DevicePreprocessor::run(const RgbImage& photo, DeviceAddress out) {
  prepare({photo.width, photo.height}, out);
  const auto row_bytes = static_cast<std::size_t>(photo.width) * 3;
  const auto first = static_cast<std::size_t>(prepared_->passes.first_row) * row_bytes;
  const auto bytes = static_cast<std::size_t>(prepared_->passes.rows.height) * row_bytes;
  device_.write(prepared_->pixels.address(), std::as_bytes(std::span(photo.pixels)).subspan(first, bytes));
  prepared_->executable->run();
}

std::vector<double> DevicePreprocessor::time_us(int samples) {
  if (!prepared_) fail(ErrorKind::internal, "no photograph was preprocessed yet");
  return prepared_->executable->time_us(samples, CacheState::warm);
}

}  // namespace duet
