/* The C API of the runtime: open a plan from a .duet file, set inputs, run, read outputs.
 *
 *   duet_engine* engine = NULL;
 *   if (duet_open("clip.duet", "model.safetensors", NULL, &engine) != DUET_OK) return report(duet_last_error());
 *   duet_set_input(engine, "pixels", DUET_F32, pixels, pixels_bytes);
 *   duet_set_input(engine, "input_ids", DUET_I32, ids, ids_bytes);
 *   duet_run(engine);
 *   duet_get_output(engine, "image_embeds", DUET_F32, embeds, embeds_bytes);
 *   duet_close(engine);
 *
 * An engine is used by one thread at a time. Tensors are dense and row-major, in host memory. */
#ifndef DUET_C_H
#define DUET_C_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Apart from DUET_OK these are the exit codes of the duet command. */
typedef enum duet_status {
  DUET_OK = 0,
  DUET_ERROR_INTERNAL = 1, /* a defect of Duet */
  DUET_ERROR_USAGE = 2,    /* a null pointer, an unknown number */
  DUET_ERROR_INPUT = 3,    /* a file or tensor that is malformed or does not fit */
  DUET_ERROR_MISSING = 4,  /* no driver, no such file, no plan for this device */
  DUET_ERROR_DEVICE = 5,   /* the GPU or its driver failed */
  DUET_ERROR_NO_RESULT = 6 /* the work ran, and nothing valid came of it */
} duet_status;

typedef enum duet_dtype { DUET_F32 = 0, DUET_F16 = 1, DUET_BF16 = 2, DUET_I32 = 3 } duet_dtype;

typedef struct duet_engine duet_engine;

typedef struct duet_options {
  int gpu;             /* number of the GPU */
  int batch;           /* 0: the smallest there is for this module */
  const char* variant; /* for example "fused-streams"; NULL: the one that tuning preferred, else the fastest */
} duet_options;

enum { DUET_MAX_RANK = 8 };
typedef struct duet_tensor_info {
  const char* name; /* lives as long as the engine */
  duet_dtype dtype;
  int rank;
  int64_t shape[DUET_MAX_RANK];
} duet_tensor_info;

/* Why the last call on this thread failed: one line, never NULL. Stays until the next failure on this thread. */
const char* duet_last_error(void);

/* Loads the plan that suits the GPU best in the power mode it is in, and the weights (a file, or a folder of shards).
 * `options` may be NULL: GPU 0, any batch, any variant. On failure *engine is NULL. */
duet_status duet_open(const char* plan_path, const char* weights_path, const duet_options* options,
                      duet_engine** engine);
/* NULL is allowed. */
void duet_close(duet_engine* engine);

/* In what the device that the plan was made for differs from this one as it was when it was opened, for example "same
 * module, power mode 15W instead of 25W": another plan may be faster here. Empty when in nothing, or `engine` is NULL;
 * lives as long as the engine. */
const char* duet_plan_differences(const duet_engine* engine);

/* 0 when `engine` is NULL. */
size_t duet_input_count(const duet_engine* engine);
size_t duet_output_count(const duet_engine* engine);
duet_status duet_input_info(const duet_engine* engine, size_t index, duet_tensor_info* info);
duet_status duet_output_info(const duet_engine* engine, size_t index, duet_tensor_info* info);

/* `dtype`, here and below, is a duet_dtype; any other number is DUET_ERROR_USAGE.
 * `data` is a dense tensor of the input's shape, in any floating type for floating inputs and i32 for integer ones;
 * `bytes` is its size, which is checked, as are integer values. */
duet_status duet_set_input(duet_engine* engine, const char* name, int dtype, const void* data, size_t bytes);
/* Runs once and waits. */
duet_status duet_run(duet_engine* engine);
/* Writes a dense tensor of the output's shape, converted to `dtype`; `bytes` is the size of `data`, which must be
 * exact. */
duet_status duet_get_output(const duet_engine* engine, const char* name, int dtype, void* data, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
