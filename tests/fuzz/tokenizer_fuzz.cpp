// A folder of CLIP's tokenizer files and a text for it: the first byte chooses the form, the rest is cut at form feeds
// into vocab.json, merges.txt, tokenizer_config.json and the text, or into tokenizer.json and the text.
#include <array>
#include <vector>

#include "frontend/tokenizer.h"
#include "tests/fuzz/fuzz_target.h"

namespace {

constexpr std::size_t kMostParts = 4;

std::vector<std::string_view> parts_of(std::string_view text) {
  std::vector<std::string_view> parts;
  while (parts.size() + 1 < kMostParts && text.find('\f') != std::string_view::npos) {
    parts.push_back(text.substr(0, text.find('\f')));
    text.remove_prefix(parts.back().size() + 1);
  }
  parts.push_back(text);
  return parts;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const duet::FuzzFile vocabulary("vocab.json"), merges("merges.txt"), config("tokenizer_config.json"),
      single("tokenizer.json");
  if (size == 0) return 0;
  const std::vector<std::string_view> parts = parts_of(duet::text_of(data + 1, size - 1));
  const auto forms = data[0] % 2 == 0 ? std::vector{&vocabulary, &merges, &config} : std::vector{&single, &config};
  for (const duet::FuzzFile* file : {&vocabulary, &merges, &config, &single}) std::filesystem::remove(file->path());
  for (std::size_t i = 0; i < forms.size() && i < parts.size(); ++i)
    forms[i]->write(reinterpret_cast<const std::uint8_t*>(parts[i].data()), parts[i].size());
  duet::expect_value_or_refusal([&] {
    const auto tokenizer = duet::open_tokenizer(single.folder());
    for (const std::int32_t id : tokenizer->encode(parts.back(), 77).ids)
      if (id < 0 || id >= tokenizer->vocabulary_size()) std::abort();
  });
  return 0;
}
