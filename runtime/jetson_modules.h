// The Jetson modules by the part numbers of their device trees.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace duet {

struct JetsonModule {
  std::string_view part;    // "p3767-0000": a word of /proc/device-tree/compatible begins or ends so
  std::string_view family;  // as /proc/device-tree/model has it: "Orin NX"
  std::string_view name;    // "Jetson Orin NX 16GB"
  std::string_view device;  // its file in devices/
  int sms = 0;              // in its largest power mode
  int memory_gib = 0;
};

// Those whose part is named; several when a part was sold in several sizes. Empty when none is known.
std::vector<JetsonModule> modules_of_part(std::string_view compatible);
// One per device; by what the model's text says, and by equal family. Empty when no family is known.
std::vector<JetsonModule> modules_of_model(std::string_view model);
std::vector<JetsonModule> modules_of_family(std::string_view family);

}  // namespace duet
