// A SentencePiece model file, looked through before the library loads it: the library trusts the file's sizes, numbers
// and search tables, a robot should not.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace duet {

enum class PieceKind : int { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

struct SentencePieceEntry {
  std::string text{};
  PieceKind kind = PieceKind::normal;
};

// The pieces in order of their ids. Throws Error(input) naming the file: damaged, another model type than unigram and
// byte pairs, a piece without text or above 256 bytes, a score that is no number, a normalisation table that points
// outside itself or makes one character longer than 256 bytes.
std::vector<SentencePieceEntry> check_sentencepiece_model(std::string_view model, std::string_view name);

}  // namespace duet
