// Plans for shorter texts: those of a causal text tower that computes the first tokens of each text alone
// (codegen/shorten_text.h). The name of their variant says so.
#pragma once

#include <string>
#include <string_view>

namespace duet {

// "-text16", the end of the variant's name of a plan for 16 tokens; empty for 0, a plan for all.
std::string text_length_suffix(int tokens);
// The tokens of such a variant; 0: all.
int text_length_of(std::string_view variant);

}  // namespace duet
