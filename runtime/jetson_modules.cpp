#include "runtime/jetson_modules.h"

#include <algorithm>
#include <array>

namespace duet {
namespace {

// Part numbers of Orin and Thor from NVIDIA's device trees; those of the older modules are remembered.
// The first AGX Orin developer kits (p3701-0000) came with either memory.
constexpr std::array kModules{
    JetsonModule{"p3767-0000", "Orin NX", "Jetson Orin NX 16GB", "jetson-orin-nx-16gb", 8, 16},
    JetsonModule{"p3767-0001", "Orin NX", "Jetson Orin NX 8GB", "jetson-orin-nx-8gb", 8, 8},
    JetsonModule{"p3767-0003", "Orin Nano", "Jetson Orin Nano 8GB", "jetson-orin-nano-8gb", 8, 8},
    JetsonModule{"p3767-0005", "Orin Nano", "Jetson Orin Nano 8GB", "jetson-orin-nano-8gb", 8, 8},
    JetsonModule{"p3767-0004", "Orin Nano", "Jetson Orin Nano 4GB", "jetson-orin-nano-4gb", 4, 4},
    JetsonModule{"p3701-0000", "AGX Orin", "Jetson AGX Orin 64GB", "jetson-agx-orin-64gb", 16, 64},
    JetsonModule{"p3701-0000", "AGX Orin", "Jetson AGX Orin 32GB", "jetson-agx-orin-32gb", 14, 32},
    JetsonModule{"p3701-0004", "AGX Orin", "Jetson AGX Orin 32GB", "jetson-agx-orin-32gb", 14, 32},
    JetsonModule{"p3701-0005", "AGX Orin", "Jetson AGX Orin 64GB", "jetson-agx-orin-64gb", 16, 64},
    JetsonModule{"p3701-0008", "AGX Orin", "Jetson AGX Orin Industrial", "jetson-agx-orin-industrial", 16, 64},
    JetsonModule{"p3834-0008", "Thor", "Jetson Thor T5000", "jetson-thor-t5000", 20, 128},
    JetsonModule{"", "Thor", "Jetson Thor T4000", "jetson-thor-t4000", 12, 64},
    JetsonModule{"p3668", "Xavier NX", "Jetson Xavier NX", "jetson-xavier-nx", 6, 8},
    JetsonModule{"p2888", "AGX Xavier", "Jetson AGX Xavier", "jetson-agx-xavier", 8, 32},
    JetsonModule{"p3310", "TX2", "Jetson TX2", "jetson-tx2", 2, 8},
    JetsonModule{"p3448", "Jetson Nano", "Jetson Nano", "jetson-nano", 1, 4},
};

template <typename Wanted>
std::vector<JetsonModule> select(const Wanted& wanted) {
  std::vector<JetsonModule> found;
  for (const JetsonModule& module : kModules) {
    const bool known =
        std::any_of(found.begin(), found.end(), [&](const auto& f) { return f.device == module.device; });
    if (!known && wanted(module)) found.push_back(module);
  }
  return found;
}

}  // namespace

std::vector<JetsonModule> modules_of_part(std::string_view compatible) {
  return select([&](const JetsonModule& module) {
    return !module.part.empty() && compatible.find(module.part) != std::string_view::npos;
  });
}

std::vector<JetsonModule> modules_of_model(std::string_view model) {
  return select([&](const JetsonModule& module) { return model.find(module.family) != std::string_view::npos; });
}

std::vector<JetsonModule> modules_of_family(std::string_view family) {
  return select([&](const JetsonModule& module) { return module.family == family; });
}

}  // namespace duet
