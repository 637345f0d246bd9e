// Files made to break: each gives a one-line Error(input) in bounded time and memory, or is read for what it is.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <functional>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "frontend/image.h"
#include "frontend/orientation.h"
#include "frontend/processor.h"
#include "frontend/tokenizer_bpe.h"
#include "frontend/tokenizer_sentencepiece.h"
#include "tests/frontend/golden.h"
#include "tests/frontend/text_generator.h"
#include "tests/support/png_file.h"
#include "tests/support/temp_dir.h"

namespace duet {
namespace {

using Bytes = std::vector<std::byte>;

constexpr std::uint64_t kMaxBytes = 1 << 20;

Bytes golden_image(const std::string& name) { return read_binary_file(golden_path("images/" + name), kMaxBytes); }

Bytes bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

// The error of `action`, checked to be one line of kind `input`; nothing when it succeeds.
std::optional<std::string> refusal(const std::function<void()>& action) {
  try {
    action();
    return std::nullopt;
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(error.kind(), ErrorKind::input) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_LT(message.size(), 600U) << message;
    return message;
  }
}

void expect_refused(std::span<const std::byte> file, std::string_view reason) {
  const auto message = refusal([&] { decode_image(file, "it"); });
  ASSERT_TRUE(message.has_value()) << "was decoded, expected: " << reason;
  EXPECT_NE(message->find(reason), std::string::npos) << *message;
}

TEST(HostileImage, TruncatedAnywhere) {
  for (const char* name : {"420.jpg", "progressive.jpg", "grey.jpg", "exif6.jpg", "odd.png", "interlaced.png",
                           "palette-clear.png", "rgb16.png", "exif6.png"}) {
    const Bytes file = golden_image(name);
    const std::size_t step = file.size() / 150 + 1;
    for (std::size_t size = 0; size < file.size(); size += size < 64 || size + 64 > file.size() ? 1 : step) {
      SCOPED_TRACE(fmt::format("{} cut to {} of {} bytes", name, size, file.size()));
      EXPECT_TRUE(refusal([&] { decode_image(std::span(file).first(size), name); }).has_value());
    }
  }
}

TEST(HostileImage, DamagedAnywhere) {
  SplitMix random(7);
  const nlohmann::json golden = golden_json("images.json");
  for (const nlohmann::json& entry : golden["images"]) {
    const Bytes intact = golden_image(entry["file"]);
    for (int round = 0; round < 40; ++round) {
      Bytes damaged = intact;
      for (std::uint32_t i = 0; i <= random.below(4); ++i) {
        damaged[random.below(static_cast<std::uint32_t>(damaged.size()))] = static_cast<std::byte>(random.below(256));
      }
      refusal([&] { decode_image(damaged, "it", {.max_pixels = 1 << 20}); });
    }
  }
}

TEST(HostileImage, NeitherJpegNorPng) {
  expect_refused({}, "neither");
  expect_refused(bytes_of("GIF89a\x01\x01"), "neither");
  expect_refused(bytes_of(std::string(1000, '\0')), "neither");
  expect_refused(bytes_of("\xff\xd8\xff"), "truncated");
  EXPECT_TRUE(refusal([] { read_image("/nonexistent/photo.jpg"); }).has_value());
  EXPECT_TRUE(refusal([] { read_image(golden_path("images")); }).has_value());
}

TEST(HostileImage, LimitsAreCheckedBeforeMemoryIsSpent) {
  const Bytes photo = golden_image("420.jpg");
  EXPECT_TRUE(refusal([&] { decode_image(photo, "it", {.max_file_bytes = 100}); }).has_value());
  EXPECT_TRUE(refusal([&] { decode_image(photo, "it", {.max_pixels = 97 * 131 - 1}); }).has_value());
  EXPECT_FALSE(refusal([&] { decode_image(photo, "it", {.max_pixels = 97 * 131}); }).has_value());
}

// libpng would allocate what the chunk announces: here a gigabyte, of which the file has four bytes.
TEST(HostileImage, AChunkBeyondTheFile) {
  Bytes file = golden_image("one.png");
  const Bytes chunk =
      bytes_of(std::string_view("\x40\xad\x58\xb8"
                                "eXIfMM\0*",
                                12));
  constexpr std::ptrdiff_t kBehindHeader = 8 + 25;
  file.insert(file.begin() + kBehindHeader, chunk.begin(), chunk.end());
  const auto message = refusal([&] { decode_image(file, "fuzzed.png"); });
  ASSERT_TRUE(message.has_value());
  EXPECT_NE(message->find("a chunk of"), std::string::npos) << *message;  // and not what libpng says later
}

TEST(HostileImage, PngBombs) {
  expect_refused(bytes_of(png_header(2000000000, 2000000000) + png_chunk("IDAT", "x")), "the limit is");
  expect_refused(bytes_of(png_header(60000, 60000) + png_chunk("IDAT", "x")), "the limit is");
  expect_refused(bytes_of(png_header(8000, 8000) + png_chunk("IDAT", "x")), "cannot be in");
  expect_refused(bytes_of(png_header(1, 60000000) + png_chunk("IDAT", "x")), "cannot be in");
  expect_refused(bytes_of(png_header(0, 10)), "cannot be decoded as PNG");
  std::string text;
  for (int i = 0; i < 50000; ++i) text += png_chunk("tEXt", "a\0b");
  refusal([&] { decode_image(bytes_of(png_header(4, 4) + text), "it"); });
}

// SOF0 with sides of 65,500.
TEST(HostileImage, JpegBomb) {
  Bytes file = golden_image("420.jpg");
  const std::array<std::byte, 2> frame{std::byte{0xff}, std::byte{0xc0}};
  const auto at = std::search(file.begin(), file.end(), frame.begin(), frame.end());
  ASSERT_NE(at, file.end());
  for (const int offset : {5, 7}) {
    *(at + offset) = std::byte{0xff};
    *(at + offset + 1) = std::byte{0xdc};
  }
  expect_refused(file, "the limit is");
}

// The last scan again and again: each is a pass over all pixels.
TEST(HostileImage, JpegOfEndlessScans) {
  Bytes file = golden_image("progressive.jpg");
  const std::array<std::byte, 2> scan{std::byte{0xff}, std::byte{0xda}};
  const auto last = std::find_end(file.begin(), file.end(), scan.begin(), scan.end());
  const Bytes repeated(last, file.end() - 2);
  Bytes hostile(file.begin(), last);
  for (int i = 0; i < 5000; ++i) hostile.insert(hostile.end(), repeated.begin(), repeated.end());
  hostile.insert(hostile.end(), file.end() - 2, file.end());
  expect_refused(hostile, "scans");
}

TEST(HostileImage, OrientationOfBrokenMetadataIsUpright) {
  EXPECT_EQ(exif_orientation(bytes_of("")), std::nullopt);
  EXPECT_EQ(exif_orientation(bytes_of("II*\0\xff\xff\xff\xff")), std::nullopt);
  EXPECT_EQ(exif_orientation(bytes_of(std::string_view("MM\0*\0\0\0\x08\xff\xff", 10))), std::nullopt);
  EXPECT_EQ(xmp_orientation("tiff:Orientation=\"x tiff:Orientation"), std::nullopt);
  EXPECT_EQ(xmp_orientation("tiff:Orientation tiff:Orientation>7<"), 7);
}

TEST(HostileProcessor, BadSettings) {
  const TempDir folder;
  const std::vector<std::string> contents{
      "",
      "{",
      "[]",
      "null",
      "{\"size\":",
      std::string(100000, '['),
      "{\"a\":" + std::string(1000, '[') + "\xff",
      R"({"size": "big"})",
      R"({"size": {"height": 224}})",
      R"({"size": {"shortest_edge": 0}})",
      R"({"size": -1})",
      R"({"size": {"shortest_edge": 1e9}})",
      R"({"size": 99999999999999999999})",
      R"({"size": {"shortest_edge": 224.5}})",
      R"({"size": {"shortest_edge": 224, "longest_edge": 300}})",
      R"({"crop_size": [1, 2]})",
      R"({"resample": 1})",
      R"({"resample": "3"})",
      R"({"do_resize": 1})",
      R"({"image_mean": [0.5, 0.5]})",
      R"({"image_mean": ["a", 1, 2]})",
      R"({"image_std": [0, 1, 1]})",
      R"({"image_std": 1e-60})",
      R"({"rescale_factor": "x"})",
      R"({"rescale_factor": 1e300})",
      R"({"image_processor_type": "Siglip2ImageProcessor"})",
      R"({"image_processor_type": 5})",
      R"({"do_pad": true})",
      R"({"image_processor_type": "SiglipImageProcessor", "do_center_crop": true})"};
  for (const std::string& content : contents) {
    publish_file(folder / "preprocessor_config.json", content);
    EXPECT_TRUE(refusal([&] { read_processor(folder / "preprocessor_config.json"); }).has_value())
        << content.substr(0, 80);
  }
}

TEST(HostileProcessor, ALineThatWouldBeWidenedIsRefused) {
  const RgbImage line{1, 1 << 20, std::vector<std::uint8_t>(std::size_t{3} << 20)};
  EXPECT_TRUE(refusal([&] { preprocess(line, siglip_processor(224)); }).has_value());
}

TEST(HostileProcessor, OldSpellingsAreRead) {
  const TempDir folder;
  const auto path = folder / "preprocessor_config.json";
  publish_file(path, R"({"feature_extractor_type": "CLIPFeatureExtractor", "size": 336, "crop_size": 336})");
  EXPECT_EQ(read_processor(path), clip_processor(336));
  publish_file(path, R"({"image_processor_type": "SiglipImageProcessorFast", "size": 384, "resample": 2})");
  EXPECT_EQ(read_processor(path), siglip_processor(384));
}

void expect_tokenizer_refused(const std::map<std::string, std::string>& files) {
  const TempDir folder;
  for (const auto& [name, content] : files) publish_file(folder / name, content);
  EXPECT_TRUE(refusal([&] { BpeTokenizer::open(folder.path()); }).has_value()) << files.begin()->second.substr(0, 80);
}

TEST(HostileTokenizer, BadVocabularies) {
  const std::string good = R"({"a": 0, "b": 1, "ab": 2, "<|startoftext|>": 3, "<|endoftext|>": 4})";
  for (const char* vocabulary :
       {"", "[]", "{", R"({"a": "0"})", R"({"a": -1})", R"({"a": 1.5})", R"({"a": 4294967296})",
        R"({"a": 18446744073709551615})", R"({"a": [0]})", R"({"a": 0})", R"({"<|startoftext|>": 3})",
        R"({"<|endoftext|>": 3})", "{\"\xff\": 1}"}) {
    expect_tokenizer_refused({{"vocab.json", vocabulary}, {"merges.txt", ""}});
  }
  for (const char* merges : {"a", "a ", " b", "a b c", "a  b", "a c", "b a", "#version: 0.2\na b\nab a", "\xff \xff"}) {
    expect_tokenizer_refused({{"vocab.json", good}, {"merges.txt", merges}});
  }
  expect_tokenizer_refused({{"vocab.json", good}});
  expect_tokenizer_refused({{"vocab.json", std::string(500000, '[')}, {"merges.txt", ""}});
  for (const char* config : {"[]", R"({"pad_token": 3})", R"({"pad_token": "none such"})", R"({"bos_token": {"x": 1}})",
                             R"({"eos_token": ""})", R"({"bos_token": {"content": "a", "normalized": 1}})"}) {
    expect_tokenizer_refused({{"vocab.json", good}, {"merges.txt", ""}, {"tokenizer_config.json", config}});
  }
}

TEST(HostileTokenizer, BadSingleFiles) {
  const std::string vocabulary = R"("vocab": {"a": 0, "b": 1, "ab": 2, "<|startoftext|>": 3, "<|endoftext|>": 4})";
  const std::string model = R"("type": "BPE", "end_of_word_suffix": "</w>", )" + vocabulary;
  for (const std::string& content : std::vector<std::string>{
           "{}",
           R"({"model": 3})",
           R"({"model": {"type": "Unigram"}})",
           R"({"model": {"type": "BPE"}})",
           R"({"model": {"type": "BPE", "end_of_word_suffix": "</w>"}})",
           "{\"model\": {" + model + "}}",
           "{\"model\": {" + model + R"(, "merges": 3}})",
           "{\"model\": {" + model + R"(, "merges": [3]}})",
           "{\"model\": {" + model + R"(, "merges": [["a"]]}})",
           "{\"model\": {" + model + R"(, "merges": [["a", 2]]}})",
           "{\"model\": {" + model + R"(, "merges": [["a", "z"]]}})",
           "{\"model\": {" + model + R"(, "byte_fallback": true, "merges": []}})",
           "{\"model\": {" + model + R"(, "byte_fallback": "x", "merges": []}})",
           "{\"model\": {" + model + R"(, "merges": []}, "added_tokens": {}})",
           "{\"model\": {" + model + R"(, "merges": []}, "added_tokens": [3]})",
           "{\"model\": {" + model + R"(, "merges": []}, "added_tokens": [{"content": "x"}]})",
           "{\"model\": {" + model + R"(, "merges": []}, "added_tokens": [{"content": "", "id": 1}]})",
           "{\"model\": {" + model + R"(, "merges": []}, "added_tokens": [{"content": "x", "id": 1, "lstrip": true}]})",
           "{\"model\":" + std::string(200000, '{'),
           "{\"model\":" + std::string(200000, '[')}) {
    expect_tokenizer_refused({{"tokenizer.json", content}});
  }
}

// Each of these would take minutes if any step were quadratic.
void expect_bounded_time(const Tokenizer& tokenizer) {
  constexpr std::size_t kBytes = std::size_t{1} << 20;
  const auto begin = std::chrono::steady_clock::now();
  for (const char* part :
       {"a", "e ", "'", "'s", "\xcd\x93\xcc\x80", "\xff", "<|endoftext|>", "<|ENDOFTEXT|>", "1", "\xe3\x80\x80"}) {
    std::string text;
    while (text.size() + std::strlen(part) <= kBytes) text += part;
    EXPECT_EQ(tokenizer.encode(text, 77).ids.size(), 77U);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
  EXPECT_TRUE(refusal([&] { tokenizer.encode(std::string(kBytes + 1, 'a'), 77); }).has_value());
}

TEST(HostileTokenizer, LongTextsTakeBoundedTime) {
  for (const char* folder : {"small-bpe", "siglip", "siglip2"}) {
    SCOPED_TRACE(folder);
    expect_bounded_time(*open_tokenizer(golden_path(folder)));
  }
}

TEST(HostileTokenizer, BadSentencePieceSettings) {
  for (const char* config :
       {"[]", R"({"tokenizer_class": "LlamaTokenizer"})", R"({"tokenizer_class": 3})", R"({"do_lower_case": "yes"})",
        R"({"eos_token": "none such"})", R"({"pad_token": {"x": 1}})", R"({"unk_token": ""})"}) {
    const TempDir folder;
    std::filesystem::copy_file(golden_path("siglip/spiece.model"), folder / "spiece.model");
    publish_file(folder / "tokenizer_config.json", config);
    EXPECT_TRUE(refusal([&] { open_tokenizer(folder.path()); }).has_value()) << config;
  }
}

std::string score_message(const std::string& text, float score) {
  std::string piece = "\x0a" + std::string(1, static_cast<char>(text.size())) + text + "\x15";
  piece.append(reinterpret_cast<const char*>(&score), sizeof(score));
  return "\x0a" + std::string(1, static_cast<char>(piece.size())) + piece;
}

TEST(HostileTokenizer, BadSentencePieceModels) {
  const std::string good = read_text_file(golden_path("siglip2/tokenizer.model"), kMaxBytes);
  for (const std::string& model : std::vector<std::string>{
           "", "\x0a", "\x0b", std::string(11, '\xff'), score_message("a", 1), good + score_message("a", std::nanf("")),
           good + score_message(std::string(1, '\0'), 1), good + "\x0a\x00", good + "\x12\x02\x18\x03",
           good + std::string("\x0a\x03\x0a\x01", 4) + "a",                          // a piece that is there already
           good + "\x1a\x04\x12\x02" + "xy",                                         // a table too short
           good + "\x1a\x8a\x08\x12\x87\x08" + std::string("\x00\x04\x00\x00", 4) +  // a trie that points outside
               std::string(1020, '\xff') + "\xff\xff\xff\x7f" + "xy" + '\0'}) {
    SentencePieceFiles files = read_sentencepiece_files(golden_path("siglip2"));
    files.model = model;
    EXPECT_TRUE(refusal([&] { SentencePieceTokenizer{files}; }).has_value()) << model.size();
  }
}

// A damaged model is refused, or is another model.
TEST(HostileTokenizer, DamagedSentencePieceModels) {
  SentencePieceFiles files = read_sentencepiece_files(golden_path("siglip2"));
  const std::string good = files.model;
  SplitMix random(7);
  for (int i = 0; i < 300; ++i) {
    files.model = good.substr(0, good.size() - random.below(2) * random.below(static_cast<std::uint32_t>(good.size())));
    for (std::uint32_t flips = random.below(4); flips > 0; --flips) {
      files.model[random.below(static_cast<std::uint32_t>(files.model.size()))] ^=
          static_cast<char>(1 << random.below(8));
    }
    refusal([&] {
      EXPECT_EQ(SentencePieceTokenizer(files).encode("A photo of 12 cats \xf0\x9f\x98\x80", 64).ids.size(), 64U);
    });
  }
}

}  // namespace
}  // namespace duet
