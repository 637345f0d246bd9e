#include "base/npy.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/file.h"

namespace duet {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::uint64_t kMaxFileBytes = std::uint64_t{16} << 30;
constexpr std::size_t kMaxHeaderBytes = 64 * 1024;
constexpr std::size_t kMaxStringBytes = 64;
constexpr std::size_t kMaxRank = 32;  // NumPy's own limit
constexpr std::size_t kAlignment = 64;

struct NpyHeader {
  std::string descr;
  std::optional<bool> fortran_order;
  std::optional<Shape> shape;
};

// Reads the header's Python literal: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::filesystem::path& path) : text_(text), path_(path) {}

  NpyHeader parse() {
    NpyHeader header;
    expect('{');
    while (!accept('}')) {
      parse_entry(header);
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_spaces();
    if (position_ != text_.size()) refuse("text after the dictionary");
    if (header.descr.empty() || !header.fortran_order || !header.shape)
      refuse("'descr', 'fortran_order' or 'shape' is missing");
    return header;
  }

 private:
  [[noreturn]] void refuse(std::string_view what) const {
    fail(ErrorKind::input, "{}: malformed .npy header at character {}: {}", path_.string(), position_, what);
  }

  void parse_entry(NpyHeader& header) {
    const std::string key = parse_string();
    expect(':');
    if (key == "descr") {
      header.descr = parse_string();
    } else if (key == "fortran_order") {
      header.fortran_order = parse_bool();
    } else if (key == "shape") {
      header.shape = parse_shape();
    } else {
      refuse("a key other than 'descr', 'fortran_order' and 'shape'");
    }
  }

  void skip_spaces() {
    while (position_ < text_.size() && std::string_view(" \t\r\n").find(text_[position_]) != std::string_view::npos)
      ++position_;
  }

  bool accept(char wanted) {
    skip_spaces();
    if (position_ >= text_.size() || text_[position_] != wanted) return false;
    ++position_;
    return true;
  }

  void expect(char wanted) {
    if (!accept(wanted)) refuse(fmt::format("'{}' expected", wanted));
  }

  std::string parse_string() {
    skip_spaces();
    const char quote = position_ < text_.size() ? text_[position_] : '\0';
    if (quote != '\'' && quote != '"') refuse("a quoted string expected");
    const std::size_t end = text_.find(quote, position_ + 1);
    if (end == std::string_view::npos) refuse("an unterminated string");
    const std::string value(text_.substr(position_ + 1, end - position_ - 1));
    const bool printable = std::all_of(value.begin(), value.end(), [](char c) { return c >= 32 && c < 127; });
    if (!printable || value.size() > kMaxStringBytes) refuse("a string that is no key and no element type");
    position_ = end + 1;
    return value;
  }

  bool parse_bool() {
    skip_spaces();
    for (const bool value : {false, true}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(position_, word.size()) != word) continue;
      position_ += word.size();
      return value;
    }
    refuse("True or False expected");
  }

  Shape parse_shape() {
    Shape shape;
    expect('(');
    while (!accept(')')) {
      if (shape.size() == kMaxRank) refuse("more than 32 dimensions");
      shape.push_back(parse_extent());
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return shape;
  }

  std::int64_t parse_extent() {
    skip_spaces();
    std::int64_t value = 0;
    const char* begin = text_.data() + position_;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
    if (error != std::errc() || value < 0) refuse("a dimension that is not a number from 0 to 2^63 - 1");
    position_ += static_cast<std::size_t>(end - begin);
    return value;
  }

  std::string_view text_;
  const std::filesystem::path& path_;
  std::size_t position_ = 0;
};

std::size_t little_endian(std::span<const std::byte> bytes) {
  std::size_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | std::to_integer<std::size_t>(bytes[i]);
  return value;
}

// Where the header's text lies in the file, and by its end where the data begin.
std::span<const std::byte> header_bytes(std::span<const std::byte> file, const std::filesystem::path& path) {
  constexpr std::size_t version_at = kMagic.size();
  if (file.size() < version_at + 2 || std::memcmp(file.data(), kMagic.data(), kMagic.size()) != 0)
    fail(ErrorKind::input, "{}: is not a .npy file", path.string());
  const int major = std::to_integer<int>(file[version_at]);
  if (major < 1 || major > 3) fail(ErrorKind::input, "{}: .npy version {} is unknown", path.string(), major);
  const std::size_t length_size = major == 1 ? 2 : 4;
  const std::size_t text_at = version_at + 2 + length_size;
  if (file.size() < text_at) fail(ErrorKind::input, "{}: ends inside the .npy header", path.string());
  const std::size_t length = little_endian(file.subspan(version_at + 2, length_size));
  if (length > kMaxHeaderBytes || length > file.size() - text_at)
    fail(ErrorKind::input, "{}: a .npy header of {} bytes does not fit the file", path.string(), length);
  return file.subspan(text_at, length);
}

HostTensor narrowed(std::span<const std::byte> wide, Shape shape, const std::filesystem::path& path) {
  HostTensor tensor = HostTensor::zeros(Dtype::i32, std::move(shape));
  const std::span<std::int32_t> values = tensor.ints();
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::int64_t value;
    std::memcpy(&value, wide.data() + 8 * i, sizeof value);
    if (value < std::numeric_limits<std::int32_t>::min() || value > std::numeric_limits<std::int32_t>::max())
      fail(ErrorKind::input, "{}: value {} at index {} does not fit 32 bits", path.string(), value, i);
    values[i] = static_cast<std::int32_t>(value);
  }
  return tensor;
}

struct NpyType {
  std::string_view descr;
  std::int64_t bytes;
  Dtype dtype;
};
constexpr std::array<NpyType, 4> kTypes{
    {{"<f4", 4, Dtype::f32}, {"<f2", 2, Dtype::f16}, {"<i4", 4, Dtype::i32}, {"<i8", 8, Dtype::i32}}};

const NpyType& type_of(std::string_view descr, const std::filesystem::path& path) {
  for (const NpyType& type : kTypes)
    if (type.descr == descr) return type;
  fail(ErrorKind::input, "{}: element type '{}' is not supported: save as <f4, <f2, <i4 or <i8", path.string(), descr);
}

std::int64_t checked_count(const Shape& shape, const std::filesystem::path& path) try {
  return element_count(shape);
} catch (const Error& error) {
  fail(error.kind(), "{}: {}", path.string(), error.what());
}

}  // namespace

HostTensor read_npy(const std::filesystem::path& path) {
  std::vector<std::byte> file = read_binary_file(path, kMaxFileBytes);
  const std::span<const std::byte> text = header_bytes(file, path);
  const auto data_at = static_cast<std::size_t>(text.data() + text.size() - file.data());
  NpyHeader header =
      HeaderParser(std::string_view(reinterpret_cast<const char*>(text.data()), text.size()), path).parse();
  if (*header.fortran_order) fail(ErrorKind::input, "{}: is in Fortran order: save it in C order", path.string());

  const NpyType& type = type_of(header.descr, path);
  const auto wanted =
      static_cast<std::uint64_t>(checked_count(*header.shape, path)) * static_cast<std::uint64_t>(type.bytes);
  if (file.size() - data_at != wanted)
    fail(ErrorKind::input, "{}: shape {} of {} needs {} bytes, the file holds {}", path.string(),
         shape_text(*header.shape), type.descr, wanted, file.size() - data_at);
  if (type.bytes == 8) return narrowed(std::span(file).subspan(data_at), std::move(*header.shape), path);
  file.erase(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(data_at));
  return HostTensor{.dtype = type.dtype, .shape = std::move(*header.shape), .bytes = std::move(file)};
}

void write_npy(const std::filesystem::path& path, const HostTensor& tensor) {
  if (tensor.dtype == Dtype::bf16) return write_npy(path, convert(tensor, Dtype::f32));
  const std::string_view descr = tensor.dtype == Dtype::f32 ? "<f4" : tensor.dtype == Dtype::f16 ? "<f2" : "<i4";
  const bool one_dimension = tensor.shape.size() == 1;  // Python writes a tuple of one as (3,)
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}", descr,
                                   fmt::join(tensor.shape, ", "), one_dimension ? "," : "");
  constexpr std::size_t prefix_bytes = kMagic.size() + 4;
  while ((prefix_bytes + header.size() + 1) % kAlignment != 0) header += ' ';
  header += '\n';

  std::string file(kMagic);
  file += {'\x01', '\x00', static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
  file += header;
  file.append(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
  publish_file(path, file);
}

}  // namespace duet
