/* An engine on a device of functions, for the C test. */
#pragma once

#include "runtime/duet_c.h"

#ifdef __cplusplus
extern "C" {
#endif
duet_engine* duet_test_open_fake(void);
#ifdef __cplusplus
}
#endif
