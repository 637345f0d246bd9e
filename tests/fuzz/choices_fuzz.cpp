// Files of choices/: what is read must be readable once written, and the same.
#include <cstdlib>
#include <string>
#include <string_view>

#include "codegen/reference_choices.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string text;
  duet::expect_value_or_refusal([&] {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    text = duet::reference_choices_yaml(duet::parse_reference_choices("fuzzed.yaml", input));
  });
  if (!text.empty() && duet::reference_choices_yaml(duet::parse_reference_choices("written.yaml", text)) != text)
    std::abort();
  return 0;
}
