// AddressSanitizer's view of fibers. DUET_EMULATOR_ASAN marks a build of the emulator that is not instrumented itself
// (its own accesses are trusted, and it stays fast) but runs instrumented kernels.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define DUET_EMULATOR_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) && !defined(DUET_EMULATOR_ASAN)
#define DUET_EMULATOR_ASAN 1
#endif
#endif

// For functions that switch stacks or read other fibers' stacks.
#define DUET_NO_SANITIZE __attribute__((no_sanitize("address")))

#if defined(DUET_EMULATOR_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
