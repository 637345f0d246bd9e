// Small kernels as PTX, which the driver compiles: device tests need no NVRTC.
#pragma once

#include <cstring>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "runtime/plan.h"

namespace duet {

// Each kernel takes one parameter block, as generated kernels do.
inline constexpr std::string_view kPtx = R"ptx(
.version 7.0
.target sm_80
.address_size 64

// out[i] = in[i] + value for i < count
.visible .entry add_value(.param .align 8 .b8 p[24])
{
  .reg .pred %q;
  .reg .b32 %r<6>;
  .reg .b64 %d<4>;
  ld.param.u64 %d0, [p];
  ld.param.u64 %d1, [p+8];
  ld.param.u32 %r0, [p+16];
  ld.param.u32 %r1, [p+20];
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %ntid.x;
  mov.u32 %r4, %tid.x;
  mad.lo.u32 %r2, %r2, %r3, %r4;
  setp.ge.u32 %q, %r2, %r0;
  @%q bra done;
  mul.wide.u32 %d2, %r2, 4;
  add.u64 %d1, %d1, %d2;
  ld.global.u32 %r5, [%d1];
  add.u32 %r5, %r5, %r1;
  add.u64 %d0, %d0, %d2;
  st.global.u32 [%d0], %r5;
done:
  ret;
}

// Waits for `cycles` clocks, then data[0] = 2 * data[0] + value: the order of launches shows in the result.
.visible .entry slow_step(.param .align 8 .b8 p[16])
{
  .reg .pred %q;
  .reg .b32 %r<4>;
  .reg .b64 %d<5>;
  ld.param.u64 %d0, [p];
  ld.param.u32 %r0, [p+8];
  ld.param.u32 %r1, [p+12];
  cvt.u64.u32 %d1, %r0;
  mov.u64 %d2, %clock64;
again:
  mov.u64 %d3, %clock64;
  sub.u64 %d4, %d3, %d2;
  setp.lt.u64 %q, %d4, %d1;
  @%q bra again;
  ld.global.u32 %r2, [%d0];
  shl.b32 %r2, %r2, 1;
  add.u32 %r2, %r2, %r1;
  st.global.u32 [%d0], %r2;
  ret;
}

// data[block] = the SM it ran on, after `cycles` clocks: a full grid spreads over all SMs there are.
.visible .entry record_sm(.param .align 8 .b8 p[16])
{
  .reg .pred %q;
  .reg .b32 %r<3>;
  .reg .b64 %d<6>;
  ld.param.u64 %d0, [p];
  ld.param.u32 %r0, [p+8];
  cvt.u64.u32 %d1, %r0;
  mov.u64 %d2, %clock64;
again:
  mov.u64 %d3, %clock64;
  sub.u64 %d4, %d3, %d2;
  setp.lt.u64 %q, %d4, %d1;
  @%q bra again;
  mov.u32 %r1, %ctaid.x;
  mov.u32 %r2, %smid;
  mul.wide.u32 %d5, %r1, 4;
  add.u64 %d0, %d0, %d5;
  st.global.u32 [%d0], %r2;
  ret;
}

// data[0] = what it reads back from byte `offset` of dynamic shared memory.
.extern .shared .align 16 .b8 smem[];
.visible .entry shared_round_trip(.param .align 8 .b8 p[16])
{
  .reg .b32 %r<5>;
  .reg .b64 %d<2>;
  ld.param.u64 %d0, [p];
  ld.param.u32 %r0, [p+8];
  ld.param.u32 %r1, [p+12];
  mov.u32 %r2, smem;
  add.u32 %r2, %r2, %r0;
  st.volatile.shared.u32 [%r2], %r1;
  ld.volatile.shared.u32 %r3, [%r2];
  st.global.u32 [%d0], %r3;
  ret;
}
)ptx";

// `arch` is the device's: the driver makes the PTX fit.
inline PlanKernel ptx_kernel(const std::string& entry, const std::string& arch, int threads, int smem_bytes = 0) {
  PlanKernel kernel;
  kernel.entry = entry;
  kernel.family = "test";
  kernel.config_text = "PTX";
  kernel.source = "// " + entry;
  kernel.threads = threads;
  kernel.smem_bytes = smem_bytes;
  KernelImage image;
  image.arch = arch;
  image.cuda_major = 12;
  image.compiler = "PTX";
  image.bytes.resize(kPtx.size() + 1);  // the driver wants the text terminated
  std::memcpy(image.bytes.data(), kPtx.data(), kPtx.size());
  image.hash = hash_bytes(image.bytes);
  kernel.images.push_back(image);
  return kernel;
}

}  // namespace duet
