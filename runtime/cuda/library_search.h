// Where the libraries of CUDA lie on this machine: toolkits, Python wheels, the loader's own path.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace duet {

// Folders of libraries, in order of search: of the toolkits under /usr/local, of the Python wheels in `repo_root`/.deps
// and of those in this machine's site-packages.
std::vector<std::filesystem::path> cuda_library_folders(const std::filesystem::path& repo_root);

// The folders of one toolkit that may hold libraries, CUPTI's own among them.
std::vector<std::filesystem::path> toolkit_library_folders(const std::filesystem::path& toolkit);

// The files STEM.so.13, STEM.so.12 and STEM.so that `folders` hold, and last these names alone, for the loader.
std::vector<std::filesystem::path> find_library_files(std::span<const std::filesystem::path> folders,
                                                      std::string_view stem);

// libnvrtc.so.13 -> 13; none for libnvrtc.so.
std::optional<int> cuda_major_in_name(const std::filesystem::path& library);

// By the CUDA major in their names; those without one last, as they must be opened to know.
void sort_newest_first(std::vector<std::filesystem::path>& libraries);

}  // namespace duet
