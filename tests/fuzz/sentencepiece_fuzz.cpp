// SentencePiece models; one that is read segments a text. Even first bytes ask for SigLIP's rules, odd ones for
// SigLIP2's.
#include "frontend/tokenizer_sentencepiece.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const bool siglip = data[0] % 2 == 0;
  const duet::SentencePieceFiles files{.name = "fuzzed",
                                       .model = std::string(duet::text_of(data + 1, size - 1)),
                                       .rules = siglip ? duet::TextRules::siglip : duet::TextRules::siglip2,
                                       .end = siglip ? "</s>" : "<eos>",
                                       .padding = siglip ? "</s>" : "<pad>"};
  duet::expect_value_or_refusal([&] {
    const duet::SentencePieceTokenizer tokenizer(files);
    for (const char* text : {"a photo of 12 cats </s>", "\xef\xac\x81ne \xe2\x84\xa2 \xf0\x9f\x98\x80 \xff <eos>\n\n"})
      for (const std::int32_t id : tokenizer.encode(text, 64).ids)
        if (id < 0 || id >= tokenizer.vocabulary_size()) std::abort();
  });
  return 0;
}
