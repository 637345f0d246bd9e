// PNG through libpng, with the conversions Pillow makes on the way to RGB: palettes and low bit depths expanded, 16-bit
// colour cut to its high byte, alpha dropped, no gamma.
#include <png.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <string>

#include "base/error.h"
#include "frontend/image_codec.h"

namespace duet {
namespace {

constexpr std::uint64_t kMaxInflation = 1032;  // deflate's best ratio
constexpr png_alloc_size_t kMaxChunkBytes = 4 << 20;
constexpr png_uint_32 kMaxTextChunks = 16;
constexpr std::string_view kXmpKey = "XML:com.adobe.xmp";
constexpr std::string_view kHexExifKey = "Raw profile type exif";  // what ImageMagick wrote before eXIf existed

// As with JPEG: errors jump, so no object with a destructor may live in a function that calls libpng.
struct PngReader {
  png_structp png = nullptr;
  png_infop info = nullptr;
  png_infop end = nullptr;
  std::span<const std::byte> rest{};  // not yet read
  std::array<char, 160> message{};

  explicit PngReader(std::span<const std::byte> file);
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;
  ~PngReader() { png_destroy_read_struct(&png, &info, &end); }
};

[[noreturn]] void on_library_error(png_structp png, png_const_charp reason) {
  auto& reader = *static_cast<PngReader*>(png_get_error_ptr(png));
  std::snprintf(reader.message.data(), reader.message.size(), "%s", reason);
  png_longjmp(png, 1);
}
void ignore_warning(png_structp, png_const_charp) {}

void read_bytes(png_structp png, png_bytep destination, png_size_t count) {
  auto& reader = *static_cast<PngReader*>(png_get_io_ptr(png));
  if (count > reader.rest.size()) png_error(png, "the file is truncated");
  std::memcpy(destination, reader.rest.data(), count);
  reader.rest = reader.rest.subspan(count);
}

PngReader::PngReader(std::span<const std::byte> file) : rest(file) {
  png = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_library_error, ignore_warning);
  info = png == nullptr ? nullptr : png_create_info_struct(png);
  end = png == nullptr ? nullptr : png_create_info_struct(png);
  if (end == nullptr || info == nullptr) fail(ErrorKind::missing, "libpng {} cannot be started", PNG_LIBPNG_VER_STRING);
}

bool read_header(PngReader& reader) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  png_set_read_fn(reader.png, &reader, read_bytes);
  png_set_user_limits(reader.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // pixels are limited below, not sides
  png_set_chunk_malloc_max(reader.png, kMaxChunkBytes);
  png_set_chunk_cache_max(reader.png, kMaxTextChunks);
  png_read_info(reader.png, reader.info);
  return true;
}

bool set_rgb_output(PngReader& reader) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  png_set_expand(reader.png);
  png_set_strip_16(reader.png);
  png_set_strip_alpha(reader.png);
  png_set_gray_to_rgb(reader.png);
  png_set_interlace_handling(reader.png);
  png_read_update_info(reader.png, reader.info);
  return true;
}

bool read_rows(PngReader& reader, png_bytepp rows) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  png_read_image(reader.png, rows);
  png_read_end(reader.png, reader.end);
  return true;
}

void require(bool ok, const PngReader& reader, std::string_view name) {
  if (!ok) fail(ErrorKind::input, "{}: cannot be decoded as PNG: {}", name, reader.message.data());
}

// Every chunk must lie in the file: libpng allocates what an eXIf chunk announces before it reads it.
void check_chunks(std::span<const std::byte> file, std::string_view name) {
  constexpr std::size_t kSignatureBytes = 8, kLengthBytes = 4, kFrameBytes = 12;  // length, type, checksum
  bool ended = false;
  for (std::span<const std::byte> rest = file.subspan(kSignatureBytes); rest.size() >= kLengthBytes && !ended;) {
    const auto* header = reinterpret_cast<png_const_bytep>(rest.data());
    const std::size_t bytes = kFrameBytes + png_get_uint_32(header);
    if (bytes > rest.size()) {
      fail(ErrorKind::input, "{}: cannot be decoded as PNG: truncated, a chunk of {} bytes has {}", name, bytes,
           rest.size());
    }
    ended = std::memcmp(header + kLengthBytes, "IEND", 4) == 0;
    rest = rest.subspan(bytes);
  }
}

// Refuses what cannot be, before memory is spent on it: a header that promises more than deflate could have packed.
void check_header(const PngReader& reader, std::size_t file_bytes, std::string_view name, const ImageLimits& limits) {
  const std::int64_t width = png_get_image_width(reader.png, reader.info);
  const std::int64_t height = png_get_image_height(reader.png, reader.info);
  check_image_size(width, height, name, limits);
  const int depth = png_get_bit_depth(reader.png, reader.info);
  if (depth == 16 && png_get_color_type(reader.png, reader.info) == PNG_COLOR_TYPE_GRAY) {
    fail(ErrorKind::input, "{}: 16-bit grey has no agreed 8-bit meaning (Pillow clips it); convert it to 8 bits", name);
  }
  const auto row_bits =
      static_cast<std::uint64_t>(width) * static_cast<unsigned>(depth) * png_get_channels(reader.png, reader.info);
  if (row_bits / 8 * static_cast<std::uint64_t>(height) > kMaxInflation * file_bytes) {
    fail(ErrorKind::input, "{}: {} x {} pixels cannot be in {} bytes; the file is truncated or made to exhaust memory",
         name, width, height, file_bytes);
  }
}

std::vector<png_bytep> row_pointers(RgbImage& image) {
  std::vector<png_bytep> rows(static_cast<std::size_t>(image.height));
  for (std::size_t y = 0; y < rows.size(); ++y) {
    rows[y] = image.pixels.data() + y * static_cast<std::size_t>(image.width) * 3;
  }
  return rows;
}

std::string text_of(const PngReader& reader, std::string_view key) {
  std::string found;
  for (const png_infop info : {reader.info, reader.end}) {
    png_textp texts = nullptr;
    const int count = png_get_text(reader.png, info, &texts, nullptr);
    for (int i = 0; i < count; ++i) {
      const bool international = texts[i].compression >= PNG_ITXT_COMPRESSION_NONE;
      const std::size_t length = international ? texts[i].itxt_length : texts[i].text_length;
      if (texts[i].key == key && texts[i].text != nullptr) found.assign(texts[i].text, length);
    }
  }
  return found;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// "\nexif\n    <length>\n<hexadecimal, in lines>"
std::string decode_hex_profile(std::string_view text) {
  for (int line = 0; line < 3; ++line) text.remove_prefix(std::min(text.size(), text.find('\n') + 1));
  std::string bytes;
  int high = -1;
  for (const char c : text) {
    const int digit = hex_digit(c);
    if (digit < 0) continue;
    if (high >= 0) bytes.push_back(static_cast<char>(high * 16 + digit));
    high = high >= 0 ? -1 : digit;
  }
  return bytes;
}

std::string exif_of(const PngReader& reader) {
  for (const png_infop info : {reader.info, reader.end}) {
    png_uint_32 length = 0;
    png_bytep data = nullptr;
    if (png_get_eXIf_1(reader.png, info, &length, &data) != 0 && data != nullptr) {
      return {reinterpret_cast<const char*>(data), length};
    }
  }
  return decode_hex_profile(text_of(reader, kHexExifKey));
}

}  // namespace

DecodedImage decode_png(std::span<const std::byte> file, std::string_view name, const ImageLimits& limits) {
  check_chunks(file, name);
  PngReader reader(file);
  require(read_header(reader), reader, name);
  check_header(reader, file.size(), name, limits);
  require(set_rgb_output(reader), reader, name);
  DecodedImage decoded;
  RgbImage& image = decoded.image;
  image.width = png_get_image_width(reader.png, reader.info);
  image.height = png_get_image_height(reader.png, reader.info);
  const auto row_bytes = static_cast<std::size_t>(image.width) * 3;
  if (png_get_rowbytes(reader.png, reader.info) != row_bytes) {
    fail(ErrorKind::internal, "{}: libpng gives rows of {} bytes where {} are expected", name,
         png_get_rowbytes(reader.png, reader.info), row_bytes);
  }
  image.pixels.resize(row_bytes * static_cast<std::size_t>(image.height));
  std::vector<png_bytep> rows = row_pointers(image);
  require(read_rows(reader, rows.data()), reader, name);
  const std::string exif = exif_of(reader);
  decoded.orientation = choose_orientation(std::as_bytes(std::span(exif)), text_of(reader, kXmpKey));
  return decoded;
}

}  // namespace duet
