// CLIP's tokenizer, equal to the CLIPTokenizer of transformers: NFC, white space collapsed, lower case, the CLIP
// pattern, byte-level BPE with "</w>" at the end of a word.
//
//   const BpeTokenizer tokenizer = BpeTokenizer::open("clip/");
//   TokenizedText text = tokenizer.encode("a photo of a cat", 77);  // ids and mask, 77 each
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/byte_pairs.h"
#include "frontend/special_tokens.h"
#include "frontend/tokenizer.h"

namespace duet {

// A token that stands for itself in a text, whatever the pattern says. Its text is sought in the text as written, or in
// the normalised one.
struct SpecialToken {
  std::string text{};
  std::int32_t id = 0;
  bool in_normalized = false;
};

// The parts a tokenizer is made of, as its files give them.
struct BpeFiles {
  std::string name{};  // for messages
  BytePairs::Vocabulary vocabulary{};
  std::vector<BytePairs::Merge> merges{};
  std::vector<SpecialToken> special{};
  std::string begin = "<|startoftext|>";
  std::string end = "<|endoftext|>";
  std::string padding = "<|endoftext|>";
  std::string unknown = "<|endoftext|>";
};

// tokenizer.json, else vocab.json and merges.txt; tokenizer_config.json beside them may rename the special tokens.
// Throws Error(missing) when there is neither, Error(input) naming file and key when one is malformed or no CLIP BPE.
BpeFiles read_bpe_files(const std::filesystem::path& folder);

class BpeTokenizer : public Tokenizer {
 public:
  // Throws Error(input) when a special token is not in the vocabulary or a merge speaks of unknown tokens.
  explicit BpeTokenizer(const BpeFiles& files);
  static BpeTokenizer open(const std::filesystem::path& folder) { return BpeTokenizer(read_bpe_files(folder)); }

  std::vector<std::int32_t> tokenize(std::string_view text) const override;
  TokenizedText encode(std::string_view text, std::int64_t length) const override;
  std::int32_t vocabulary_size() const override { return vocabulary_size_; }

 private:
  void add_written(std::u32string_view text, std::vector<std::int32_t>& ids) const;
  void add_normalized(std::u32string_view text, std::vector<std::int32_t>& ids) const;

  BytePairs pairs_;
  SpecialTokens written_{};
  SpecialTokens normalized_{};
  TextFrame frame_{};
  std::int32_t vocabulary_size_ = 0;
};

}  // namespace duet
