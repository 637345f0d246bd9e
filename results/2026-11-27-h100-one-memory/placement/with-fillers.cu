#include <cstdio>
#include <vector>
#include <map>
#include <cuda_runtime.h>
#define CK(x) do { cudaError_t e = (x); if (e != cudaSuccess) { printf("%s: %s\n", #x, cudaGetErrorString(e)); return 1; } } while (0)
__global__ void work(int* smids, int cycles, int real, int hold) {
  asm volatile("griddepcontrol.wait;" ::: "memory");
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
  int sm; asm volatile("mov.u32 %0, %%smid;" : "=r"(sm));
  if (threadIdx.x == 0 && blockIdx.x < real) smids[blockIdx.x] = sm;
  if (blockIdx.x >= real) { long long t = clock64(); while (clock64() - t < hold) __nanosleep(200); return; }
  long long t = clock64();
  while (clock64() - t < cycles) {}
}
struct K { int blocks, smem_kb, threads, cycles; };
int run(const char* name, std::vector<K> ks, bool pdl, int fill = 0, int hold = 0) {
  cudaStream_t s; CK(cudaStreamCreate(&s));
  std::vector<int*> d(ks.size());
  for (size_t i = 0; i < ks.size(); ++i) CK(cudaMalloc(&d[i], ks[i].blocks * 4));
  CK(cudaFuncSetAttribute(work, cudaFuncAttributeMaxDynamicSharedMemorySize, 227 * 1024));
  CK(cudaFuncSetAttribute(work, cudaFuncAttributePreferredSharedMemoryCarveout, 100));
  cudaGraph_t g; cudaGraphExec_t ge;
  CK(cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal));
  for (int r = 0; r < 10; ++r) for (size_t i = 0; i < ks.size(); ++i) {
    cudaLaunchConfig_t c{}; c.gridDim = fill > 0 ? (ks[i].blocks + fill - 1) / fill * fill : ks[i].blocks; c.blockDim = ks[i].threads; c.dynamicSmemBytes = ks[i].smem_kb * 1024; c.stream = s;
    cudaLaunchAttribute a[1]; a[0].id = cudaLaunchAttributeProgrammaticStreamSerialization; a[0].val.programmaticStreamSerializationAllowed = 1;
    c.attrs = a; c.numAttrs = pdl ? 1 : 0;
    CK(cudaLaunchKernelEx(&c, work, d[i], ks[i].cycles, ks[i].blocks, hold));
  }
  CK(cudaStreamEndCapture(s, &g)); CK(cudaGraphInstantiate(&ge, g, 0));
  cudaEvent_t e0, e1; cudaEventCreate(&e0); cudaEventCreate(&e1);
  for (int i = 0; i < 5; ++i) CK(cudaGraphLaunch(ge, s));
  CK(cudaStreamSynchronize(s));
  cudaEventRecord(e0, s); CK(cudaGraphLaunch(ge, s)); cudaEventRecord(e1, s); CK(cudaStreamSynchronize(s));
  float ms; cudaEventElapsedTime(&ms, e0, e1);
  printf("%s pdl %d: %.2f us a round\n", name, pdl, ms * 100);
  for (size_t i = 0; i < ks.size(); ++i) {
    std::vector<int> h(ks[i].blocks); CK(cudaMemcpy(h.data(), d[i], ks[i].blocks * 4, cudaMemcpyDeviceToHost));
    std::map<int,int> c; for (int v : h) ++c[v];
    std::map<int,int> n; for (auto& [sm, k] : c) ++n[k];
    printf("   %3d blocks of %3d KB:", ks[i].blocks, ks[i].smem_kb);
    for (auto& [k, sms] : n) printf("  %d SMs with %d", sms, k);
    printf("\n");
  }
  return 0;
}
int main() {
  const std::vector<K> layer = {{96, 82, 128, 7000}, {84, 65, 128, 5000}, {96, 74, 128, 5000}, {128, 82, 128, 8000}, {64, 86, 128, 12000}};
  const std::vector<K> uneven = {{96, 100, 128, 7000}, {84, 65, 128, 5000}, {96, 74, 128, 5000}, {128, 110, 128, 8000}, {64, 112, 128, 12000}};
  run("plain", layer, true);
  for (int hold : {0, 500, 1000, 1500, 2000, 3000, 4000}) { printf("hold %d cycles ", hold); run("layer", layer, true, 132, hold); }
  for (int hold : {1000, 2000, 3000}) { printf("hold %d cycles ", hold); run("uneven", uneven, true, 132, hold); }
}
