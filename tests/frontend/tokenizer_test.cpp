// The tokenizers against transformers' on 10,000 generated lines: with small vocabularies that are committed, and with
// CLIP's own where scripts/samples.py has put it.
#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "frontend/tokenizer_bpe.h"
#include "frontend/tokenizer_sentencepiece.h"
#include "frontend/unicode_text.h"
#include "tests/frontend/golden.h"
#include "tests/frontend/text_generator.h"
#include "tests/support/error_of.h"
#include "tests/support/temp_dir.h"

namespace duet {
namespace {

constexpr std::int64_t kTokens = 77;
constexpr std::int64_t kSiglipTokens = 64;
constexpr std::uint64_t kMaxBytes = 1 << 20;

std::uint32_t fnv1a(std::span<const std::byte> bytes, std::uint32_t value = 0x811c9dc5U) {
  for (const std::byte byte : bytes) value = (value ^ std::to_integer<std::uint32_t>(byte)) * 0x01000193U;
  return value;
}

// Of the ids, and of how many of them are not padding.
std::uint32_t hash_of(const TokenizedText& text) {
  const auto used = static_cast<std::uint8_t>(std::count(text.mask.begin(), text.mask.end(), 1));
  return fnv1a(std::as_bytes(std::span(&used, 1)), fnv1a(std::as_bytes(std::span(text.ids))));
}

std::vector<std::uint32_t> golden_hashes(const std::string& name) {
  const std::vector<std::byte> bytes = read_binary_file(golden_path(name), kMaxBytes);
  std::vector<std::uint32_t> hashes(bytes.size() / sizeof(std::uint32_t));
  std::memcpy(hashes.data(), bytes.data(), hashes.size() * sizeof(std::uint32_t));
  return hashes;
}

void check_lines(const Tokenizer& tokenizer, const std::string& name, std::int64_t length = kTokens) {
  const LineGenerator generator(golden_lines("fragments.txt"));
  const nlohmann::json shown = golden_json("tokens-" + name + ".json");
  for (std::size_t i = 0; i < shown.size(); ++i) {
    TokenizedText text = tokenizer.encode(generator.line(i), length);
    text.ids.resize(static_cast<std::size_t>(std::count(text.mask.begin(), text.mask.end(), 1)));
    EXPECT_EQ(text.ids, shown[i].get<std::vector<std::int32_t>>()) << "line " << i << ": " << generator.line(i);
  }
  const std::vector<std::uint32_t> hashes = golden_hashes("tokens-" + name + ".bin");
  ASSERT_EQ(hashes.size(), 10'000U);
  int wrong = 0;
  for (std::size_t i = 0; i < hashes.size() && wrong < 10; ++i) {
    if (hash_of(tokenizer.encode(generator.line(i), length)) == hashes[i]) continue;
    ADD_FAILURE() << "line " << i << ": " << generator.line(i);
    ++wrong;
  }
}

TEST(Tokenizer, EqualsTransformersWithASmallVocabulary) {
  check_lines(BpeTokenizer::open(golden_path("small-bpe")), "small");
}

TEST(Tokenizer, EqualsTransformersWithClipsVocabulary) {
  const auto folder = std::filesystem::path(DUET_SOURCE_DIR) / ".deps" / "clip-vocabulary";
  if (!std::filesystem::exists(folder / "vocab.json")) {
    GTEST_SKIP() << "CLIP's vocabulary is not here; python3 scripts/samples.py fetches it";
  }
  const BpeTokenizer tokenizer = BpeTokenizer::open(folder);
  EXPECT_EQ(tokenizer.vocabulary_size(), 49408);
  const TokenizedText cat = tokenizer.encode("a photo of a cat", 9);
  EXPECT_EQ(cat.ids, (std::vector<std::int32_t>{49406, 320, 1125, 539, 320, 2368, 49407, 49407, 49407}));
  EXPECT_EQ(cat.mask, (std::vector<std::int32_t>{1, 1, 1, 1, 1, 1, 1, 0, 0}));
  check_lines(tokenizer, "clip");
}

// The same vocabulary as one tokenizer.json, merges in either spelling.
TEST(Tokenizer, OneFileEqualsTwo) {
  const std::filesystem::path small = golden_path("small-bpe");
  nlohmann::json model{{"type", "BPE"}, {"end_of_word_suffix", "</w>"}};
  model["vocab"] = nlohmann::json::parse(std::ifstream(small / "vocab.json"));
  for (const auto& merge : read_bpe_files(small).merges) {
    const bool pair = model["merges"].size() % 2 == 0;
    model["merges"].push_back(pair ? nlohmann::json{merge.left, merge.right}
                                   : nlohmann::json(merge.left + " " + merge.right));
  }
  const TempDir folder;
  publish_file(folder / "tokenizer.json", nlohmann::json{{"model", model}}.dump());
  check_lines(BpeTokenizer::open(folder.path()), "small");
}

TEST(Tokenizer, SettingsRenameThePaddingAndMoveTheSearchForSpecialTokens) {
  BpeFiles files = read_bpe_files(golden_path("small-bpe"));
  const std::int32_t begin = files.vocabulary.at("<|startoftext|>"), bang = files.vocabulary.at("!");
  EXPECT_NE(BpeTokenizer(files).tokenize("<|STARTOFTEXT|>"), std::vector<std::int32_t>{begin});
  const TempDir folder;
  for (const char* name : {"vocab.json", "merges.txt"}) {
    std::filesystem::copy_file(golden_path("small-bpe") / name, folder / name);
  }
  publish_file(folder / "tokenizer_config.json",
               R"({"pad_token": "!", "bos_token": {"content": "<|startoftext|>", "normalized": true}})");
  const BpeTokenizer tokenizer = BpeTokenizer::open(folder.path());
  EXPECT_EQ(tokenizer.encode("", 4).ids.back(), bang);
  EXPECT_EQ(tokenizer.tokenize("<|STARTOFTEXT|>"), std::vector<std::int32_t>{begin});
}

// Found by tokenizer_fuzz: a message is one line, whatever a token holds.
TEST(Tokenizer, ATokenOfSeveralLinesIsShownInOne) {
  const TempDir folder;
  publish_file(folder / "vocab.json", R"({"a": 0, "pad\n": "b"})");
  publish_file(folder / "merges.txt", "#version: 0.2\n");
  EXPECT_EQ(error_of(ErrorKind::input, [&] { BpeTokenizer::open(folder.path()); }),
            (folder / "vocab.json").string() + ": the id of 'pad ' must be a whole number from 0");
}

TEST(Tokenizer, ALongTextIsCutBeforeTheEnd) {
  const BpeTokenizer tokenizer = BpeTokenizer::open(golden_path("small-bpe"));
  const TokenizedText text = tokenizer.encode("1 2 3 4 5 6 7 8 9", 5);
  EXPECT_TRUE(text.truncated);
  EXPECT_EQ(text.ids.back(), tokenizer.encode("", 2).ids.back());
  EXPECT_EQ(text.mask, std::vector<std::int32_t>(5, 1));
  EXPECT_THROW(tokenizer.encode("x", 1), Error);
}

void check_texts(const Tokenizer& tokenizer, const std::string& name) {
  const nlohmann::json texts = golden_json("texts-" + name + ".json");
  ASSERT_GT(texts.size(), 20U);
  for (const nlohmann::json& entry : texts) {
    const auto text = entry[0].get<std::string>();
    EXPECT_EQ(tokenizer.encode(text, kSiglipTokens).ids, entry[1].get<std::vector<std::int32_t>>()) << text;
  }
}

TEST(SentencePiece, EqualsTransformersForSiglip) {
  const auto tokenizer = open_tokenizer(golden_path("siglip"));
  check_texts(*tokenizer, "siglip");
  check_lines(*tokenizer, "siglip", kSiglipTokens);
}

TEST(SentencePiece, EqualsTransformersForSiglip2) {
  const auto tokenizer = open_tokenizer(golden_path("siglip2"));
  check_texts(*tokenizer, "siglip2");
  check_lines(*tokenizer, "siglip2", kSiglipTokens);
}

// Without tokenizer_config.json the model's name tells.
TEST(SentencePiece, TheModelsNameTellsWhichTokenizerItIs) {
  for (const auto& [folder, file] : {std::pair{"siglip", "spiece.model"}, std::pair{"siglip2", "tokenizer.model"}}) {
    const TempDir alone;
    std::filesystem::copy_file(golden_path(folder) / file, alone / file);
    check_texts(*open_tokenizer(alone.path()), folder);
  }
}

TEST(SentencePiece, SettingsChooseCaseAndTokens) {
  SentencePieceFiles files = read_sentencepiece_files(golden_path("siglip2"));
  EXPECT_EQ(files.rules, TextRules::siglip2);
  const SentencePieceTokenizer lower(files);
  EXPECT_EQ(lower.tokenize("Cat"), lower.tokenize("cat"));
  files.lower_case = false;
  EXPECT_NE(SentencePieceTokenizer(files).tokenize("Cat"), lower.tokenize("cat"));
  files.padding = "<eos>";
  EXPECT_EQ(SentencePieceTokenizer(files).encode("", 2).ids, std::vector<std::int32_t>(2, 1));
  files.end = "<none>";
  EXPECT_THROW(SentencePieceTokenizer{files}, Error);
}

TEST(Unicode, BadUtf8IsReplacedAsPythonDoes) {
  EXPECT_EQ(decode_utf8("a\xff\xc3(\xe2\x82"), U"a\ufffd\ufffd(\ufffd");
  EXPECT_EQ(decode_utf8("\xed\xa0\x80"), U"\ufffd\ufffd\ufffd");            // a surrogate
  EXPECT_EQ(decode_utf8("\xf0\x9f\x98 \xf4\x90"), U"\ufffd \ufffd\ufffd");  // cut short; above U+10FFFF
  EXPECT_EQ(decode_utf8("\xc0\xaf\xe0\x80"), U"\ufffd\ufffd\ufffd\ufffd");  // overlong
  EXPECT_EQ(decode_utf8("\xf0\x9f\x98\x80"), U"\U0001f600");
}

TEST(Unicode, CompositionAndLowerCase) {
  EXPECT_EQ(compose(U"A\u030a e\u0323\u0302 \u1112\u1161\u11ab"), U"\u00c5 \u1ec7 \ud55c");
  EXPECT_EQ(compose(U"q\u0307\u0323"), U"q\u0323\u0307");  // marks in canonical order
  EXPECT_EQ(lower_case(U"\u0130\u03a3\u1e9e"), U"i\u0307\u03c3\u00df");
}

}  // namespace
}  // namespace duet
