/* The C API as a C program uses it, on the engine of c_api_fake.cpp. Prints the line that fails. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/duet_c.h"
#include "tests/runtime/c_api_fake.h"

static int failures = 0;

#define EXPECT(condition)                                                                                 \
  do {                                                                                                    \
    if (!(condition)) {                                                                                   \
      fprintf(stderr, "%s:%d: %s (last error: %s)\n", __FILE__, __LINE__, #condition, duet_last_error()); \
      ++failures;                                                                                         \
    }                                                                                                     \
  } while (0)

static int last_error_has(const char* text) { return strstr(duet_last_error(), text) != NULL; }

static void test_describes_tensors(const duet_engine* engine) {
  duet_tensor_info info;
  EXPECT(duet_input_count(engine) == 2);
  EXPECT(duet_output_count(engine) == 1);
  EXPECT(duet_input_info(engine, 0, &info) == DUET_OK);
  EXPECT(strcmp(info.name, "pixels") == 0 && info.dtype == DUET_F32);
  EXPECT(info.rank == 2 && info.shape[0] == 2 && info.shape[1] == 3);
  EXPECT(duet_output_info(engine, 0, &info) == DUET_OK);
  EXPECT(strcmp(info.name, "scores") == 0);
  EXPECT(duet_input_info(engine, 2, &info) == DUET_ERROR_USAGE && last_error_has("number 2"));
  EXPECT(strstr(duet_plan_differences(engine), "a plan of the tests") != NULL);
  EXPECT(strcmp(duet_plan_differences(NULL), "") == 0);
}

static void test_runs(duet_engine* engine) {
  const float pixels[6] = {1, 2, 3, 4, 5, 6};
  const int32_t ids[2] = {9, 99};
  const float expected[6] = {11, 14, 22, 104, 110, 124};
  float scores[6] = {0};
  uint16_t halves[6] = {0};
  int i;
  EXPECT(duet_run(engine) == DUET_ERROR_INPUT && last_error_has("'pixels' was never set"));
  EXPECT(duet_set_input(engine, "pixels", DUET_F32, pixels, sizeof pixels) == DUET_OK);
  EXPECT(duet_set_input(engine, "ids", DUET_I32, ids, sizeof ids) == DUET_OK);
  EXPECT(duet_run(engine) == DUET_OK);
  EXPECT(duet_get_output(engine, "scores", DUET_F32, scores, sizeof scores) == DUET_OK);
  for (i = 0; i < 6; ++i) EXPECT(fabsf(scores[i] - expected[i]) < 1e-6F);
  EXPECT(duet_get_output(engine, "scores", DUET_F16, halves, sizeof halves) == DUET_OK);
  EXPECT(halves[0] == 0x4980); /* 11 */
}

static void test_refuses_bad_calls(duet_engine* engine) {
  float data[6] = {0};
  const int32_t ids[2] = {0, 100};
  EXPECT(duet_set_input(engine, "pixels", DUET_F32, data, 20) == DUET_ERROR_INPUT &&
         last_error_has("24 bytes, not 20"));
  EXPECT(duet_set_input(engine, "image", DUET_F32, data, sizeof data) == DUET_ERROR_INPUT && last_error_has("'image'"));
  EXPECT(duet_set_input(engine, "ids", DUET_I32, ids, sizeof ids) == DUET_ERROR_INPUT && last_error_has("value 100"));
  EXPECT(duet_set_input(engine, "ids", DUET_F32, data, 8) == DUET_ERROR_INPUT);
  EXPECT(duet_set_input(engine, "pixels", 9, data, sizeof data) == DUET_ERROR_USAGE);
  EXPECT(duet_set_input(engine, NULL, DUET_F32, data, sizeof data) == DUET_ERROR_USAGE &&
         last_error_has("name is NULL"));
  EXPECT(duet_set_input(NULL, "pixels", DUET_F32, data, sizeof data) == DUET_ERROR_USAGE);
  EXPECT(duet_get_output(engine, "scores", DUET_I32, data, sizeof data) == DUET_ERROR_INPUT);
  EXPECT(duet_get_output(engine, "scores", DUET_F32, data, 4) == DUET_ERROR_INPUT);
  EXPECT(duet_get_output(engine, "scores", DUET_F32, NULL, 24) == DUET_ERROR_USAGE);
  EXPECT(duet_run(NULL) == DUET_ERROR_USAGE);
  EXPECT(duet_input_count(NULL) == 0);
}

static void test_open_fails_with_a_reason(void) {
  duet_engine* engine = (duet_engine*)&failures;
  EXPECT(duet_open("/nonexistent/clip.duet", "/nonexistent/model.safetensors", NULL, &engine) == DUET_ERROR_MISSING);
  EXPECT(engine == NULL);
  EXPECT(last_error_has("clip.duet"));
  EXPECT(duet_open(NULL, "w", NULL, &engine) == DUET_ERROR_USAGE);
  EXPECT(duet_open("p", "w", NULL, NULL) == DUET_ERROR_USAGE);
}

int main(void) {
  duet_engine* engine = duet_test_open_fake();
  test_describes_tensors(engine);
  test_runs(engine);
  test_refuses_bad_calls(engine);
  duet_close(engine);
  duet_close(NULL);
  test_open_fails_with_a_reason();
  if (failures == 0) puts("ok");
  return failures == 0 ? 0 : 1;
}
