// The files Duet ships: graphs, devices and search spaces, found beside the executable or the source tree.
#pragma once

#include <filesystem>
#include <string_view>

namespace duet {

// The folder that holds graphs/, devices/ and schedules/: $DUET_DATA, <prefix>/share/duet, the source tree that the
// executable was built in, or the current folder. Throws Error(missing) naming the places tried.
const std::filesystem::path& data_dir();

// A file given by path, or by the name of one that ships: "clip-vit-b32" is graphs/clip-vit-b32.yaml.
std::filesystem::path find_data_file(std::string_view kind, std::string_view name_or_path);

}  // namespace duet
