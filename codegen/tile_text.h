// A tile from the text that plans and records keep of it.
#pragma once

#include <string_view>

#include "codegen/candidate.h"

namespace duet {

// The inverse of config_text() for a family (family_name). Parameters that the text does not name keep their defaults.
// Throws Error(input) naming what cannot be read.
KernelTile parse_tile(std::string_view family, std::string_view config_text);

}  // namespace duet
