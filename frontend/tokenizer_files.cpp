// The files a CLIP tokenizer comes in: tokenizer.json (one file), or vocab.json with merges.txt, and
// tokenizer_config.json for the names of special tokens.
#include <limits>

#include "base/error.h"
#include "base/file.h"
#include "base/one_line.h"
#include "frontend/json_file.h"
#include "frontend/tokenizer_bpe.h"

namespace duet {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxFileBytes = 48 << 20;
constexpr std::size_t kMaxSpecialTokens = 64;  // every one is sought at every character

std::int32_t id_of(const json& value, std::string_view token, const std::string& file) {
  constexpr auto kMax = std::numeric_limits<std::int32_t>::max() - 1;
  if (!value.is_number_integer() || value.get<double>() < 0 || value.get<double>() > kMax) {
    fail(ErrorKind::input, "{}: the id of '{}' must be a whole number from 0", file, printable(token));
  }
  return value.get<std::int32_t>();
}

BytePairs::Vocabulary read_vocabulary(const json& value, const std::string& file) {
  if (!value.is_object()) fail(ErrorKind::input, "{}: the vocabulary must be an object of tokens and ids", file);
  BytePairs::Vocabulary vocabulary;
  vocabulary.reserve(value.size());
  for (const auto& [token, id] : value.items()) vocabulary.emplace(token, id_of(id, token, file));
  return vocabulary;
}

BytePairs::Merge parse_merge(std::string_view text, std::size_t number, const std::string& file) {
  const std::size_t space = text.find(' ');
  if (space == 0 || space >= text.size() - 1 || text.find(' ', space + 1) != std::string_view::npos) {
    fail(ErrorKind::input, "{}: merge {} must be two tokens and a space between them", file, number);
  }
  return {std::string(text.substr(0, space)), std::string(text.substr(space + 1))};
}

std::vector<BytePairs::Merge> read_merges_text(const std::filesystem::path& path) {
  const std::string content = read_text_file(path, kMaxFileBytes);
  std::string_view rest = content;
  std::vector<BytePairs::Merge> merges;
  while (!rest.empty()) {
    const std::size_t length = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, length);
    rest.remove_prefix(std::min(length + 1, rest.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with("#version")) continue;
    merges.push_back(parse_merge(line, merges.size() + 1, path.string()));
  }
  return merges;
}

// "a b", or since tokenizers 0.20 ["a", "b"].
std::vector<BytePairs::Merge> read_merges_json(const json& value, const std::string& file) {
  if (!value.is_array()) fail(ErrorKind::input, "{}: 'merges' must be a list", file);
  std::vector<BytePairs::Merge> merges;
  merges.reserve(value.size());
  for (const json& merge : value) {
    if (merge.is_array() && merge.size() == 2) {
      merges.push_back(
          {json_text(merge[0], "a merge's left token", file), json_text(merge[1], "a merge's right token", file)});
    } else {
      merges.push_back(parse_merge(json_text(merge, "a merge", file), merges.size() + 1, file));
    }
  }
  return merges;
}

SpecialToken read_added_token(const json& value, const std::string& file) {
  if (!value.is_object()) fail(ErrorKind::input, "{}: an added token must be an object", file);
  SpecialToken token{.text = json_text(json_member(value, "content", file), "an added token's content", file)};
  token.id = id_of(json_member(value, "id", file), token.text, file);
  token.in_normalized = json_flag(value, "normalized", false, file);
  if (token.text.empty()) fail(ErrorKind::input, "{}: an added token is empty", file);
  for (const char* key : {"lstrip", "rstrip", "single_word"}) {
    if (json_flag(value, key, false, file))
      fail(ErrorKind::input, "{}: '{}' of '{}' is not supported", file, key, printable(token.text));
  }
  return token;
}

void read_added_tokens(const json& root, BpeFiles& files) {
  const auto added = root.find("added_tokens");
  if (added == root.end() || added->is_null()) return;
  if (!added->is_array()) fail(ErrorKind::input, "{}: 'added_tokens' must be a list", files.name);
  if (added->size() > kMaxSpecialTokens) {
    fail(ErrorKind::input, "{}: has {} added tokens, the limit is {}", files.name, added->size(), kMaxSpecialTokens);
  }
  for (const json& value : *added) files.special.push_back(read_added_token(value, files.name));
}

void require_clip_model(const json& model, const std::string& file) {
  if (!model.is_object()) fail(ErrorKind::input, "{}: 'model' must be an object", file);
  const bool is_bpe = model.value("type", json("BPE")) == "BPE";
  if (!is_bpe || model.value("end_of_word_suffix", json()) != "</w>") {
    fail(
        ErrorKind::input,
        "{}: is not CLIP's byte-level BPE (words must end in </w>); for SigLIP put its spiece.model or tokenizer.model "
        "there, else give token ids by --input",
        file);
  }
  for (const char* key : {"byte_fallback", "ignore_merges", "fuse_unk"}) {
    if (json_flag(model, key, false, file)) fail(ErrorKind::input, "{}: '{}' is not part of CLIP's BPE", file, key);
  }
}

BpeFiles read_single_file(const std::filesystem::path& path) {
  BpeFiles files{.name = path.string()};
  const json root = read_json_object(path, kMaxFileBytes);
  const json& model = json_member(root, "model", files.name);
  require_clip_model(model, files.name);
  files.vocabulary = read_vocabulary(json_member(model, "vocab", files.name), files.name);
  files.merges = read_merges_json(json_member(model, "merges", files.name), files.name);
  read_added_tokens(root, files);
  return files;
}

BpeFiles read_two_files(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "vocab.json";
  BpeFiles files{.name = path.string()};
  files.vocabulary = read_vocabulary(read_json_object(path, kMaxFileBytes), files.name);
  files.merges = read_merges_text(folder / "merges.txt");
  return files;
}

// A special token is a string, or an object with its content and whether it is sought in the normalised text.
void read_special(const json& config, const char* key, const std::string& file, std::string& name, BpeFiles& files) {
  const std::optional<std::string> given = json_special_token(config, key, file);
  if (!given) return;
  name = *given;
  const json& value = config[key];
  const bool normalized = value.is_object() && json_flag(value, "normalized", false, file);
  for (SpecialToken& special : files.special) {
    if (special.text == name && value.is_object()) special.in_normalized = normalized;
  }
  const auto id = files.vocabulary.find(name);
  const bool known =
      std::any_of(files.special.begin(), files.special.end(), [&](const auto& s) { return s.text == name; });
  if (!known && id != files.vocabulary.end()) files.special.push_back({name, id->second, normalized});
}

void add_default_special(const std::string& name, BpeFiles& files) {
  const bool known =
      std::any_of(files.special.begin(), files.special.end(), [&](const auto& s) { return s.text == name; });
  const auto id = files.vocabulary.find(name);
  if (!known && id != files.vocabulary.end()) files.special.push_back({name, id->second, false});
}

}  // namespace

BpeFiles read_bpe_files(const std::filesystem::path& folder) {
  const bool single = std::filesystem::exists(folder / "tokenizer.json");
  if (!single && !std::filesystem::exists(folder / "vocab.json")) {
    fail(ErrorKind::missing,
         "{}: holds neither tokenizer.json nor vocab.json with merges.txt; name a tokenizer's folder", folder.string());
  }
  BpeFiles files = single ? read_single_file(folder / "tokenizer.json") : read_two_files(folder);
  const std::filesystem::path config_path = folder / "tokenizer_config.json";
  if (std::filesystem::exists(config_path)) {
    const json config = read_json_object(config_path, kMaxFileBytes);
    read_special(config, "bos_token", config_path.string(), files.begin, files);
    read_special(config, "eos_token", config_path.string(), files.end, files);
    read_special(config, "unk_token", config_path.string(), files.unknown, files);
    read_special(config, "pad_token", config_path.string(), files.padding, files);
  }
  for (const std::string& name : {files.begin, files.end, files.padding, files.unknown})
    add_default_special(name, files);
  return files;
}

}  // namespace duet
