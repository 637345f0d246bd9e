// Text from files and messages about it as they may stand in a one-line message.
#pragma once

#include <string>
#include <string_view>

namespace duet {

// A piece of a file or a text: cut after 64 bytes, line breaks and the like replaced.
std::string printable(std::string_view text);

// A whole message with such text in it: on one line, cut after 1000 bytes.
std::string one_line(std::string_view message);

}  // namespace duet
