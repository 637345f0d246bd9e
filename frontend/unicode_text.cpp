#include "frontend/unicode_text.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>
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

using Range = std::pair<char32_t, char32_t>;

bool is_in(std::span<const Range> ranges, char32_t c) {
  return std::any_of(ranges.begin(), ranges.end(), [c](const Range& r) { return c >= r.first && c <= r.second; });
}

// Cased: letters with case, Other_Lowercase and Other_Uppercase.
bool is_cased(char32_t c) {
  static constexpr Range kOtherCased[] = {
      {0xaa, 0xaa},     {0xba, 0xba},     {0x2b0, 0x2b8},     {0x2c0, 0x2c1},     {0x2e0, 0x2e4},     {0x345, 0x345},
      {0x37a, 0x37a},   {0x1d2c, 0x1d6a}, {0x1d78, 0x1d78},   {0x1d9b, 0x1dbf},   {0x2071, 0x2071},   {0x207f, 0x207f},
      {0x2090, 0x209c}, {0x2160, 0x217f}, {0x24b6, 0x24e9},   {0x2c7c, 0x2c7d},   {0xa69c, 0xa69d},   {0xa770, 0xa770},
      {0xa7f8, 0xa7f9}, {0xab5c, 0xab5f}, {0x1f130, 0x1f149}, {0x1f150, 0x1f169}, {0x1f170, 0x1f189},
  };
  const auto category = property(c).category;
  return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL || category == UTF8PROC_CATEGORY_LT ||
         is_in(kOtherCased, c);
}

// Case_Ignorable: marks, formats, modifiers, and the punctuation that stands inside words.
bool is_case_ignorable(char32_t c) {
  static constexpr Range kInsideWords[] = {
      {0x27, 0x27},     {0x2e, 0x2e},     {0x3a, 0x3a},     {0xb7, 0xb7},     {0x387, 0x387},   {0x55f, 0x55f},
      {0x5f4, 0x5f4},   {0x2018, 0x2019}, {0x2024, 0x2024}, {0x2027, 0x2027}, {0xfe13, 0xfe13}, {0xfe52, 0xfe52},
      {0xfe55, 0xfe55}, {0xff07, 0xff07}, {0xff0e, 0xff0e}, {0xff1a, 0xff1a},
  };
  switch (property(c).category) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      return is_in(kInsideWords, c);
  }
}

// Final_Sigma of the Unicode standard, 3.13: a cased letter before, none after, whatever is ignorable aside.
bool ends_word(std::u32string_view text, std::size_t at) {
  std::size_t before = at, after = at + 1;
  while (before > 0 && is_case_ignorable(text[before - 1])) --before;
  if (before == 0 || !is_cased(text[before - 1])) return false;
  while (after < text.size() && is_case_ignorable(text[after])) ++after;
  return after == text.size() || !is_cased(text[after]);
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

std::u32string lower_case_in_words(std::u32string_view text) {
  constexpr char32_t kCapitalSigma = 0x3a3, kFinalSigma = 0x3c2;
  std::u32string lower;
  lower.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == kCapitalSigma && ends_word(text, at)) {
      lower.push_back(kFinalSigma);
    } else {
      lower += lower_case(text.substr(at, 1));
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
