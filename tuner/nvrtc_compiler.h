// Generated source to a cubin, by NVRTC. Needs no GPU: the architecture is an argument.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tuner/kernel_compiler.h"
#include "tuner/nvrtc_library.h"

namespace duet {

// A file that stubs may include, by the name they include it under.
struct HeaderFile {
  std::string name;  // "templates/gemm.cuh"
  std::string text;
};

// The kernel templates built into this binary.
std::vector<HeaderFile> template_headers();

class NvrtcCompiler : public KernelCompiler {
 public:
  // `max_cuda_major`: the driver's, where there is one; images of a newer compiler do not load on it.
  explicit NvrtcCompiler(std::optional<int> max_cuda_major = std::nullopt,
                         std::vector<HeaderFile> headers = template_headers());

  // Opens the library on the first call: Error(missing) when there is none. A source that does not compile, or an
  // architecture the compiler does not know, is a result that is not ok and keeps the log.
  CompileResult compile(const KernelSource& source, const std::string& arch) override;
  std::string version() const override;  // "NVRTC 13.0"; opens the library
  std::string options() const override;  // with the hash of the headers
  // Why it does not compile for an architecture, with the next step; empty when it does. Opens the library.
  std::string why_unsupported(std::string_view arch) const;

 private:
  const NvrtcLibrary& library() const;

  std::optional<int> max_cuda_major_;
  std::vector<HeaderFile> headers_;
  std::string headers_hash_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const NvrtcLibrary> library_;
};

}  // namespace duet
