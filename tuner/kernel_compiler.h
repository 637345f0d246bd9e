// Generated source to a kernel image. A failed compile is a value and keeps its log.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "codegen/emit.h"
#include "runtime/plan.h"

namespace duet {

// Whether a failed compile is the source's fault, or the compiler's process ended over it, which may have been
// somebody else's doing.
enum class CompileFailure : std::uint8_t { source, crash, timeout };

struct CompileResult {
  bool ok = false;
  CompileFailure failure = CompileFailure::source;  // meaningless when ok
  KernelImage image;
  std::string log;  // the compiler's, and ptxas -v's
  bool from_cache = false;
  double compile_s = 0;
};

class KernelCompiler {
 public:
  virtual ~KernelCompiler() = default;
  // One source for one architecture ("sm_87"). Thread-safe.
  virtual CompileResult compile(const KernelSource& source, const std::string& arch) = 0;
  virtual std::string version() const = 0;  // "NVRTC 13.0"
  // What else decides the image: command-line options. Part of a cache's key.
  virtual std::string options() const { return {}; }
};

}  // namespace duet
