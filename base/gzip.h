// A gzip file in memory: equal texts give equal bytes, since neither time nor name is written into it.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace duet {

std::vector<std::byte> gzip(std::string_view text);

}  // namespace duet
