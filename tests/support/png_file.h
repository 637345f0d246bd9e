// PNG files piece by piece, for those that lie about what follows.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace duet {

inline void append_big_endian(std::string& text, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(value >> shift & 0xff);
}

inline std::uint32_t crc32_of(std::string_view data) {
  std::uint32_t crc = 0xffffffffU;
  for (const char c : data) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1U) != 0 ? 0xedb88320U : 0U);
  }
  return ~crc;
}

inline std::string png_chunk(std::string_view kind, std::string_view data) {
  std::string chunk;
  append_big_endian(chunk, static_cast<std::uint32_t>(data.size()));
  const std::string body = std::string(kind) + std::string(data);
  chunk += body;
  append_big_endian(chunk, crc32_of(body));
  return chunk;
}

// The file's signature and its header: 8-bit RGB.
inline std::string png_header(std::uint32_t width, std::uint32_t height) {
  std::string data;
  append_big_endian(data, width);
  append_big_endian(data, height);
  data += std::string("\x08\x02\x00\x00\x00", 5);
  return "\x89PNG\r\n\x1a\n" + png_chunk("IHDR", data);
}

}  // namespace duet
