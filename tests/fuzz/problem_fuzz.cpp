// Texts of problems: what is read must be the text of what it became.
#include <cstdlib>
#include <string>

#include "codegen/parse_problem.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  duet::expect_value_or_refusal([&] {
    const std::string read = duet::problem_text(duet::parse_problem(text));
    if (duet::problem_text(duet::parse_problem(read)) != read) std::abort();
  });
  return 0;
}
