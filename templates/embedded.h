// The kernel templates as they were when this binary was built: what NVRTC gets as named headers, and what the emulator
// writes out for the host compiler. Plain data: a deployed binary needs no source tree.
#pragma once

#include <span>
#include <string_view>

namespace duet {

struct EmbeddedFile {
  std::string_view path;  // as a stub includes it: "templates/gemm.cuh"
  std::string_view text;  // null-terminated: text.data() may be passed to C
};

// Every file a stub can include, sorted by path. The views last as long as the program.
std::span<const EmbeddedFile> embedded_templates();

// SHA-256 over all names and texts, in hexadecimal: part of the key of anything compiled from them.
std::string_view embedded_templates_hash();

}  // namespace duet
