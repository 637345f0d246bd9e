// Activations on one fp32 value. Shared by the pointwise kernels and the GEMM epilogue, so that a fused and an unfused
// graph apply the very same function.
#pragma once

#include "templates/device/intrinsics.cuh"

namespace duet {

constexpr float kLog2E = 1.4426950408889634f;

// What a mask writes. A function, because NVRTC has no constant for it.
DUET_DEVICE float minus_infinity() { return bits_to_float(0xff800000u); }

// exp(x), to 2 ulp; exp(-inf) is exactly 0.
DUET_DEVICE float exp_approx(float x) { return exp2_approx(x * kLog2E); }

// x Phi(x), the exact form.
DUET_DEVICE float gelu_erf(float x) {
  constexpr float kSqrtHalf = 0.70710678118654752f;
  return 0.5f * x * (1.0f + error_function(x * kSqrtHalf));
}

// x sigmoid(2u) = x / 2 (1 + tanh(u)): one special function instead of two, of which an SM does 16 a clock, and half of
// the other instructions. tanh.approx is off by 8e-6 at most on sm_90 (results/2026-11-28-h100-ends-of-tiles), by 2^-11
// as PTX promises it: below what rounding to 16 bits does to x.
DUET_DEVICE float times_sigmoid(float x, float u) {
  const float half = 0.5f * x;
  return fused_multiply_add(half, tanh_approx(u), half);
}

// u = sqrt(2 / pi) (x + 0.044715 x^3).
DUET_DEVICE float gelu_tanh(float x) {
  constexpr float kLinear = 0.79788456080286536f, kCubic = 0.044715f * kLinear;
  return times_sigmoid(x, x * fused_multiply_add(kCubic * x, x, kLinear));
}

DUET_DEVICE float quick_gelu(float x) { return times_sigmoid(x, 0.5f * 1.702f * x); }
DUET_DEVICE float silu(float x) { return times_sigmoid(x, 0.5f * x); }

template <Activation kAct>
DUET_DEVICE float activate(float x) {
  if constexpr (kAct == Activation::gelu) {
    return gelu_erf(x);
  } else if constexpr (kAct == Activation::gelu_tanh) {
    return gelu_tanh(x);
  } else if constexpr (kAct == Activation::quick_gelu) {
    return quick_gelu(x);
  } else if constexpr (kAct == Activation::silu) {
    return silu(x);
  } else {
    static_assert(kAct == Activation::none, "unknown activation");
    return x;
  }
}

}  // namespace duet
