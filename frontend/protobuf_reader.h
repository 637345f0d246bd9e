// The wire format of protocol buffers, read field by field without a schema and without copying: enough to look into a
// model file before a library is trusted with it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace duet {

struct ProtobufField {
  std::uint32_t number = 0;
  std::uint64_t value = 0;   // varints and fixed-width numbers, as their bits
  std::string_view bytes{};  // length-delimited: strings, bytes, messages
  bool is_bytes = false;
};

class ProtobufReader {
 public:
  // `name` stands for the file in messages. Both must outlive the reader.
  ProtobufReader(std::string_view message, std::string_view name) : rest_(message), name_(name) {}
  // The next field, or nothing at the end. Throws Error(input): truncated, or a wire type that is out of use.
  std::optional<ProtobufField> next();

 private:
  std::uint64_t read_varint();
  std::uint64_t read_fixed(std::size_t size);
  std::string_view read_bytes(std::uint64_t size);

  std::string_view rest_;
  std::string_view name_;
};

}  // namespace duet
