#include "runtime/c_api.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <string>

#include "base/error.h"
#include "runtime/cuda/cuda_device.h"
#include "runtime/plan_choice.h"
#include "runtime/plan_rank.h"
#include "runtime/plan_store.h"
#include "runtime/safetensors.h"

namespace {

using duet::ErrorKind;
using duet::fail;
using duet::HostTensor;
using duet::PlanTensor;

thread_local std::string last_error;

duet_status remember(duet_status status, const char* text) noexcept {
  try {
    last_error = text;
  } catch (...) {
    last_error.clear();  // no memory even for the message
  }
  return status;
}

// No exception crosses into C.
template <typename Work>
duet_status guarded(const Work& work) noexcept {
  try {
    work();
    return DUET_OK;
  } catch (const duet::Error& error) {
    return remember(static_cast<duet_status>(error.kind()), error.what());
  } catch (const std::bad_alloc&) {
    return remember(DUET_ERROR_DEVICE, "out of host memory");
  } catch (const std::exception& error) {
    return remember(DUET_ERROR_INTERNAL, error.what());
  } catch (...) {
    return remember(DUET_ERROR_INTERNAL, "an unknown exception");
  }
}

void require(const void* pointer, const char* what) {
  if (pointer == nullptr) fail(ErrorKind::usage, "{} is NULL", what);
}

duet::Dtype checked_dtype(int number) {
  if (number < DUET_F32 || number > DUET_I32) fail(ErrorKind::usage, "no element type has the number {}", number);
  return static_cast<duet::Dtype>(number);
}

const PlanTensor& find_tensor(const std::vector<PlanTensor>& tensors, const char* name, const char* what) {
  const auto found =
      std::find_if(tensors.begin(), tensors.end(), [&](const PlanTensor& tensor) { return tensor.name == name; });
  if (found == tensors.end()) fail(ErrorKind::input, "the plan has no {} '{}'", what, name);
  return *found;
}

void require_size(const PlanTensor& tensor, duet::Dtype dtype, std::size_t bytes) {
  const auto expected = static_cast<std::size_t>(duet::element_count(tensor.shape) * duet::dtype_bytes(dtype));
  if (bytes == expected) return;
  fail(ErrorKind::input, "'{}' of shape {} in {} takes {} bytes, not {}", tensor.name, duet::shape_text(tensor.shape),
       duet::dtype_name(dtype), expected, bytes);
}

void describe(const std::vector<PlanTensor>& tensors, std::size_t index, duet_tensor_info& info) {
  if (index >= tensors.size()) {
    fail(ErrorKind::usage, "there is no tensor number {}: there are {}", index, tensors.size());
  }
  const PlanTensor& tensor = tensors[index];
  if (tensor.shape.size() > DUET_MAX_RANK) {
    fail(ErrorKind::input, "'{}' has {} dimensions, more than {}", tensor.name, tensor.shape.size(),
         static_cast<int>(DUET_MAX_RANK));
  }
  info = {};
  info.name = tensor.name.c_str();
  info.dtype = static_cast<duet_dtype>(tensor.dtype);
  info.rank = static_cast<int>(tensor.shape.size());
  std::copy(tensor.shape.begin(), tensor.shape.end(), info.shape);
}

// A plan made for another device may hold no kernel for this one: the message says for which it was made.
std::unique_ptr<duet::Engine> load_engine(duet::Device& device, const duet::PlanStore& store,
                                          const duet::PlanSummary& chosen, const duet::SafetensorsFile& weights) {
  try {
    return std::make_unique<duet::Engine>(device, store.load(chosen.id), weights);
  } catch (const duet::Error& error) {
    const std::string other = duet::device_differences(chosen.key.device, device.info().fingerprint);
    if (error.kind() != ErrorKind::missing || other.empty()) throw;
    fail(error.kind(), "plan {}, the nearest there is ({}): {}", chosen.id, other, error.what());
  }
}

std::unique_ptr<duet_engine> open_engine(const char* plan_path, const char* weights_path, const duet_options& options) {
  // The files first: a wrong path is told without a GPU.
  const auto store = duet::PlanStore::open(plan_path, duet::PlanStore::Mode::read_only);
  const auto weights = duet::SafetensorsFile::open(weights_path);
  auto opened = std::make_unique<duet_engine>();
  opened->device = duet::CudaDevice::open(options.gpu);
  const auto plans = store.list();
  const duet::PlanRequest request{.batch = options.batch, .variant = options.variant == nullptr ? "" : options.variant};
  const duet::PlanSummary& chosen = duet::choose_plan(plans, opened->device->info().fingerprint, request);
  opened->engine = load_engine(*opened->device, store, chosen, weights);
  opened->differences = duet::device_differences(chosen.key.device, opened->device->info().fingerprint);
  return opened;
}

}  // namespace

const char* duet_last_error(void) { return last_error.c_str(); }

duet_status duet_open(const char* plan_path, const char* weights_path, const duet_options* options,
                      duet_engine** engine) {
  if (engine != nullptr) *engine = nullptr;
  return guarded([&] {
    require(engine, "engine");
    require(plan_path, "plan_path");
    require(weights_path, "weights_path");
    *engine = open_engine(plan_path, weights_path, options == nullptr ? duet_options{} : *options).release();
  });
}

void duet_close(duet_engine* engine) { delete engine; }

const char* duet_plan_differences(const duet_engine* engine) {
  return engine == nullptr ? "" : engine->differences.c_str();
}

size_t duet_input_count(const duet_engine* engine) {
  return engine == nullptr ? 0 : engine->engine->plan().inputs.size();
}

size_t duet_output_count(const duet_engine* engine) {
  return engine == nullptr ? 0 : engine->engine->plan().outputs.size();
}

duet_status duet_input_info(const duet_engine* engine, size_t index, duet_tensor_info* info) {
  return guarded([&] {
    require(engine, "engine");
    require(info, "info");
    describe(engine->engine->plan().inputs, index, *info);
  });
}

duet_status duet_output_info(const duet_engine* engine, size_t index, duet_tensor_info* info) {
  return guarded([&] {
    require(engine, "engine");
    require(info, "info");
    describe(engine->engine->plan().outputs, index, *info);
  });
}

duet_status duet_set_input(duet_engine* engine, const char* name, int dtype, const void* data, size_t bytes) {
  return guarded([&] {
    require(engine, "engine");
    require(name, "name");
    require(data, "data");
    const PlanTensor& input = find_tensor(engine->engine->plan().inputs, name, "input");
    HostTensor tensor;
    tensor.dtype = checked_dtype(dtype);
    tensor.shape = input.shape;
    require_size(input, tensor.dtype, bytes);
    const auto* begin = static_cast<const std::byte*>(data);
    tensor.bytes.assign(begin, begin + bytes);
    engine->engine->set_input(name, tensor);
  });
}

duet_status duet_run(duet_engine* engine) {
  return guarded([&] {
    require(engine, "engine");
    engine->engine->run();
  });
}

duet_status duet_get_output(const duet_engine* engine, const char* name, int dtype, void* data, size_t bytes) {
  return guarded([&] {
    require(engine, "engine");
    require(name, "name");
    require(data, "data");
    const PlanTensor& output = find_tensor(engine->engine->plan().outputs, name, "output");
    const duet::Dtype wanted = checked_dtype(dtype);
    require_size(output, wanted, bytes);
    HostTensor tensor = engine->engine->output(name);
    if (tensor.dtype != wanted) tensor = duet::convert(tensor, wanted);
    std::memcpy(data, tensor.bytes.data(), tensor.bytes.size());
  });
}
