// Recorded spaces, packed and plain.
#include "tests/fuzz/fuzz_target.h"
#include "tuner/replay_score.h"
#include "tuner/replayed_space.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const duet::FuzzFile file("fuzzed.csv.gz");
  file.write(data, size);
  duet::expect_value_or_refusal([&] { duet::ReplayScorer(duet::read_replayed_space(file.path())).score({{}}); });
  return 0;
}
