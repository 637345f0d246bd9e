// The Unicode operations of tokenizers on code points: decoding, canonical composition (NFC), lower case, and the
// three classes CLIP's pattern distinguishes.
#pragma once

#include <string>
#include <string_view>

namespace duet {

// Bad UTF-8 becomes U+FFFD once per maximal ill-formed part, as Python's bytes.decode(errors="replace") does.
std::u32string decode_utf8(std::string_view bytes);
std::string encode_utf8(std::u32string_view text);
// Canonical composition, in O(n log n) also for endless runs of combining marks.
std::u32string compose(std::u32string_view text);
// Character by character, without context: sigma stays non-final, I with a dot becomes i and a combining dot.
std::u32string lower_case(std::u32string_view text);

// As above, but a capital sigma that ends a word becomes the final one: Python's str.lower().
std::u32string lower_case_in_words(std::u32string_view text);

bool is_space(char32_t c);   // White_Space
bool is_letter(char32_t c);  // categories L*
bool is_number(char32_t c);  // categories N*

}  // namespace duet
