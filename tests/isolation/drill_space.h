// A space of enough candidates of add_graph()'s kernel that every kind of fault is planted in some.
#pragma once

#include "tests/tuner/small_graphs.h"

namespace duet {

inline SearchSpace drill_space() {
  SearchSpace space = small_space();
  space.name = "drill";
  space.ranges["pointwise"] = {{"threads", {32, 64, 96, 128, 160, 192, 256, 384, 512, 640}},
                               {"vectors_per_thread", {1, 2, 4}}};
  return space;
}

}  // namespace duet
