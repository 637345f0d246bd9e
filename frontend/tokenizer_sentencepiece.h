// The tokenizers of SigLIP and SigLIP2, equal to SiglipTokenizer and Siglip2Tokenizer of transformers. The segmentation
// is the SentencePiece library's; here is what surrounds it: case, punctuation, special tokens, the end, the padding.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/special_tokens.h"
#include "frontend/tokenizer.h"

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace duet {

// How a text is prepared.
enum class TextRules : int {
  siglip = 0,   // ASCII punctuation removed, white space collapsed, a word mark in front
  siglip2 = 1,  // as written: Gemma's byte pairs with byte fallback
};

struct SentencePieceFiles {
  std::string name{};   // for messages
  std::string model{};  // the serialised model
  TextRules rules = TextRules::siglip;
  bool lower_case = true;
  std::string end = "</s>";
  std::string padding = "</s>";
  std::string unknown = "<unk>";
};

// spiece.model, sentencepiece.model or tokenizer.model.
bool has_sentencepiece_model(const std::filesystem::path& folder);
// tokenizer_config.json beside the model tells SigLIP from SigLIP2 and may rename the special tokens; without it,
// tokenizer.model is SigLIP2's. Throws Error(missing) when there is no model, Error(input) naming file and key when a
// file is malformed or of another tokenizer.
SentencePieceFiles read_sentencepiece_files(const std::filesystem::path& folder);

class SentencePieceTokenizer : public Tokenizer {
 public:
  // Throws Error(input): a model that is damaged or lacks a special token.
  explicit SentencePieceTokenizer(const SentencePieceFiles& files);
  ~SentencePieceTokenizer() override;

  std::vector<std::int32_t> tokenize(std::string_view text) const override;
  TokenizedText encode(std::string_view text, std::int64_t length) const override;
  std::int32_t vocabulary_size() const override { return vocabulary_size_; }

 private:
  std::vector<std::int32_t> segment(const std::string& text) const;
  void add_siglip(std::u32string_view text, std::vector<std::int32_t>& ids) const;
  void add_siglip2(std::u32string_view text, std::vector<std::int32_t>& ids) const;

  std::string name_;
  TextRules rules_;
  bool lower_case_;
  std::string unknown_;
  std::unique_ptr<sentencepiece::SentencePieceProcessor> model_;
  SpecialTokens special_{};
  TextFrame frame_{};
  std::int32_t word_mark_ = -1;  // the piece of the word mark alone, where there is one
  std::vector<std::int32_t> opening_{};
  std::int32_t vocabulary_size_ = 0;
};

}  // namespace duet
