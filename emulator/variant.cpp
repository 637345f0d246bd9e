#include "emulator/variant.h"

#include <fmt/format.h>

namespace duet::emulator {
namespace {

const char* name_of(ThreadOrder order) {
  switch (order) {
    case ThreadOrder::in_order:
      return "in_order";
    case ThreadOrder::reverse:
      return "reverse";
    case ThreadOrder::random:
      return "random";
    case ThreadOrder::warp_ahead_forward:
      return "warp_ahead_forward";
    case ThreadOrder::warp_ahead_backward:
      return "warp_ahead_backward";
  }
  return "unknown";
}

const char* name_of(BlockOrder order) {
  switch (order) {
    case BlockOrder::in_order:
      return "in_order";
    case BlockOrder::reverse:
      return "reverse";
    case BlockOrder::random:
      return "random";
  }
  return "unknown";
}

}  // namespace

std::vector<RunVariant> standard_variants() {
  constexpr ThreadOrder kOrders[] = {ThreadOrder::in_order, ThreadOrder::reverse, ThreadOrder::random,
                                     ThreadOrder::warp_ahead_forward, ThreadOrder::warp_ahead_backward};
  constexpr BlockOrder kBlocks[] = {BlockOrder::in_order, BlockOrder::reverse, BlockOrder::random};
  std::vector<RunVariant> variants;
  for (const ThreadOrder order : kOrders) {
    for (const CopyLanding landing : {CopyLanding::at_issue, CopyLanding::at_wait}) {
      const std::size_t index = variants.size();
      variants.push_back({.order = order,
                          .landing = landing,
                          .poison = (index + index / 2) % 2 == 0 ? PoisonPattern::ones : PoisonPattern::finite,
                          .seed = 1 + index,
                          .blocks = kBlocks[index % 3]});
    }
  }
  return variants;
}

std::string to_string(const RunVariant& variant) {
  return fmt::format("{}, copies {}, poison {}, blocks {}, seed {}", name_of(variant.order),
                     variant.landing == CopyLanding::at_issue ? "at_issue" : "at_wait",
                     variant.poison == PoisonPattern::ones ? "ones" : "finite", name_of(variant.blocks), variant.seed);
}

}  // namespace duet::emulator
