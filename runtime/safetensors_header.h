// The header of a .safetensors file: which tensor lies where. Parsing touches no file, so that it can be fuzzed.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/tensor.h"

namespace duet {

struct SafetensorsEntry {
  std::string dtype{};  // as written: "F16", "BF16", "I64", ... ; may be one that Duet does not know
  Shape shape{};
  std::uint64_t begin = 0, end = 0;  // bytes from the start of the data
};
using SafetensorsEntries = std::map<std::string, SafetensorsEntry, std::less<>>;

constexpr std::uint64_t kMaxSafetensorsHeaderBytes = 100'000'000;

// Parses and checks the JSON text: limits on depth, counts and names; no duplicates; every range inside `data_bytes`,
// as long as its dtype and shape say, and overlapping no other. Throws Error(input) that starts with `file`.
SafetensorsEntries parse_safetensors_header(std::string_view text, std::uint64_t data_bytes, std::string_view file);

}  // namespace duet
