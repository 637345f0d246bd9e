// intrinsics_host.h as it was when this library was built, for stubs compiled where there is no source tree.
#pragma once

#include <string_view>

namespace duet::emulator {

std::string_view embedded_host_header();

}  // namespace duet::emulator
