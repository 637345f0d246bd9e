#include "frontend/tokenizer.h"

#include "base/error.h"
#include "frontend/tokenizer_bpe.h"
#include "frontend/tokenizer_sentencepiece.h"
#include "frontend/unicode_text.h"

namespace duet {
namespace {

constexpr std::size_t kMaxTextBytes = std::size_t{1} << 20;

}  // namespace

std::unique_ptr<Tokenizer> open_tokenizer(const std::filesystem::path& folder) {
  if (has_sentencepiece_model(folder))
    return std::make_unique<SentencePieceTokenizer>(read_sentencepiece_files(folder));
  return std::make_unique<BpeTokenizer>(read_bpe_files(folder));
}

std::u32string decode_text(std::string_view text) {
  if (text.size() > kMaxTextBytes) {
    fail(ErrorKind::input, "a text has {} bytes, the limit is {}; shorten it", text.size(), kMaxTextBytes);
  }
  return decode_utf8(text);
}

TokenizedText frame_tokens(std::vector<std::int32_t> tokens, const TextFrame& frame, std::int64_t length) {
  const std::int64_t marks = frame.begin ? 2 : 1;
  if (length < marks) fail(ErrorKind::usage, "{} tokens leave no room for those that open and close a text", length);
  TokenizedText result;
  result.truncated = tokens.size() > static_cast<std::size_t>(length - marks);
  if (result.truncated) tokens.resize(static_cast<std::size_t>(length - marks));
  if (frame.begin) tokens.insert(tokens.begin(), *frame.begin);
  tokens.push_back(frame.end);
  result.mask.assign(tokens.size(), 1);
  result.mask.resize(static_cast<std::size_t>(length), 0);
  result.ids = std::move(tokens);
  result.ids.resize(static_cast<std::size_t>(length), frame.padding);
  return result;
}

}  // namespace duet
