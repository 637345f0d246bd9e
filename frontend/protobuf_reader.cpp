#include "frontend/protobuf_reader.h"

#include "base/error.h"

namespace duet {

std::optional<ProtobufField> ProtobufReader::next() {
  if (rest_.empty()) return std::nullopt;
  const std::uint64_t key = read_varint();
  const std::uint64_t number = key >> 3;
  if (number < 1 || number > 536870911) fail(ErrorKind::input, "{}: is damaged: field number {}", name_, number);
  ProtobufField field{.number = static_cast<std::uint32_t>(number)};
  switch (key & 7) {
    case 0:
      field.value = read_varint();
      break;
    case 1:
      field.value = read_fixed(8);
      break;
    case 2:
      field.bytes = read_bytes(read_varint());
      field.is_bytes = true;
      break;
    case 5:
      field.value = read_fixed(4);
      break;
    default:
      fail(ErrorKind::input, "{}: is damaged: wire type {}", name_, key & 7);
  }
  return field;
}

std::uint64_t ProtobufReader::read_varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const auto byte = static_cast<unsigned char>(read_bytes(1).front());
    value |= std::uint64_t{byte & 0x7fU} << shift;
    if (byte < 0x80) return value;
  }
  fail(ErrorKind::input, "{}: is damaged: a number of more than 64 bits", name_);
}

std::uint64_t ProtobufReader::read_fixed(std::size_t size) {
  const std::string_view bytes = read_bytes(size);
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  return value;
}

std::string_view ProtobufReader::read_bytes(std::uint64_t size) {
  if (size > rest_.size())
    fail(ErrorKind::input, "{}: is damaged: {} bytes announced, {} left", name_, size, rest_.size());
  const std::string_view bytes = rest_.substr(0, static_cast<std::size_t>(size));
  rest_.remove_prefix(static_cast<std::size_t>(size));
  return bytes;
}

}  // namespace duet
