#include "tuner/fault_drill.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/hash.h"

namespace duet {
namespace {

constexpr std::size_t kOneIn = 5;
constexpr std::string_view kMark = "// fault drill: ";
constexpr std::array kFaults = {PlantedFault::hang,  PlantedFault::illegal_address, PlantedFault::leak,
                                PlantedFault::abort, PlantedFault::wrong_result,    PlantedFault::out_of_bounds};
static_assert(kFaults.size() == kPlantedFaults);

// 16 bits that are far from any result, as an element of two bytes and as the upper half of one of four.
constexpr std::string_view kWrongBits = "0x6400";

std::string_view output_name(std::string_view text) {
  return text.find("GemmParams") != std::string_view::npos ? "params.c" : "params.out";
}

// What the kernel does before its own work.
std::string statement_before(PlantedFault fault, std::string_view output) {
  switch (fault) {
    case PlantedFault::hang:
      // On memory: NVRTC and ptxas remove a loop that waits for a local variable, volatile or not.
      return fmt::format("  while (*reinterpret_cast<const volatile u32*>({}) != 0x13572468u) {{\n  }}\n", output);
    case PlantedFault::illegal_address:
      return "  *reinterpret_cast<volatile int*>(static_cast<u64>(16)) = 1;\n";
    case PlantedFault::out_of_bounds:  // before its beginning, whatever its size
      return fmt::format("  reinterpret_cast<volatile unsigned short*>({})[-8] = {};\n", output, kWrongBits);
    default:
      return {};
  }
}

// What it does after: each block once more than any of its threads, so that the last word is a wrong one.
std::string statement_after(PlantedFault fault, std::string_view output) {
  if (fault != PlantedFault::wrong_result) return {};
  return fmt::format("  sync_threads();\n  reinterpret_cast<volatile unsigned short*>({})[1] = {};\n", output,
                     kWrongBits);
}

// An insertion before the first line that begins with `line`, or one after.
std::size_t line_begin(const std::string& text, const std::string& line) {
  const std::size_t found = text.find("\n" + line);
  if (found == std::string::npos)
    fail(ErrorKind::internal, "no fault can be planted in a source without a line '{}'", line);
  return found + 1;
}

[[noreturn]] void take_all_memory() {
  constexpr std::size_t kStep = std::size_t{16} << 20;
  while (void* memory = std::malloc(kStep)) std::memset(memory, 1, kStep);
  std::abort();
}

}  // namespace

std::string_view planted_fault_name(PlantedFault fault) {
  switch (fault) {
    case PlantedFault::none:
      return "none";
    case PlantedFault::hang:
      return "hang";
    case PlantedFault::illegal_address:
      return "illegal address";
    case PlantedFault::leak:
      return "leak";
    case PlantedFault::abort:
      return "abort";
    case PlantedFault::wrong_result:
      return "wrong result";
    case PlantedFault::out_of_bounds:
      return "out of bounds";
  }
  return "unknown";
}

std::string_view expected_status(PlantedFault fault) {
  switch (fault) {
    case PlantedFault::none:
      return "ok";
    case PlantedFault::hang:
      return "timeout";
    case PlantedFault::wrong_result:
      return "wrong result";
    case PlantedFault::out_of_bounds:
      return "guard overwritten";
    default:
      return "crash";
  }
}

PlantedFault planned_fault(std::uint64_t seed, const std::string& problem, std::size_t rank, std::size_t candidates) {
  if (candidates < 2) return PlantedFault::none;
  const std::string digest = hash_text(fmt::format("{} {}", seed, problem));
  const std::size_t first = std::strtoull(digest.substr(0, 8).c_str(), nullptr, 16);
  if ((rank + first) % kOneIn != 0) return PlantedFault::none;
  return kFaults[(first / kOneIn + rank / kOneIn) % kFaults.size()];
}

KernelSource plant_fault(KernelSource source, PlantedFault fault) {
  if (fault == PlantedFault::none) return source;
  const std::string_view output = output_name(source.text);
  const std::string after = statement_after(fault, output), before = statement_before(fault, output);
  const std::size_t end = line_begin(source.text, "}\n\n}  // namespace duet");
  source.text.insert(end, after);
  const std::size_t kernel = line_begin(source.text, "DUET_KERNEL(");
  const std::size_t body = source.text.find("{\n", kernel);
  if (body == std::string::npos) fail(ErrorKind::internal, "kernel '{}' has no body for a fault", source.entry);
  source.text.insert(body + 2, before);
  source.text.insert(0, fmt::format("{}{}\n", kMark, planted_fault_name(fault)));
  source.hash = hash_text(source.hash + '\n' + source.text);
  return source;
}

PlantedFault planted_fault(std::string_view source) {
  if (!source.starts_with(kMark)) return PlantedFault::none;
  source.remove_prefix(kMark.size());
  for (const PlantedFault fault : kFaults)
    if (source.starts_with(fmt::format("{}\n", planted_fault_name(fault)))) return fault;
  return PlantedFault::none;
}

void obey_planted_fault(const PlanKernel& kernel) {
  const PlantedFault fault = planted_fault(kernel.source);
  if (fault == PlantedFault::abort) std::abort();
  if (fault == PlantedFault::leak) take_all_memory();
}

}  // namespace duet
