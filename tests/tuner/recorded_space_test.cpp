#include "tuner/recorded_space.h"

#include <gtest/gtest.h>

#include "codegen/candidate.h"

namespace duet {
namespace {

CandidateRecord tried(const std::string& config, double median_us) {
  CandidateRecord record;
  record.config = config;
  record.status = "ok";
  record.provenance = Provenance::measured;
  record.registers = 128;
  record.smem_bytes = 49152;
  record.threads = 64;
  record.blocks_per_sm = 3;
  record.median_us = median_us;
  record.cost_s = 0.25;
  return record;
}

CandidateRecord failed(const std::string& config, const std::string& status) {
  CandidateRecord record = tried(config, 0);
  record.status = status;
  return record;
}

TEST(RecordedSpace, IsATableInTheOrderOfItsParameters) {
  const std::vector<CandidateRecord> records{tried("block_m=64 stages=3", 6.5), tried("block_m=8 stages=12", 12.25),
                                             failed("block_m=64 stages=2", "wrong result")};
  const RecordedSpace space = make_recorded_space(records);
  EXPECT_EQ(space.timed, 2);
  EXPECT_EQ(recorded_space_csv(space),
            "block_m,stages,time_ms,cost_s,status,registers,spill_bytes,smem_bytes,block_threads,blocks_per_sm\n"
            "8,12,0.01225,0.25,ok,128,0,49152,64,3\n"
            "64,2,,0.25,wrong result,128,0,49152,64,3\n"
            "64,3,0.0065,0.25,ok,128,0,49152,64,3\n");
}

// Pointwise tiles have a parameter 'threads': what is said of a candidate must not take its name.
TEST(RecordedSpace, NoTwoColumnsHaveOneName) {
  const std::string facts = recorded_space_csv({});
  const auto is_column = [&](const std::string& name) {
    return ("," + facts).find("," + name + ",") != std::string::npos;
  };
  EXPECT_TRUE(is_column("status"));
  for (const KernelTile& tile :
       {KernelTile(GemmTile{}), KernelTile(AttentionTile{}), KernelTile(NormTile{}), KernelTile(PointwiseTile{}),
        KernelTile(EmbeddingTile{}), KernelTile(HeadTile{}), KernelTile(SimilarityTile{})}) {
    for (const auto& [name, value] : tile_parameters(tile)) EXPECT_FALSE(is_column(name)) << name;
  }
}

TEST(RecordedSpace, WhatWasNotRecordedIsEmpty) {
  CandidateRecord record = tried("stages=3", 6.5);  // as a store of schema 3 gives it
  record.threads = record.blocks_per_sm = 0;
  record.cost_s = 0;
  EXPECT_EQ(recorded_space_csv(make_recorded_space({&record, 1})),
            "stages,time_ms,cost_s,status,registers,spill_bytes,smem_bytes,block_threads,blocks_per_sm\n"
            "3,0.0065,,ok,128,0,49152,,\n");
}

// An empty time means that the configuration failed: what was never timed must not look like it.
TEST(RecordedSpace, HoldsOnlyWhatTheDeviceSaid) {
  std::vector<CandidateRecord> records{tried("stages=3", 0), tried("stages=4", 7), tried("stages=5", 7),
                                       failed("stages=6", "crash")};
  records[2].provenance = Provenance::predicted;
  records[3].provenance = Provenance::emulated;
  const RecordedSpace space = make_recorded_space(records);
  ASSERT_EQ(space.rows.size(), 1u);
  EXPECT_EQ(space.rows[0].values, std::vector<std::int64_t>{4});
  EXPECT_TRUE(make_recorded_space({}).rows.empty());
}

TEST(RecordedSpace, TheLastRecordOfAConfigurationCounts) {
  const std::vector<CandidateRecord> records{tried("stages=3", 6.5), failed("stages=3", "crash"),
                                             tried("stages=3", 5.5)};
  const RecordedSpace space = make_recorded_space(records);
  ASSERT_EQ(space.rows.size(), 1u);
  EXPECT_EQ(space.rows[0].candidate.median_us, 5.5);
}

TEST(RecordedSpace, OtherParametersAreLeftOut) {
  std::vector<CandidateRecord> records{tried("block 64x64x32", 1), tried("stages=3", 2),
                                       tried("stages=2 split_k=1", 3)};
  for (const char* unreadable : {"", " ", "stages=", "stages=3x", "=3", "stages=99999999999999999999", "a,b=1"})
    records.push_back(tried(unreadable, 4));
  const RecordedSpace space = make_recorded_space(records);
  EXPECT_EQ(space.parameters, (std::vector<std::string>{"stages", "split_k"}));
  EXPECT_EQ(space.rows.size(), 1u);
}

TEST(RecordedSpace, AHostileStatusStaysInItsCell) {
  const CandidateRecord record = failed("stages=3", "a,\"b\"\nc");
  EXPECT_NE(recorded_space_csv(make_recorded_space({&record, 1})).find(",\"a,\"\"b\"\"\nc\",128"), std::string::npos);
}

TEST(RecordedSpace, FileNamesAreReadableAndStayInTheirFolder) {
  EXPECT_EQ(recorded_space_file_name("gemm f16 m=50 n=768"), "gemm_f16_m=50_n=768");
  EXPECT_EQ(recorded_space_file_name("NVIDIA H100 80GB HBM3 sm_90 132 SMs 1980 MHz, 700 W"),
            "NVIDIA_H100_80GB_HBM3_sm_90_132_SMs_1980_MHz,_700_W");
  const std::string up = recorded_space_file_name("../../x");
  EXPECT_EQ(up.find('/'), std::string::npos);
  EXPECT_NE(up.front(), '.');
  EXPECT_NE(up, recorded_space_file_name("..\\../x"));
  const std::string longest(500, 'a');
  EXPECT_LT(recorded_space_file_name(longest).size(), 200u);
  EXPECT_NE(recorded_space_file_name(longest), recorded_space_file_name(longest + "a"));
}

}  // namespace
}  // namespace duet
