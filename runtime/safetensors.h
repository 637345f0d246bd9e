// Checkpoints in the .safetensors format, memory-mapped: one file, or a sharded set with its index.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/tensor.h"
#include "base/weight_provider.h"

namespace duet {

class SafetensorsFile : public WeightProvider {
 public:
  // `path` is a file, or a folder that holds model.safetensors or model.safetensors.index.json with its shards.
  // Throws Error(missing) when there is nothing, Error(input) naming file and tensor when something is malformed.
  static SafetensorsFile open(const std::filesystem::path& path);
  SafetensorsFile(SafetensorsFile&&) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&&) noexcept;
  ~SafetensorsFile() override;

  // Valid as long as this object. Throws Error(input): no such tensor, or a type other than F32, F16, BF16, I32.
  TensorView tensor(std::string_view name) const override;
  std::vector<std::string> names() const;

 private:
  struct State;
  explicit SafetensorsFile(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Writes tensors in the order given. Throws Error(input) when the file cannot be written.
void write_safetensors(const std::filesystem::path& path,
                       const std::vector<std::pair<std::string, HostTensor>>& tensors);

}  // namespace duet
