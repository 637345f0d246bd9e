// A library of CUDA opened at run time, as the table of the functions that are used of it.
//
//   const auto nvrtc = open_table<NvrtcLibrary>(path, "NVRTC", reason, [](void* handle, NvrtcLibrary& table) {
//     return resolve(handle, "nvrtcVersion", table.get_version);
//   });
#pragma once

#include <dlfcn.h>
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace duet {

// False, with a null pointer, where the library does not have it.
template <typename Function>
bool resolve(void* handle, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(handle, name));
  return function != nullptr;
}

// Null, with the reason, when it does not open, or when `fill` says that it is no `api`. Once opened, a library stays
// loaded until the process ends: these keep threads and hooks that outlive any caller.
template <typename Table, typename Fill>
std::shared_ptr<const Table> open_table(const std::filesystem::path& path, std::string_view api, std::string& reason,
                                        const Fill& fill) {
  void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* text = ::dlerror();
    reason = text != nullptr ? text : "dlopen failed";
    return nullptr;
  }
  auto table = std::make_shared<Table>();
  table->path = path;
  if (fill(handle, *table)) return table;
  reason = fmt::format("{} lacks functions of {}", path.string(), api);
  ::dlclose(handle);
  return nullptr;
}

}  // namespace duet
