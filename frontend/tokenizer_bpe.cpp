#include "frontend/tokenizer_bpe.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/one_line.h"
#include "frontend/unicode_text.h"

namespace duet {
namespace {

constexpr std::array<std::u32string_view, 7> kContractions{U"'s", U"'t", U"'re", U"'ve", U"'m", U"'ll", U"'d"};
// The pattern names these literally. The byte-level stage splits such a piece again, into its mark, letters and mark.
constexpr std::array<std::u32string_view, 2> kMarkers{U"<|startoftext|>", U"<|endoftext|>"};

std::u32string collapse_spaces(std::u32string_view text) {
  std::u32string collapsed;
  collapsed.reserve(text.size());
  for (const char32_t c : text) {
    if (!is_space(c)) {
      collapsed.push_back(c);
    } else if (collapsed.empty() || collapsed.back() != U' ') {
      collapsed.push_back(U' ');
    }
  }
  return collapsed;
}

bool is_mark(char32_t c) { return !is_space(c) && !is_letter(c) && !is_number(c); }

std::size_t run_length(std::u32string_view text, bool (*belongs)(char32_t)) {
  return static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), belongs) - text.begin());
}

// Length of the prefix that the pattern makes one word. `text` starts with no space.
std::size_t word_length(std::u32string_view text) {
  for (const std::u32string_view contraction : kContractions) {
    if (text.starts_with(contraction)) return contraction.size();
  }
  if (is_letter(text[0])) return run_length(text, is_letter);
  if (is_number(text[0])) return 1;
  return run_length(text, is_mark);
}

std::size_t marker_length(std::u32string_view text) {
  for (const std::u32string_view marker : kMarkers) {
    if (text.starts_with(marker)) return marker.size();
  }
  return 0;
}

template <typename Visit>
void for_each_word(std::u32string_view text, const Visit& visit) {
  std::size_t marker_end = 0;  // words inside a marker end with it
  for (std::size_t at = 0; at < text.size();) {
    if (is_space(text[at])) {
      ++at;
      continue;
    }
    if (at >= marker_end) marker_end = at + marker_length(text.substr(at));
    const std::size_t limit = at < marker_end ? marker_end - at : std::u32string_view::npos;
    const std::size_t length = word_length(text.substr(at, limit));
    visit(text.substr(at, length));
    at += length;
  }
}

std::int32_t special_id(const BpeFiles& files, const std::string& token) {
  for (const SpecialToken& special : files.special) {
    if (special.text == token) return special.id;
  }
  const auto found = files.vocabulary.find(token);
  if (found == files.vocabulary.end()) {
    fail(ErrorKind::input, "{}: the special token '{}' is not in the vocabulary", files.name, printable(token));
  }
  return found->second;
}

}  // namespace

BpeTokenizer::BpeTokenizer(const BpeFiles& files)
    : pairs_(files.vocabulary, files.merges, special_id(files, files.unknown), files.name),
      frame_{special_id(files, files.begin), special_id(files, files.end), special_id(files, files.padding)} {
  for (const SpecialToken& special : files.special) {
    (special.in_normalized ? normalized_ : written_).add(decode_utf8(special.text), special.id);
    vocabulary_size_ = std::max(vocabulary_size_, special.id + 1);
  }
  for (const auto& [token, id] : files.vocabulary) vocabulary_size_ = std::max(vocabulary_size_, id + 1);
}

void BpeTokenizer::add_normalized(std::u32string_view text, std::vector<std::int32_t>& ids) const {
  for_each_word(text, [&](std::u32string_view word) { pairs_.encode(encode_utf8(word), ids); });
}

void BpeTokenizer::add_written(std::u32string_view text, std::vector<std::int32_t>& ids) const {
  const std::u32string normal = lower_case(collapse_spaces(compose(text)));
  normalized_.split(
      normal, [&](std::u32string_view plain) { add_normalized(plain, ids); },
      [&](std::int32_t id) { ids.push_back(id); });
}

std::vector<std::int32_t> BpeTokenizer::tokenize(std::string_view text) const {
  std::vector<std::int32_t> ids;
  written_.split(
      decode_text(text), [&](std::u32string_view plain) { add_written(plain, ids); },
      [&](std::int32_t id) { ids.push_back(id); });
  return ids;
}

TokenizedText BpeTokenizer::encode(std::string_view text, std::int64_t length) const {
  return frame_tokens(tokenize(text), frame_, length);
}

}  // namespace duet
