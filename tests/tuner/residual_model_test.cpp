#include "tuner/search/residual_model.h"

#include <gtest/gtest.h>

#include <cmath>

namespace duet {
namespace {

// 10 x 10 configurations, in order: a * 10 + b.
SearchPoints ten_by_ten() {
  SearchPoints points;
  for (int a = 0; a < 10; ++a)
    for (int b = 0; b < 10; ++b) points.push_back({.parameters = {{"a", a}, {"b", b}}});
  return points;
}

TEST(ResidualModel, NeighboursAreOffAlike) {
  const EncodedSpace space(ten_by_ten());
  const std::vector<double> log_predicted(space.size(), 1.0);
  ResidualModel model(space, log_predicted);
  model.fit(std::vector<ResidualSample>{{.index = 0, .log_ratio = 0.4}, {.index = 99, .log_ratio = 0}});
  EXPECT_NEAR(model.predict(0).mean, 0.4, 0.02);
  EXPECT_NEAR(model.predict(99).mean, 0, 0.02);
  EXPECT_GT(model.predict(1).mean, model.predict(98).mean + 0.05);
  EXPECT_LT(model.predict(0).deviation, 0.03);
  EXPECT_GT(model.predict(1).deviation, model.predict(0).deviation);
  EXPECT_GT(model.predict(44).deviation, model.predict(1).deviation);
}

// Three times too fast everywhere: one result tells, and the order stays.
TEST(ResidualModel, WhatEverythingIsOffByIsLearnedAtOnce) {
  const EncodedSpace space(ten_by_ten());
  std::vector<double> log_predicted;
  for (std::size_t i = 0; i < space.size(); ++i) log_predicted.push_back(0.01 * static_cast<double>(i));
  ResidualModel model(space, log_predicted);
  model.fit(std::vector<ResidualSample>{{.index = 50, .log_ratio = std::log(3.0)}});
  EXPECT_NEAR(model.predict(99).mean, std::log(3.0), 0.05);
  EXPECT_LT(log_predicted[0] + model.predict(0).mean, log_predicted[99] + model.predict(99).mean);
}

// Predicted times fall where the real ones rise.
TEST(ResidualModel, AModelThatSaysTheOppositeLosesItsSay) {
  const EncodedSpace space(ten_by_ten());
  std::vector<double> log_predicted;
  for (std::size_t i = 0; i < space.size(); ++i) log_predicted.push_back(-0.02 * static_cast<double>(i));
  ResidualModel model(space, log_predicted);
  std::vector<ResidualSample> samples;
  for (const std::size_t index : {95U, 75U, 60U, 45U, 30U})
    samples.push_back({.index = index, .log_ratio = -2 * log_predicted[index]});
  model.fit(samples);
  EXPECT_LT(log_predicted[5] + model.predict(5).mean, log_predicted[99] + model.predict(99).mean);
}

}  // namespace
}  // namespace duet
