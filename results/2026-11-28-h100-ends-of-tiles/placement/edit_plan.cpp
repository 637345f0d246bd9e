#include "runtime/plan_store.h"
#include <cstdio>
#include <cstdlib>
#include <string>
using namespace duet;
int main(int n, char** a) {
  Plan plan = PlanStore::open(a[1], PlanStore::Mode::read_only).load(std::atoi(a[2]));
  for (int i = 4; i + 1 < n; i += 2)
    for (PlanKernel& k : plan.kernels)
      if (k.entry.find(a[i]) != std::string::npos && k.smem_bytes < std::atoi(a[i + 1])) { std::printf("%s %d -> %s\n", k.entry.c_str(), k.smem_bytes, a[i + 1]); k.smem_bytes = std::atoi(a[i + 1]); }
  PlanStore::open(a[3], PlanStore::Mode::tune).put(plan);
}
