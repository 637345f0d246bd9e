#include "base/gzip.h"

#include <zlib.h>

#include "base/error.h"

namespace duet {

std::vector<std::byte> gzip(std::string_view text) {
  constexpr int kGzipFormat = 15 + 16, kMemoryLevel = 8;  // the largest window, with gzip's header and checksum
  z_stream stream{};
  if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, kGzipFormat, kMemoryLevel, Z_DEFAULT_STRATEGY) != Z_OK)
    fail(ErrorKind::internal, "zlib {} cannot begin to compress", zlibVersion());
  std::vector<std::byte> packed(deflateBound(&stream, text.size()));
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));  // zlib's type; it only reads
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  const int result = deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  if (result != Z_STREAM_END)
    fail(ErrorKind::internal, "zlib {} did not compress {} bytes", zlibVersion(), text.size());
  return packed;
}

bool is_gzip(std::string_view bytes) { return bytes.starts_with("\x1f\x8b"); }

namespace {

class Inflater {
 public:
  explicit Inflater(std::span<const std::byte> packed) {
    constexpr int kGzipFormat = 15 + 16;
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data()));  // zlib's type; it only reads
    stream_.avail_in = static_cast<uInt>(packed.size());
    if (inflateInit2(&stream_, kGzipFormat) != Z_OK)
      fail(ErrorKind::internal, "zlib {} cannot begin to unpack", zlibVersion());
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { inflateEnd(&stream_); }

  // Z_STREAM_END when the last member ended; Z_OK while there is more.
  int append_to(std::string& text) {
    constexpr std::size_t kChunkBytes = std::size_t{1} << 16;
    const std::size_t before = text.size();
    text.resize(before + kChunkBytes);
    stream_.next_out = reinterpret_cast<Bytef*>(text.data() + before);
    stream_.avail_out = static_cast<uInt>(kChunkBytes);
    const int result = inflate(&stream_, Z_NO_FLUSH);
    text.resize(text.size() - stream_.avail_out);
    if (result != Z_STREAM_END || stream_.avail_in == 0) return result;
    return inflateReset(&stream_);
  }
  const char* reason() const { return stream_.msg != nullptr ? stream_.msg : "it is cut short"; }

 private:
  z_stream stream_{};
};

}  // namespace

std::string gunzip(std::span<const std::byte> packed, std::uint64_t max_bytes, std::string_view name) {
  Inflater inflater(packed);
  std::string text;
  int result = Z_OK;
  while (result == Z_OK) {
    result = inflater.append_to(text);
    if (text.size() > max_bytes)
      fail(ErrorKind::input, "{}: unpacks to more than {} bytes, the limit", name, max_bytes);
  }
  if (result != Z_STREAM_END) fail(ErrorKind::input, "{}: is no whole gzip file: {}", name, inflater.reason());
  return text;
}

}  // namespace duet
