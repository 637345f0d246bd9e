#include "tuner/nvrtc_compiler.h"

#include <array>
#include <chrono>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "templates/embedded.h"
#include "tuner/cubin_info.h"

namespace duet {
namespace {

// -default-device: the config headers are plain functions shared with the host.
constexpr std::array kOptions = {"-default-device", "-std=c++17", "-lineinfo", "--ptxas-options=-v"};

// One program of NVRTC, destroyed on every path.
class Program {
 public:
  Program(const NvrtcLibrary& library, const KernelSource& source, const std::vector<HeaderFile>& headers)
      : library_(library) {
    std::vector<const char*> names, texts;
    for (const HeaderFile& header : headers) {
      names.push_back(header.name.c_str());
      texts.push_back(header.text.c_str());
    }
    const std::string name = source.entry + ".cu";
    check(library_.create_program(&program_, source.text.c_str(), name.c_str(), static_cast<int>(headers.size()),
                                  texts.data(), names.data()),
          "nvrtcCreateProgram");
  }
  ~Program() {
    if (program_ != nullptr) library_.destroy_program(&program_);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  nvrtcResult compile(const std::vector<const char*>& options) {
    return library_.compile_program(program_, static_cast<int>(options.size()), options.data());
  }

  std::string log() const {
    std::size_t size = 0;
    check(library_.get_program_log_size(program_, &size), "nvrtcGetProgramLogSize");
    std::string text(size, '\0');
    if (size > 0) check(library_.get_program_log(program_, text.data()), "nvrtcGetProgramLog");
    while (!text.empty() && (text.back() == '\0' || text.back() == '\n')) text.pop_back();
    return text;
  }

  std::vector<std::byte> cubin() const {
    std::size_t size = 0;
    check(library_.get_cubin_size(program_, &size), "nvrtcGetCUBINSize");
    std::vector<std::byte> bytes(size);
    if (size > 0) check(library_.get_cubin(program_, reinterpret_cast<char*>(bytes.data())), "nvrtcGetCUBIN");
    return bytes;
  }

 private:
  void check(nvrtcResult result, const char* call) const {
    if (result != NVRTC_SUCCESS)
      fail(ErrorKind::device, "{} failed: {} ({})", call, library_.get_error_string(result), library_.path.string());
  }

  const NvrtcLibrary& library_;
  nvrtcProgram program_ = nullptr;
};

// Warpgroup products are among what only the architecture's own variant offers.
std::string compiled_arch(const std::string& arch) { return arch == "sm_90" ? "sm_90a" : arch; }

std::string hash_headers(const std::vector<HeaderFile>& headers) {
  std::string all;
  for (const HeaderFile& header : headers)
    all += fmt::format("{}\n{}\n{}", header.name, header.text.size(), header.text);
  return hash_text(all);
}

}  // namespace

std::vector<HeaderFile> template_headers() {
  std::vector<HeaderFile> headers;
  for (const EmbeddedFile& file : embedded_templates())
    headers.push_back({.name = std::string(file.path), .text = std::string(file.text)});
  return headers;
}

NvrtcCompiler::NvrtcCompiler(std::optional<int> max_cuda_major, std::vector<HeaderFile> headers)
    : max_cuda_major_(max_cuda_major), headers_(std::move(headers)), headers_hash_(hash_headers(headers_)) {}

const NvrtcLibrary& NvrtcCompiler::library() const {
  const std::lock_guard lock(mutex_);
  if (!library_) library_ = NvrtcLibrary::open(max_cuda_major_);
  return *library_;
}

std::string NvrtcCompiler::version() const {
  const NvrtcVersion& version = library().version;
  return fmt::format("NVRTC {}.{}", version.major, version.minor);
}

std::string NvrtcCompiler::options() const {
  return fmt::format("{} sm_90={} headers={}", fmt::join(kOptions, " "), compiled_arch("sm_90"), headers_hash_);
}

std::string NvrtcCompiler::why_unsupported(std::string_view arch) const {
  if (std::string old = why_too_old(arch); !old.empty()) return old;
  return duet::why_unsupported(arch, library().version, library().architectures);
}

CompileResult NvrtcCompiler::compile(const KernelSource& source, const std::string& arch) {
  const auto start = std::chrono::steady_clock::now();
  const NvrtcLibrary& nvrtc = library();
  const std::string architecture = "--gpu-architecture=" + compiled_arch(arch);
  std::vector<const char*> options(kOptions.begin(), kOptions.end());
  options.push_back(architecture.c_str());

  CompileResult result;
  result.log = why_unsupported(arch);
  if (!result.log.empty()) return result;
  Program program(nvrtc, source, headers_);
  const nvrtcResult outcome = program.compile(options);
  result.log = program.log();
  if (outcome == NVRTC_SUCCESS) {
    result.ok = true;
    result.image.arch = arch;
    result.image.cuda_major = nvrtc.version.major;
    result.image.compiler = version();
    result.image.bytes = program.cubin();
    result.image.hash = hash_bytes(result.image.bytes);
    fill_usage(result.image, source.entry, result.log);
  } else if (result.log.empty()) {
    result.log = nvrtc.get_error_string(outcome);
  }
  result.compile_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace duet
