// From a text to the token ids a text tower takes, by whichever tokenizer a checkpoint's folder holds: CLIP's byte
// pairs or the SentencePiece models of SigLIP and SigLIP2.
//
//   const auto tokenizer = open_tokenizer("siglip2/");
//   TokenizedText text = tokenizer->encode("a photo of a cat", 64);  // ids and mask, 64 each
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace duet {

struct TokenizedText {
  std::vector<std::int32_t> ids{};
  std::vector<std::int32_t> mask{};  // 1 for tokens, 0 for padding
  bool truncated = false;
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  // All tokens, without those that open and close a text. `text` should be UTF-8; bad bytes count as U+FFFD. Throws
  // Error(input) when it is longer than 1 MiB.
  virtual std::vector<std::int32_t> tokenize(std::string_view text) const = 0;
  // What the model expects: opened and closed, cut (keeping the end) or padded to `length` ids. Throws as above;
  // Error(usage) when `length` leaves no room for what opens and closes.
  virtual TokenizedText encode(std::string_view text, std::int64_t length) const = 0;
  // One above the largest id.
  virtual std::int32_t vocabulary_size() const = 0;
};

// Throws Error(missing) when the folder holds no tokenizer, Error(input) naming file and key when it is malformed or of
// another kind.
std::unique_ptr<Tokenizer> open_tokenizer(const std::filesystem::path& folder);

// What the tokenizers share. The text's characters; throws as `tokenize` does.
std::u32string decode_text(std::string_view text);
// Which ids open (if any) and close a text, and which fill it up.
struct TextFrame {
  std::optional<std::int32_t> begin{};
  std::int32_t end = 0;
  std::int32_t padding = 0;
};
TokenizedText frame_tokens(std::vector<std::int32_t> tokens, const TextFrame& frame, std::int64_t length);

}  // namespace duet
