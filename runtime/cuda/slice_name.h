// Names of targets that are a GPU here: "auto" for all of it, "auto/16sm" for a slice of 16 SMs.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace duet {

std::string slice_target(int sms);  // 0: "auto"
// The SMs of such a name, 0 for "auto"; none for a target of another kind. Throws Error(usage) for a malformed slice.
std::optional<int> parse_slice_target(std::string_view name);

}  // namespace duet
