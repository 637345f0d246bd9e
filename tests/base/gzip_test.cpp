#include "base/gzip.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <string>

namespace duet {
namespace {

std::string unpacked(const std::vector<std::byte>& packed, std::size_t room) {
  std::string text(room, '\0');
  z_stream stream{};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  text.resize(stream.total_out);
  inflateEnd(&stream);
  return text;
}

TEST(Gzip, UnpacksToTheSameText) {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += std::to_string(i * 7919) + ",";
  const std::vector<std::byte> packed = gzip(text);
  EXPECT_LT(packed.size(), text.size() / 2);
  EXPECT_EQ(unpacked(packed, text.size() + 1), text);
  EXPECT_EQ(unpacked(gzip(""), 1), "");
}

// Bytes 4 to 7 of a gzip file are its time, byte 3 says whether a name follows.
TEST(Gzip, HoldsNeitherTimeNorName) {
  const std::vector<std::byte> packed = gzip("x");
  for (std::size_t i = 3; i < 8; ++i) EXPECT_EQ(packed.at(i), std::byte{0});
}

}  // namespace
}  // namespace duet
