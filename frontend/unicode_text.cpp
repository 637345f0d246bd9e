#include "frontend/unicode_text.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/error.h"

namespace duet {
namespace {

constexpr char32_t kReplacement = 0xfffd;

// What a first byte promises: how many continuation bytes, and the range of the first of them (which excludes overlong
// forms, surrogates, and anything above U+10FFFF).
struct Lead {
  int continuations = -1;  // -1: not a first byte
  unsigned char low = 0x80;
  unsigned char high = 0xbf;
};

Lead lead_of(unsigned char byte) {
  if (byte < 0x80) return {0};
  if (byte < 0xc2) return {-1};
  if (byte < 0xe0) return {1};
  if (byte < 0xf0) {
    return {2, static_cast<unsigned char>(byte == 0xe0 ? 0xa0 : 0x80),
            static_cast<unsigned char>(byte == 0xed ? 0x9f : 0xbf)};
  }
  if (byte < 0xf5) {
    return {3, static_cast<unsigned char>(byte == 0xf0 ? 0x90 : 0x80),
            static_cast<unsigned char>(byte == 0xf4 ? 0x8f : 0xbf)};
  }
  return {-1};
}

// One character starting at `at`, which moves behind it or behind the ill-formed part.
char32_t next_character(std::string_view bytes, std::size_t& at) {
  const auto first = static_cast<unsigned char>(bytes[at++]);
  Lead lead = lead_of(first);
  if (lead.continuations < 0) return kReplacement;
  if (lead.continuations == 0) return first;
  char32_t c = first & (0x3fU >> lead.continuations);
  for (int i = 0; i < lead.continuations; ++i) {
    const auto byte = at < bytes.size() ? static_cast<unsigned char>(bytes[at]) : static_cast<unsigned char>(0);
    if (byte < lead.low || byte > lead.high) return kReplacement;
    c = c << 6 | (byte & 0x3fU);
    lead.low = 0x80;
    lead.high = 0xbf;
    ++at;
  }
  return c;
}

const utf8proc_property_t& property(char32_t c) { return *utf8proc_get_property(static_cast<utf8proc_int32_t>(c)); }

bool is_ascii(std::u32string_view text) {
  return std::all_of(text.begin(), text.end(), [](char32_t c) { return c < 0x80; });
}

void decompose_character(char32_t c, std::vector<utf8proc_int32_t>& out) {
  std::array<utf8proc_int32_t, 32> parts{};  // the longest canonical decomposition has four
  int last_class = 0;
  const utf8proc_ssize_t count =
      utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts.data(),
                              static_cast<utf8proc_ssize_t>(parts.size()), UTF8PROC_DECOMPOSE, &last_class);
  if (count < 0 || count > static_cast<utf8proc_ssize_t>(parts.size())) {
    fail(ErrorKind::internal, "U+{:04X} cannot be decomposed: {}", static_cast<unsigned>(c), utf8proc_errmsg(count));
  }
  out.insert(out.end(), parts.begin(), parts.begin() + count);
}

// utf8proc sorts combining marks by neighbouring swaps, which a long run of them makes quadratic: sort each run here.
void order_marks(std::vector<utf8proc_int32_t>& text) {
  const auto combining_class = [](utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; };
  const auto is_mark = [&](utf8proc_int32_t c) { return combining_class(c) != 0; };
  for (auto run = text.begin(); run != text.end();) {
    run = std::find_if(run, text.end(), is_mark);
    const auto end = std::find_if_not(run, text.end(), is_mark);
    std::stable_sort(run, end, [&](auto a, auto b) { return combining_class(a) < combining_class(b); });
    run = end;
  }
}

}  // namespace

std::u32string decode_utf8(std::string_view bytes) {
  std::u32string text;
  text.reserve(bytes.size());
  for (std::size_t at = 0; at < bytes.size();) text.push_back(next_character(bytes, at));
  return text;
}

std::string encode_utf8(std::u32string_view text) {
  std::string bytes;
  std::array<utf8proc_uint8_t, 4> one{};
  for (const char32_t c : text) {
    const utf8proc_ssize_t count = utf8proc_encode_char(static_cast<utf8proc_int32_t>(c), one.data());
    bytes.append(reinterpret_cast<const char*>(one.data()), static_cast<std::size_t>(count));
  }
  return bytes;
}

std::u32string compose(std::u32string_view text) {
  if (is_ascii(text)) return std::u32string(text);
  std::vector<utf8proc_int32_t> parts;
  parts.reserve(text.size() * 2);
  for (const char32_t c : text) decompose_character(c, parts);
  order_marks(parts);
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE);
  const utf8proc_ssize_t count =
      utf8proc_normalize_utf32(parts.data(), static_cast<utf8proc_ssize_t>(parts.size()), options);
  if (count < 0) fail(ErrorKind::internal, "text cannot be composed: {}", utf8proc_errmsg(count));
  return {parts.begin(), parts.begin() + count};
}

std::u32string lower_case(std::u32string_view text) {
  constexpr char32_t kDottedI = 0x130;
  std::u32string lower;
  lower.reserve(text.size());
  for (const char32_t c : text) {
    if (c == kDottedI) {
      lower += U"i\u0307";
    } else {
      lower.push_back(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
    }
  }
  return lower;
}

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool is_letter(char32_t c) {
  const auto category = property(c).category;
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

bool is_number(char32_t c) {
  const auto category = property(c).category;
  return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
}

}  // namespace duet
