// JPEG through libjpeg-turbo: the library behind Pillow, with the same settings (accurate integer DCT, fancy
// upsampling), so that pixels agree to the bit.
#include <csetjmp>
#include <cstdio>
#include <cstring>
// jpeglib.h needs <cstdio> first
#include <jpeglib.h>

#include <algorithm>
#include <array>
#include <string>

#include "base/error.h"
#include "frontend/image_codec.h"

namespace duet {
namespace {

constexpr int kMaxScans = 200;  // a progressive file of a few KB can ask for thousands of passes over all pixels
constexpr unsigned kMarkerBytes = 0xffff;
constexpr int kMetadataMarker = JPEG_APP0 + 1;  // EXIF and XMP
constexpr std::string_view kExifName("Exif\0\0", 6);
constexpr std::string_view kXmpName("http://ns.adobe.com/xap/1.0/\0", 29);

// libjpeg reports errors by calling a function that must not return: ours jumps back to the call in progress. Between
// setjmp and the jump no object with a destructor may live, so all state is here, and each step is one small function.
struct JpegReader {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_source_mgr source{};
  jpeg_progress_mgr progress{};
  std::jmp_buf on_error{};
  std::array<char, JMSG_LENGTH_MAX> message{};

  explicit JpegReader(std::span<const std::byte> file);
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;
  ~JpegReader() { jpeg_destroy_decompress(&info); }
};

JpegReader& reader_of(j_common_ptr info) { return *static_cast<JpegReader*>(info->client_data); }

[[noreturn]] void stop(JpegReader& reader, const char* reason) {
  std::snprintf(reader.message.data(), reader.message.size(), "%s", reason);
  std::longjmp(reader.on_error, 1);
}

[[noreturn]] void on_library_error(j_common_ptr info) {
  JpegReader& reader = reader_of(info);
  info->err->format_message(info, reader.message.data());
  std::longjmp(reader.on_error, 1);
}

// Recoverable damage inside the data is decoded as Pillow decodes it, without a word.
void ignore_warning(j_common_ptr, int) {}
void ignore_output(j_common_ptr) {}

void start_source(j_decompress_ptr) {}
void end_source(j_decompress_ptr) {}
boolean refuse_truncated(j_decompress_ptr info) {
  stop(reader_of(reinterpret_cast<j_common_ptr>(info)), "the file is truncated");
}
void skip_source(j_decompress_ptr info, long bytes) {
  if (bytes <= 0) return;
  if (static_cast<std::size_t>(bytes) > info->src->bytes_in_buffer) refuse_truncated(info);
  info->src->next_input_byte += bytes;
  info->src->bytes_in_buffer -= static_cast<std::size_t>(bytes);
}

void limit_scans(j_common_ptr info) {
  JpegReader& reader = reader_of(info);
  if (reader.info.input_scan_number > kMaxScans) stop(reader, "it has more than 200 scans");
}

JpegReader::JpegReader(std::span<const std::byte> file) {
  info.err = jpeg_std_error(&errors);
  errors.error_exit = on_library_error;
  errors.emit_message = ignore_warning;
  errors.output_message = ignore_output;
  info.client_data = this;
  source.next_input_byte = reinterpret_cast<const JOCTET*>(file.data());
  source.bytes_in_buffer = file.size();
  source.init_source = start_source;
  source.fill_input_buffer = refuse_truncated;
  source.skip_input_data = skip_source;
  source.resync_to_restart = jpeg_resync_to_restart;
  source.term_source = end_source;
  progress.progress_monitor = limit_scans;
}

bool read_header(JpegReader& reader) {
  if (setjmp(reader.on_error) != 0) return false;
  jpeg_create_decompress(&reader.info);
  reader.info.src = &reader.source;
  reader.info.progress = &reader.progress;
  jpeg_save_markers(&reader.info, kMetadataMarker, kMarkerBytes);
  jpeg_read_header(&reader.info, TRUE);
  return true;
}

// `rows` holds the image, channels as the output colour space says.
bool read_rows(JpegReader& reader, std::uint8_t* rows, std::size_t row_bytes) {
  if (setjmp(reader.on_error) != 0) return false;
  jpeg_start_decompress(&reader.info);
  while (reader.info.output_scanline < reader.info.output_height) {
    JSAMPROW row = rows + reader.info.output_scanline * row_bytes;
    jpeg_read_scanlines(&reader.info, &row, 1);
  }
  jpeg_finish_decompress(&reader.info);
  return true;
}

void require(bool ok, const JpegReader& reader, std::string_view name) {
  if (ok) return;
  fail(ErrorKind::input, "{}: cannot be decoded as JPEG: {}", name, reader.message.data());
}

int orientation_of(const JpegReader& reader) {
  std::string exif, xmp;
  for (auto marker = reader.info.marker_list; marker != nullptr; marker = marker->next) {
    const std::string_view data(reinterpret_cast<const char*>(marker->data), marker->data_length);
    if (data.starts_with(kExifName)) exif += exif.empty() ? data : data.substr(kExifName.size());
    if (data.starts_with(kXmpName)) xmp = data.substr(kXmpName.size());
  }
  return choose_orientation(std::as_bytes(std::span(exif)), xmp);
}

std::vector<std::uint8_t> grey_to_rgb(const std::vector<std::uint8_t>& grey) {
  std::vector<std::uint8_t> rgb(grey.size() * 3);
  for (std::size_t i = 0; i < rgb.size(); ++i) rgb[i] = grey[i / 3];
  return rgb;
}

}  // namespace

DecodedImage decode_jpeg(std::span<const std::byte> file, std::string_view name, const ImageLimits& limits) {
  JpegReader reader(file);
  require(read_header(reader), reader, name);
  const int channels = reader.info.num_components;
  const std::int64_t width = reader.info.image_width, height = reader.info.image_height;
  check_image_size(width, height, name, limits);
  if (channels != 1 && channels != 3) {
    fail(ErrorKind::input, "{}: a JPEG of {} channels (CMYK?) has no exact RGB meaning; convert it to RGB", name,
         channels);
  }
  const int orientation = orientation_of(reader);  // finishing drops the markers
  reader.info.out_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  const auto row_bytes = static_cast<std::size_t>(width * channels);
  std::vector<std::uint8_t> pixels(row_bytes * static_cast<std::size_t>(height));
  require(read_rows(reader, pixels.data(), row_bytes), reader, name);
  return {{width, height, channels == 1 ? grey_to_rgb(pixels) : std::move(pixels)}, orientation};
}

}  // namespace duet
