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

// 1 / (1 + 2^-x). Saturates to exactly 0 and 1: exp2 overflows to infinity, whose reciprocal is 0.
DUET_DEVICE float sigmoid2(float x) { return reciprocal_approx(1.0f + exp2_approx(-x)); }
// 1 / (1 + exp(-factor x)).
DUET_DEVICE float sigmoid(float x, float factor = 1.0f) { return sigmoid2(factor * kLog2E * x); }

// x Phi(x), the exact form.
DUET_DEVICE float gelu_erf(float x) {
  constexpr float kSqrtHalf = 0.70710678118654752f;
  return 0.5f * x * (1.0f + error_function(x * kSqrtHalf));
}

// x / 2 (1 + tanh(u)), u = sqrt(2 / pi) (x + 0.044715 x^3), computed as x sigmoid(2u): the same function, but without
// the cancellation of 1 + tanh(u) at negative x and the 11-bit accuracy of tanh.approx.
DUET_DEVICE float gelu_tanh(float x) {
  constexpr float kTwoSqrtTwoOverPi = 1.5957691216057308f;
  constexpr float kLinear = kTwoSqrtTwoOverPi * kLog2E, kCubic = 0.044715f * kLinear;
  return x * sigmoid2(x * fused_multiply_add(kCubic * x, x, kLinear));
}

DUET_DEVICE float quick_gelu(float x) { return x * sigmoid(x, 1.702f); }
DUET_DEVICE float silu(float x) { return x * sigmoid(x); }

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
