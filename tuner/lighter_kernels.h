// Plans whose kernels read less from L2 and are slower alone: where towers run beside each other they share what L2
// gives, and one by one each exchange is lost in the noise.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tuner/finalists.h"
#include "tuner/plan_builder.h"

namespace duet {

// Whose kernels are exchanged, in this order: "", of all towers at once, then, where there are two or more, of each
// again, since the one that the other waits for has less to give. `tower_of`: of each problem; "joint" is none.
std::vector<std::string> towers_to_lighten(std::span<const std::string> tower_of);

// The lightest kernel of a problem that is at most so many times slower than its fastest; null where nothing was timed.
using LightestKernel = std::function<const KernelWinner*(std::size_t problem, double slower)>;

// `chosen`, a kernel for each problem, and what differs from it and from each other when the problems of `tower` have
// lighter ones, with more and more time allowed for them.
std::vector<std::vector<ChosenKernel>> lighter_plans(const std::vector<ChosenKernel>& chosen,
                                                     std::span<const std::string> tower_of, const std::string& tower,
                                                     const LightestKernel& lightest);

}  // namespace duet
