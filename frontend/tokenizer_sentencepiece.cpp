#include "frontend/tokenizer_sentencepiece.h"

#include <sentencepiece_processor.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/file.h"
#include "base/one_line.h"
#include "frontend/json_file.h"
#include "frontend/sentencepiece_model.h"
#include "frontend/unicode_text.h"

namespace duet {
namespace {

constexpr std::uint64_t kMaxModelBytes = 32 << 20;
constexpr std::uint64_t kMaxConfigBytes = 1 << 20;
constexpr std::size_t kMaxSpecialTokens = 1024;
constexpr std::array<const char*, 3> kModelNames{"spiece.model", "sentencepiece.model", "tokenizer.model"};
constexpr char32_t kWordMark = 0x2581;

std::filesystem::path find_model(const std::filesystem::path& folder) {
  for (const char* name : kModelNames) {
    if (std::filesystem::exists(folder / name)) return folder / name;
  }
  return {};
}

// "GemmaTokenizerFast" and the like are the same tokenizer as without the ending.
TextRules rules_of(std::string name, const std::string& file) {
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  if (name == "SiglipTokenizer") return TextRules::siglip;
  if (name == "GemmaTokenizer" || name == "Siglip2Tokenizer") return TextRules::siglip2;
  fail(ErrorKind::input,
       "{}: 'tokenizer_class' is {}; SiglipTokenizer, GemmaTokenizer and Siglip2Tokenizer are supported", file,
       printable(name));
}

void set_defaults(SentencePieceFiles& files) {
  if (files.rules == TextRules::siglip) return;
  files.end = "<eos>";
  files.padding = "<pad>";
}

void read_config(const std::filesystem::path& path, SentencePieceFiles& files) {
  const std::string file = path.string();
  const nlohmann::json config = read_json_object(path, kMaxConfigBytes);
  if (config.contains("tokenizer_class")) {
    files.rules = rules_of(json_text(config["tokenizer_class"], "'tokenizer_class'", file), file);
  }
  set_defaults(files);
  files.lower_case = json_flag(config, "do_lower_case", true, file);
  files.end = json_special_token(config, "eos_token", file).value_or(files.end);
  files.padding = json_special_token(config, "pad_token", file).value_or(files.padding);
  files.unknown = json_special_token(config, "unk_token", file).value_or(files.unknown);
}

std::int32_t id_of(const std::vector<SentencePieceEntry>& pieces, const std::string& text, const std::string& name) {
  const auto found = std::find_if(pieces.begin(), pieces.end(), [&](const auto& piece) { return piece.text == text; });
  if (found == pieces.end())
    fail(ErrorKind::input, "{}: the special token '{}' is not among the pieces", name, printable(text));
  return static_cast<std::int32_t>(found - pieces.begin());
}

// The library reports through a status, and its search tables throw.
std::unique_ptr<sentencepiece::SentencePieceProcessor> load_model(const SentencePieceFiles& files) {
  auto model = std::make_unique<sentencepiece::SentencePieceProcessor>();
  std::string problem;
  try {
    const auto status = model->LoadFromSerializedProto(files.model);
    if (!status.ok()) problem = status.ToString();
  } catch (const std::exception& error) {
    problem = error.what();
  }
  std::replace(problem.begin(), problem.end(), '\n', ' ');
  if (!problem.empty()) fail(ErrorKind::input, "{}: SentencePiece refuses it: {:.200}", files.name, problem);
  return model;
}

bool is_python_space(char32_t c) { return is_space(c) || (c >= 0x1c && c <= 0x1f); }

bool is_ascii_punctuation(char32_t c) {
  return (c >= 0x21 && c <= 0x2f) || (c >= 0x3a && c <= 0x40) || (c >= 0x5b && c <= 0x60) || (c >= 0x7b && c <= 0x7e);
}

// Punctuation goes first, then each run of white space becomes one space, none at the ends.
std::u32string canonical_text(std::u32string_view text) {
  std::u32string canonical;
  for (const char32_t c : text) {
    if (is_ascii_punctuation(c)) continue;
    if (!is_python_space(c)) {
      canonical.push_back(c);
    } else if (!canonical.empty() && canonical.back() != U' ') {
      canonical.push_back(U' ');
    }
  }
  if (!canonical.empty() && canonical.back() == U' ') canonical.pop_back();
  return canonical;
}

}  // namespace

bool has_sentencepiece_model(const std::filesystem::path& folder) { return !find_model(folder).empty(); }

SentencePieceFiles read_sentencepiece_files(const std::filesystem::path& folder) {
  const std::filesystem::path path = find_model(folder);
  if (path.empty()) fail(ErrorKind::missing, "{}: holds no spiece.model or tokenizer.model", folder.string());
  SentencePieceFiles files{.name = path.string(), .model = read_text_file(path, kMaxModelBytes)};
  if (path.filename() == "tokenizer.model") files.rules = TextRules::siglip2;
  set_defaults(files);
  const std::filesystem::path config = folder / "tokenizer_config.json";
  if (std::filesystem::exists(config)) read_config(config, files);
  return files;
}

SentencePieceTokenizer::~SentencePieceTokenizer() = default;

SentencePieceTokenizer::SentencePieceTokenizer(const SentencePieceFiles& files)
    : name_(files.name), rules_(files.rules), lower_case_(files.lower_case), unknown_(files.unknown) {
  const std::vector<SentencePieceEntry> pieces = check_sentencepiece_model(files.model, files.name);
  model_ = load_model(files);
  vocabulary_size_ = static_cast<std::int32_t>(pieces.size());
  frame_ = {.end = id_of(pieces, files.end, files.name), .padding = id_of(pieces, files.padding, files.name)};
  if (rules_ == TextRules::siglip) {
    for (const std::string& text : {files.end, files.unknown, files.padding})
      special_.add(decode_utf8(text), id_of(pieces, text, files.name));
    const std::string mark = encode_utf8({&kWordMark, 1});
    const auto found =
        std::find_if(pieces.begin(), pieces.end(), [&](const auto& piece) { return piece.text == mark; });
    if (found != pieces.end()) word_mark_ = static_cast<std::int32_t>(found - pieces.begin());
    opening_ = segment(unknown_);
    return;
  }
  std::size_t count = 0;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const PieceKind kind = pieces[i].kind;
    if (kind != PieceKind::unknown && kind != PieceKind::control && kind != PieceKind::user_defined) continue;
    if (++count > kMaxSpecialTokens) {
      fail(ErrorKind::input, "{}: has more than {} special tokens", files.name, kMaxSpecialTokens);
    }
    special_.add(decode_utf8(pieces[i].text), static_cast<std::int32_t>(i));
  }
}

std::vector<std::int32_t> SentencePieceTokenizer::segment(const std::string& text) const {
  std::vector<int> ids;
  const auto status = model_->Encode(text, &ids);
  if (!status.ok()) fail(ErrorKind::input, "{}: cannot segment a text: {:.200}", name_, status.ToString());
  return {ids.begin(), ids.end()};
}

// The library drops a word mark in front: it is kept by an unknown token before it, whose own pieces are dropped.
void SentencePieceTokenizer::add_siglip(std::u32string_view text, std::vector<std::int32_t>& ids) const {
  if (text.empty()) return;
  const std::u32string canonical = canonical_text(lower_case_ ? lower_case_in_words(text) : std::u32string(text));
  const std::vector<std::int32_t> tokens = segment(unknown_ + encode_utf8(canonical));
  const std::size_t dropped = tokens.size() >= opening_.size() ? opening_.size() : 0;
  ids.insert(ids.end(), tokens.begin() + static_cast<std::ptrdiff_t>(dropped), tokens.end());
}

void SentencePieceTokenizer::add_siglip2(std::u32string_view text, std::vector<std::int32_t>& ids) const {
  if (text.empty()) return;
  const std::vector<std::int32_t> tokens = segment(encode_utf8(lower_case_ ? lower_case(text) : std::u32string(text)));
  ids.insert(ids.end(), tokens.begin(), tokens.end());
}

std::vector<std::int32_t> SentencePieceTokenizer::tokenize(std::string_view text) const {
  std::u32string characters = decode_text(text);
  if (rules_ == TextRules::siglip) {
    std::replace(characters.begin(), characters.end(), kWordMark, U' ');
    characters.insert(characters.begin(), kWordMark);
  }
  std::vector<std::int32_t> ids;
  std::optional<std::size_t> first_special;
  special_.split(
      characters,
      [&](std::u32string_view plain) {
        rules_ == TextRules::siglip ? add_siglip(plain, ids) : add_siglip2(plain, ids);
      },
      [&](std::int32_t id) {
        if (!first_special) first_special = ids.size();
        ids.push_back(id);
      });
  // A text that opens with a special token has no word before it.
  const bool lone_mark = rules_ == TextRules::siglip && first_special == 1 && ids.front() == word_mark_;
  if (lone_mark) ids.erase(ids.begin());
  return ids;
}

// SigLIP's tokenizer does not end a text twice.
TokenizedText SentencePieceTokenizer::encode(std::string_view text, std::int64_t length) const {
  std::vector<std::int32_t> tokens = tokenize(text);
  TokenizedText framed = frame_tokens(tokens, frame_, length);
  if (rules_ != TextRules::siglip) return framed;
  const bool ended = !tokens.empty() && !framed.truncated && tokens.back() == frame_.end;
  if (!ended) return framed;
  tokens.pop_back();
  return frame_tokens(std::move(tokens), frame_, length);
}

}  // namespace duet
