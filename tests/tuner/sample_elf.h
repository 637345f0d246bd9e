// A minimal ELF image as the CUDA compiler lays it out: one kernel named "kernel" with 96 registers and 4 KiB of static
// shared memory. For tests and fuzzers of what reads images.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace duet {

using ElfBytes = std::vector<std::byte>;

template <typename Integer>
void put_integer(ElfBytes& bytes, std::size_t at, Integer value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}
inline void append_text(ElfBytes& bytes, const std::string& text) {
  for (char c : text) bytes.push_back(static_cast<std::byte>(c));
}

struct ElfPart {
  std::string name;
  std::uint32_t type;
  ElfBytes content;
  std::uint32_t link = 0;
};

// A minimal image: header, contents, section headers.
inline ElfBytes make_elf(std::vector<ElfPart> parts) {
  ElfBytes names(1);
  parts.insert(parts.begin(), ElfPart{"", 0, {}, 0});
  parts.push_back({".shstrtab", 3, {}, 0});
  std::vector<std::uint32_t> name_at;
  for (const ElfPart& part : parts) {
    name_at.push_back(static_cast<std::uint32_t>(names.size()));
    append_text(names, part.name);
    names.push_back(std::byte{0});
  }
  parts.back().content = names;
  ElfBytes image(64);
  const unsigned char magic[] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
  std::memcpy(image.data(), magic, sizeof magic);
  std::vector<std::uint64_t> offset;
  for (const ElfPart& part : parts) {
    offset.push_back(image.size());
    image.insert(image.end(), part.content.begin(), part.content.end());
  }
  put_integer<std::uint64_t>(image, 40, image.size());
  put_integer<std::uint16_t>(image, 58, 64);
  put_integer<std::uint16_t>(image, 60, static_cast<std::uint16_t>(parts.size()));
  put_integer<std::uint16_t>(image, 62, static_cast<std::uint16_t>(parts.size() - 1));
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::size_t at = image.size();
    image.resize(at + 64);
    put_integer<std::uint32_t>(image, at, name_at[i]);
    put_integer<std::uint32_t>(image, at + 4, parts[i].type);
    put_integer<std::uint64_t>(image, at + 24, offset[i]);
    put_integer<std::uint64_t>(image, at + 32, parts[i].type == 8 ? 4096 : parts[i].content.size());
    put_integer<std::uint32_t>(image, at + 40, parts[i].link);
  }
  return image;
}

inline ElfBytes sample_elf() {
  ElfBytes strings(1), symbols(2 * 24), info(16 + 4);
  append_text(strings, "kernel");
  strings.push_back(std::byte{0});
  put_integer<std::uint32_t>(symbols, 24, 1);
  info[0] = std::byte{3};  // a two-byte attribute before it
  info[4] = std::byte{4};
  info[5] = std::byte{0x2f};
  put_integer<std::uint16_t>(info, 6, 8);
  put_integer<std::uint32_t>(info, 8, 1);
  put_integer<std::uint32_t>(info, 12, 96);
  return make_elf({{".strtab", 3, strings, 0},
                   {".symtab", 2, symbols, 1},
                   {".nv.info", 0x70000000, info, 2},
                   {".nv.shared.kernel", 8, {}, 0},
                   {".text.kernel", 1, ElfBytes(128, std::byte{7}), 0}});
}

}  // namespace duet
