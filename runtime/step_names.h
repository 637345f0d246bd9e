// Names of a plan's steps as people count them: a tower's layers are alike.
#pragma once

#include <string>
#include <string_view>

namespace duet {

// "text.layers.*.qkv" of "text.layers.11.qkv": parts that are numbers become "*".
std::string layer_pattern(std::string_view step_name);

}  // namespace duet
