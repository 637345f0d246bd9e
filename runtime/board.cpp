#include "runtime/board.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "runtime/clocks.h"
#include "runtime/jetson_modules.h"
#include "runtime/sysfs.h"

namespace duet {
namespace {

namespace fs = std::filesystem;
using Modules = std::vector<JetsonModule>;

constexpr const char* kCompatible = "proc/device-tree/compatible";
constexpr const char* kModel = "proc/device-tree/model";
constexpr const char* kMemory = "proc/meminfo";
constexpr const char* kPowerMode = "var/lib/nvpmodel/status";

std::int64_t memory_bytes(const fs::path& root) {
  const std::string text = read_small_file(root / kMemory);
  constexpr std::string_view kTotal = "MemTotal:";
  const std::size_t at = text.find(kTotal);
  if (at == std::string::npos) return 0;
  const std::size_t digits = text.find_first_not_of(" \t", at + kTotal.size());
  const auto kib = digits == std::string::npos ? std::nullopt : parse_number(std::string_view(text).substr(digits));
  return kib && *kib > 0 && *kib < (1LL << 40) ? *kib * 1024 : 0;
}

// Up to the first control character: the text goes into messages and keys.
std::string first_line(const std::string& text) {
  const auto end = std::find_if(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 32; });
  return text.substr(0, static_cast<std::size_t>(std::min<std::ptrdiff_t>(end - text.begin(), 128)));
}

template <typename Keep>
Modules keep_if(const Modules& modules, const Keep& keep) {
  Modules kept;
  std::copy_if(modules.begin(), modules.end(), std::back_inserter(kept), keep);
  return kept;
}

std::string names_of(const Modules& modules) {
  std::string text;
  for (const JetsonModule& module : modules) text += (text.empty() ? "" : " or ") + std::string(module.name);
  return text;
}

// A power mode may switch SMs off: a module has at least as many as the GPU shows. Where the table has fewer, the table
// is wrong, and its family decides.
Modules with_enough_sms(const Modules& candidates, Board& board) {
  const auto enough = [&](const JetsonModule& module) { return module.sms >= board.sm_count; };
  const Modules kept = keep_if(candidates, enough);
  if (!kept.empty() || candidates.empty()) return kept;
  const JetsonModule& named = candidates.front();
  board.contradictions.push_back(
      fmt::format("{} has {} SMs and the GPU here has {}", named.name, named.sms, board.sm_count));
  return keep_if(modules_of_family(named.family), enough);
}

// The system keeps some memory from the total it shows, a quarter at most.
Modules with_this_memory(const Modules& candidates, Board& board) {
  if (board.memory_bytes == 0 || candidates.empty()) return candidates;
  const double gib = static_cast<double>(board.memory_bytes) / (1 << 30);
  const Modules kept = keep_if(candidates, [&](const JetsonModule& module) {
    return gib <= module.memory_gib && gib >= 0.75 * module.memory_gib;
  });
  if (!kept.empty()) return kept;
  board.contradictions.push_back(fmt::format("{} has {} GiB of memory and {} shows {:.1f}", candidates.front().name,
                                             candidates.front().memory_gib, kMemory, gib));
  return candidates;
}

void compare_with_model(const JetsonModule& module, Board& board) {
  const Modules told = modules_of_model(board.model);
  if (told.empty() || std::any_of(told.begin(), told.end(), [&](const auto& t) { return t.family == module.family; }))
    return;
  board.contradictions.push_back(
      fmt::format("{} says '{}' and {} names {}", kModel, board.model, kCompatible, module.name));
}

void choose_module(const std::string& compatible, Board& board) {
  const Modules of_part = modules_of_part(compatible);
  if (of_part.empty()) board.unknown.push_back(fmt::format("module: {} names no part that is known", kCompatible));
  const Modules candidates =
      with_this_memory(with_enough_sms(of_part.empty() ? modules_of_model(board.model) : of_part, board), board);
  if (candidates.size() == 1) {
    board.module = candidates.front().name;
    board.device = candidates.front().device;
    compare_with_model(candidates.front(), board);
    return;
  }
  board.module = board.model.empty() ? "Jetson" : board.model;
  if (!candidates.empty()) board.unknown.push_back(fmt::format("module: {}", names_of(candidates)));
}

void name_what_is_missing(const fs::path& root, const std::string& compatible, Board& board) {
  const auto note = [&](bool known, const std::string& text) {
    if (!known) board.unknown.push_back(text);
  };
  note(!compatible.empty(), fmt::format("part number: {} is absent or empty", kCompatible));
  note(!board.model.empty(), fmt::format("board: {} is absent or empty", kModel));
  note(board.memory_bytes > 0, fmt::format("memory: {} has no MemTotal", kMemory));
  note(board.sm_count > 0, "SM count: no driver to ask");
  note(!board.power_mode.empty(),
       fmt::format("power mode: {} is {}", kPowerMode,
                   read_small_file(root / kPowerMode).empty() ? "absent or empty" : "not understood"));
  note(board.max_sm_clock_mhz > 0, "GPU clock: no devfreq node of the GPU");
}

bool any_of_words(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(),
                     [&](std::string_view word) { return text.find(word) != std::string_view::npos; });
}

}  // namespace

Board recognise_board(const fs::path& root, int live_sm_count) {
  Board board;
  const std::string compatible = read_small_file(root / kCompatible);
  board.model = first_line(read_small_file(root / kModel));
  board.jetson = any_of_words(compatible, {"nvidia,tegra", "nvidia,p"}) || !modules_of_part(compatible).empty() ||
                 any_of_words(board.model, {"NVIDIA Jetson", "NVIDIA Orin"});
  board.sm_count = live_sm_count;
  board.memory_bytes = memory_bytes(root);
  if (!board.jetson) return board;
  const ClockReading clocks = read_jetson_clocks(root);
  board.power_mode = clocks.power_mode;
  board.max_sm_clock_mhz = clocks.max_sm_clock_mhz;
  name_what_is_missing(root, compatible, board);
  choose_module(compatible, board);
  return board;
}

}  // namespace duet
