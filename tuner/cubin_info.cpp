#include "tuner/cubin_info.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <limits>

#include "base/hash.h"

namespace duet {
namespace {

using Bytes = std::span<const std::byte>;

// ELF64, little-endian.
constexpr std::size_t kElfHeaderBytes = 64;
constexpr std::size_t kSectionHeaderBytes = 64;
constexpr std::size_t kSymbolBytes = 24;
constexpr std::uint32_t kSectionSymbols = 2;  // SHT_SYMTAB
constexpr std::uint32_t kSectionNoBits = 8;   // SHT_NOBITS
// Attributes of .nv.info: one byte of format, one of attribute, then two of value or of payload size.
constexpr std::uint8_t kFormatSized = 4;            // EIFMT_SVAL
constexpr std::uint8_t kAttributeRegisters = 0x2f;  // EIATTR_REGCOUNT: symbol index, registers

// Zero past the end, so that a damaged image reads as nothing.
template <typename Integer>
Integer read_at(Bytes bytes, std::uint64_t offset) {
  Integer value = 0;
  if (offset <= bytes.size() && bytes.size() - offset >= sizeof(Integer))
    std::memcpy(&value, bytes.data() + offset, sizeof(Integer));
  return value;
}

Bytes slice(Bytes bytes, std::uint64_t offset, std::uint64_t size) {
  if (offset > bytes.size() || size > bytes.size() - offset) return {};
  return bytes.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(size));
}

std::string_view text_at(Bytes table, std::uint64_t offset) {
  if (offset >= table.size()) return {};
  const char* begin = reinterpret_cast<const char*>(table.data()) + offset;
  const std::size_t limit = table.size() - static_cast<std::size_t>(offset);
  const void* end = std::memchr(begin, 0, limit);
  return end == nullptr ? std::string_view() : std::string_view(begin, static_cast<const char*>(end));
}

struct Section {
  std::string_view name;
  std::uint32_t type = 0;
  std::uint64_t size = 0;
  std::uint32_t link = 0;
  Bytes content;  // empty for SHT_NOBITS
};

class ElfImage {
 public:
  explicit ElfImage(Bytes bytes) : bytes_(bytes) {
    constexpr unsigned char kMagic[] = {0x7f, 'E', 'L', 'F', 2, 1};
    if (bytes.size() < kElfHeaderBytes || std::memcmp(bytes.data(), kMagic, sizeof kMagic) != 0) return;
    if (read_at<std::uint16_t>(bytes, 58) != kSectionHeaderBytes) return;
    table_offset_ = read_at<std::uint64_t>(bytes, 40);
    count_ = read_at<std::uint16_t>(bytes, 60);
    names_ = section(read_at<std::uint16_t>(bytes, 62)).content;
    find_symbols();
  }

  int section_count() const { return count_; }

  Section section(int index) const {
    if (index < 0 || index >= count_) return {};
    const Bytes header =
        slice(bytes_, table_offset_ + static_cast<std::uint64_t>(index) * kSectionHeaderBytes, kSectionHeaderBytes);
    Section found;
    found.name = text_at(names_, read_at<std::uint32_t>(header, 0));
    found.type = read_at<std::uint32_t>(header, 4);
    found.size = read_at<std::uint64_t>(header, 32);
    found.link = read_at<std::uint32_t>(header, 40);
    if (found.type != kSectionNoBits) found.content = slice(bytes_, read_at<std::uint64_t>(header, 24), found.size);
    return found;
  }

  std::optional<Section> find(std::string_view name) const {
    for (int i = 0; i < count_; ++i)
      if (Section candidate = section(i); candidate.name == name) return candidate;
    return std::nullopt;
  }

  std::string_view symbol_name(std::uint32_t index) const {
    const Bytes symbol = slice(symbols_, std::uint64_t{index} * kSymbolBytes, kSymbolBytes);
    return symbol.empty() ? std::string_view() : text_at(symbol_names_, read_at<std::uint32_t>(symbol, 0));
  }

 private:
  void find_symbols() {
    for (int i = 0; i < count_; ++i) {
      const Section candidate = section(i);
      if (candidate.type != kSectionSymbols) continue;
      symbols_ = candidate.content;
      if (candidate.link < static_cast<std::uint32_t>(count_))
        symbol_names_ = section(static_cast<int>(candidate.link)).content;
      return;
    }
  }

  Bytes bytes_;
  std::uint64_t table_offset_ = 0;
  int count_ = 0;
  Bytes names_;
  Bytes symbols_, symbol_names_;
};

int read_registers(const ElfImage& elf, std::string_view entry) {
  const std::optional<Section> info = elf.find(".nv.info");
  if (!info) return 0;
  const Bytes content = info->content;
  for (std::size_t at = 0; at + 4 <= content.size();) {
    const auto format = read_at<std::uint8_t>(content, at);
    const auto attribute = read_at<std::uint8_t>(content, at + 1);
    const std::size_t payload = format == kFormatSized ? read_at<std::uint16_t>(content, at + 2) : 0;
    if (format == kFormatSized && attribute == kAttributeRegisters && payload >= 8) {
      const auto symbol = read_at<std::uint32_t>(content, at + 4);
      const auto registers = read_at<std::uint32_t>(content, at + 8);
      if (elf.symbol_name(symbol) == entry) return static_cast<int>(std::min<std::uint32_t>(registers, 1024));
    }
    at += 4 + payload;
  }
  return 0;
}

int parse_int(std::string_view text) {
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return std::max(value, 0);
}

// The number right before `unit`: "12 bytes spill stores" -> 12.
std::optional<int> number_before(std::string_view line, std::string_view unit) {
  const std::size_t end = line.find(unit);
  if (end == std::string_view::npos) return std::nullopt;
  std::size_t begin = end;
  while (begin > 0 && line[begin - 1] >= '0' && line[begin - 1] <= '9') --begin;
  if (begin == end) return std::nullopt;
  return parse_int(line.substr(begin, end - begin));
}

int add_clamped(int a, int b) {
  return static_cast<int>(std::min<std::int64_t>(std::int64_t{a} + b, std::numeric_limits<int>::max() / 4));
}

}  // namespace

CubinInfo read_cubin_info(std::span<const std::byte> image, std::string_view entry) {
  const ElfImage elf(image);
  CubinInfo info;
  info.registers = read_registers(elf, entry);
  if (const auto shared = elf.find(".nv.shared." + std::string(entry)))
    info.static_smem_bytes = static_cast<int>(std::min<std::uint64_t>(shared->size, 1u << 20));
  if (const auto text = elf.find(".text." + std::string(entry)); text && !text->content.empty())
    info.text_hash = hash_bytes(text->content);
  return info;
}

PtxasUsage read_ptxas_log(std::string_view log) {
  PtxasUsage usage;
  while (!log.empty()) {
    const std::size_t end = log.find('\n');
    const std::string_view line = log.substr(0, end);
    log = end == std::string_view::npos ? std::string_view() : log.substr(end + 1);
    if (const auto shared = number_before(line, " bytes smem"))
      usage.static_smem_bytes = std::max(usage.static_smem_bytes, *shared);
    const auto stores = number_before(line, " bytes spill stores");
    if (!stores) continue;
    usage.found = true;
    usage.spill_store_bytes = add_clamped(usage.spill_store_bytes, *stores);
    usage.spill_load_bytes = add_clamped(usage.spill_load_bytes, number_before(line, " bytes spill loads").value_or(0));
    usage.stack_bytes = add_clamped(usage.stack_bytes, number_before(line, " bytes stack frame").value_or(0));
  }
  return usage;
}

void fill_usage(KernelImage& image, std::string_view entry, std::string_view log) {
  const CubinInfo info = read_cubin_info(image.bytes, entry);
  const PtxasUsage usage = read_ptxas_log(log);
  image.registers = info.registers;
  image.spill_bytes = usage.spill_bytes();
  image.static_smem_bytes = usage.found ? usage.static_smem_bytes : info.static_smem_bytes;
}

}  // namespace duet
