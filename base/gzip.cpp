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

}  // namespace duet
