#include "runtime/plan.h"

namespace duet {

std::string_view provenance_name(Provenance provenance) {
  switch (provenance) {
    case Provenance::predicted:
      return "predicted";
    case Provenance::emulated:
      return "emulated";
    case Provenance::measured:
      return "measured";
  }
  return "unknown";
}

std::string_view execution_mode_name(ExecutionMode mode) {
  switch (mode) {
    case ExecutionMode::sequential:
      return "sequential";
    case ExecutionMode::streams:
      return "streams";
    case ExecutionMode::paired:
      return "paired";
    case ExecutionMode::partition:
      return "partition";
  }
  return "unknown";
}

int registers_of(const PlanKernel& kernel) { return kernel.images.empty() ? 0 : kernel.images.front().registers; }

StreamShare stream_share(const Plan& plan, int stream) {
  return plan.streams.empty() ? StreamShare{} : plan.streams.at(static_cast<std::size_t>(stream));
}

std::int64_t PlanTensor::device_bytes() const {
  const std::int64_t rows = shape.empty() ? 1 : element_count(Shape(shape.begin(), shape.end() - 1));
  return rows * ld * dtype_bytes(dtype);
}

}  // namespace duet
