#include "codegen/reference_choices.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "tests/support/temp_dir.h"

namespace duet {
namespace {

constexpr const char* kProblem = "gemm f16 m=50 n=768 k=768 bias residual";

ReferenceChoices some_choices() {
  return {.arch = "sm_90",
          .sm_count = 132,
          .from = "clip-vit-b32, batch 1, f16, NVIDIA H100 80GB HBM3",
          .choices = {{.problem = kProblem,
                       .tile = "block_m=16 block_n=32 block_k=64 warps_m=1 warps_n=1 warps_k=4 stages=8 split_k=1 "
                               "loader=2"},
                      {.problem = "attention f16 batch=1 heads=12 queries=50 keys=50 head_dim=64",
                       .tile = "warps=2 block_kv=64 stages=2 warps_kv=1 min_blocks=1"}}};
}

std::string refusal(const std::string& text) {
  try {
    parse_reference_choices("choices/x.yaml", text);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::input);
    return error.what();
  }
  return "";
}

TEST(ReferenceChoices, AreReadAsTheyWereWritten) {
  const std::string text = reference_choices_yaml(some_choices());
  const ReferenceChoices read = parse_reference_choices("x.yaml", text);
  EXPECT_EQ(read.arch, "sm_90");
  EXPECT_EQ(read.sm_count, 132);
  ASSERT_EQ(read.choices.size(), 2u);
  EXPECT_EQ(read.choices[0].problem, kProblem);
  EXPECT_EQ(read.choices[1].tile, some_choices().choices[1].tile);
  EXPECT_EQ(reference_choices_yaml(read), text);
}

TEST(ReferenceChoices, WhatItIsFromMayHoldQuotes) {
  ReferenceChoices choices = some_choices();
  choices.from = "my \"model\" \\ of a long name that takes more than a line of sixty characters, batch 1";
  EXPECT_EQ(parse_reference_choices("x.yaml", reference_choices_yaml(choices)).from, choices.from);
}

TEST(ReferenceChoices, ATileWithoutALaterParameterIsWrittenOut) {
  ReferenceChoices choices = some_choices();
  choices.choices[1].tile = "warps=2 block_kv=64 stages=2";
  EXPECT_EQ(parse_reference_choices("x.yaml", reference_choices_yaml(choices)).choices[1].tile,
            some_choices().choices[1].tile);
}

TEST(ReferenceChoices, RefusalsNameFileAndLine) {
  const std::string good = reference_choices_yaml(some_choices());
  const auto changed = [&](const std::string& what, const std::string& by) {
    std::string text = good;
    text.replace(text.find(what), what.size(), by);
    return refusal(text);
  };
  EXPECT_EQ(changed("duet_choices: 1", "duet_choices: 2"),
            "choices/x.yaml:2: unknown version of the format: this Duet reads duet_choices: 1");
  EXPECT_EQ(changed("sm_count: 132", "sm_count: none"),
            "choices/x.yaml:4: sm_count: 'none' is no whole number from 1 to 10000");
  EXPECT_EQ(changed("arch: sm_90", "arhc: sm_90"), "choices/x.yaml:3: unknown key 'arhc'; did you mean 'arch'?");
  EXPECT_NE(changed("block_m=16", "block_x=16").find("'block_x=16' is no parameter of the family gemm"),
            std::string::npos);
  EXPECT_NE(changed("gemm f16", "gems f16").find("choices/x.yaml:7: "), std::string::npos);
  EXPECT_NE(changed("    tile:", "    title:").find("unknown key 'title'"), std::string::npos);
  EXPECT_NE(refusal("duet_choices: 1\narch: sm_90\nsm_count: 1\nfrom: x\n").find("'choices' is missing"),
            std::string::npos);
  EXPECT_NE(refusal("duet_choices: 1\narch: sm_90\nsm_count: 1\nfrom: x\nchoices: no\n").find("a list of problems"),
            std::string::npos);
}

TEST(ReferenceChoices, AreFoundByArchitectureAndSize) {
  const TempDir folder;
  publish_file(folder / "a.yaml", reference_choices_yaml(some_choices()));
  ReferenceChoices other = some_choices();
  other.sm_count = 16;
  other.choices.resize(1);
  publish_file(folder / "b.yaml", reference_choices_yaml(other));
  publish_file(folder / "notes.txt", "no choices");
  EXPECT_EQ(find_reference_choices(folder.path(), "sm_90", 132).size(), 2u);
  EXPECT_EQ(find_reference_choices(folder.path(), "sm_90", 16).size(), 1u);
  EXPECT_TRUE(find_reference_choices(folder.path(), "sm_87", 16).empty());
  EXPECT_TRUE(find_reference_choices(folder / "none", "sm_90", 132).empty());
}

TEST(ReferenceChoices, ThoseThatShipAreRead) {
  const std::filesystem::path folder = std::filesystem::path(DUET_SOURCE_DIR) / "choices";
  EXPECT_GE(find_reference_choices(folder, "sm_90", 132).size(), 16u);
}

}  // namespace
}  // namespace duet
