// Boards recognised from file trees laid out like theirs, and what is said of trees that are incomplete or disagree.
#include "runtime/board.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temp_dir.h"

namespace duet {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// The files of a board; an empty text leaves a file out.
struct Tree {
  std::string model;
  std::string compatible;
  long long memory_kib = 0;
  std::string mode;      // its name in nvpmodel.conf
  std::string gpu_node;  // of devfreq
  int max_clock_mhz = 0;
};

class BoardTest : public testing::Test {
 protected:
  void write(const std::string& file, const std::string& text) {
    const std::filesystem::path path = root_ / file;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }
  void write(const Tree& tree) {
    if (!tree.model.empty()) write("proc/device-tree/model", tree.model + '\0');
    if (!tree.compatible.empty()) write("proc/device-tree/compatible", tree.compatible + '\0');
    if (tree.memory_kib > 0) write("proc/meminfo", "MemTotal:       " + std::to_string(tree.memory_kib) + " kB\n");
    if (!tree.mode.empty()) {
      write("var/lib/nvpmodel/status", "pmode:0003 fmode:fanNull\n");
      write("etc/nvpmodel.conf", "< POWER_MODEL ID=0 NAME=OTHER >\n< POWER_MODEL ID=3 NAME=" + tree.mode + " >\n");
    }
    if (!tree.gpu_node.empty()) {
      write("sys/class/devfreq/" + tree.gpu_node + "/max_freq", std::to_string(tree.max_clock_mhz) + "000000\n");
    }
  }
  Board recognise(int sms = 0) const { return recognise_board(root_.path(), sms); }
  TempDir root_;
};

struct KnownBoard {
  Tree tree;
  int sms;
  std::string module, device, power_mode;
};

const KnownBoard kBoards[] = {
    {{"NVIDIA Orin Nano Developer Kit", "nvidia,p3768-0000+p3767-0004", 3'670'016, "10W", "17000000.gpu", 625},
     4,
     "Jetson Orin Nano 4GB",
     "jetson-orin-nano-4gb",
     "10W"},
    {{"NVIDIA Jetson Orin Nano Developer Kit", "nvidia,p3768-0000+p3767-0005", 7'801'000, "7W", "17000000.ga10b", 408},
     4,
     "Jetson Orin Nano 8GB",
     "jetson-orin-nano-8gb",
     "7W"},
    {{"NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super", "nvidia,p3768-0000+p3767-0003-super",
      7'801'000, "MAXN_SUPER", "17000000.gpu", 1020},
     8,
     "Jetson Orin Nano 8GB",
     "jetson-orin-nano-8gb",
     "MAXN_SUPER"},
    {{"NVIDIA Jetson Orin NX Engineering Reference Developer Kit", "nvidia,p3768-0000+p3767-0001", 7'600'000,
      "MODE_20W", "17000000.gpu", 408},
     8,
     "Jetson Orin NX 8GB",
     "jetson-orin-nx-8gb",
     "20W"},
    {{"NVIDIA Jetson Orin NX Engineering Reference Developer Kit", "nvidia,p3768-0000+p3767-0000", 16'000'000,
      "MODE_15W", "17000000.gpu", 612},
     4,
     "Jetson Orin NX 16GB",
     "jetson-orin-nx-16gb",
     "15W"},
    {{"NVIDIA Jetson AGX Orin Developer Kit", "nvidia,p3737-0000+p3701-0004", 31'000'000, "MODE_40W", "17000000.gpu",
      816},
     14,
     "Jetson AGX Orin 32GB",
     "jetson-agx-orin-32gb",
     "40W"},
    {{"NVIDIA Jetson AGX Orin Developer Kit", "nvidia,p3737-0000+p3701-0005", 64'300'000, "MAXN", "17000000.gpu", 1300},
     16,
     "Jetson AGX Orin 64GB",
     "jetson-agx-orin-64gb",
     "MAXN"},
    {{"NVIDIA Jetson AGX Orin Developer Kit", "nvidia,p3737-0000+p3701-0000", 64'300'000, "MODE_30W", "17000000.gpu",
      612},
     8,
     "Jetson AGX Orin 64GB",
     "jetson-agx-orin-64gb",
     "30W"},
    {{"NVIDIA Jetson AGX Orin Industrial", "nvidia,p3737-0000+p3701-0008", 61'000'000, "MAXN", "17000000.gpu", 1185},
     16,
     "Jetson AGX Orin Industrial",
     "jetson-agx-orin-industrial",
     "MAXN"},
    {{"NVIDIA Jetson AGX Thor Developer Kit", "nvidia,p3971-0080+p3834-0008", 128'000'000, "120W", "gpu-gpc-0", 1570},
     20,
     "Jetson Thor T5000",
     "jetson-thor-t5000",
     "120W"},
    {{"NVIDIA Jetson Xavier NX Developer Kit", "nvidia,p3509-0000+p3668-0000", 7'900'000, "MODE_15W_6CORE",
      "17000000.gv11b", 1100},
     6,
     "Jetson Xavier NX",
     "jetson-xavier-nx",
     "15W_6CORE"},
};

TEST_F(BoardTest, KnowsEveryModule) {
  for (const KnownBoard& known : kBoards) {
    SCOPED_TRACE(known.tree.model + " " + known.tree.compatible);
    std::filesystem::remove_all(root_.path());
    write(known.tree);
    const Board board = recognise(known.sms);
    EXPECT_TRUE(board.jetson);
    EXPECT_EQ(board.model, known.tree.model);
    EXPECT_EQ(board.module, known.module);
    EXPECT_EQ(board.device, known.device);
    EXPECT_EQ(board.power_mode, known.power_mode);
    EXPECT_EQ(board.sm_count, known.sms);
    EXPECT_EQ(board.max_sm_clock_mhz, known.tree.max_clock_mhz);
    EXPECT_EQ(board.memory_bytes, known.tree.memory_kib * 1024);
    EXPECT_THAT(board.unknown, IsEmpty());
    EXPECT_THAT(board.contradictions, IsEmpty());
    EXPECT_TRUE(std::filesystem::exists(std::filesystem::path(DUET_SOURCE_DIR) / "devices" / (board.device + ".yaml")));
  }
}

TEST_F(BoardTest, AnotherMachineIsNoJetsonAndNothingIsMissing) {
  write("proc/meminfo", "MemTotal: 131072000 kB\n");
  Board board = recognise(132);
  EXPECT_FALSE(board.jetson);
  EXPECT_EQ(board.module, "");
  EXPECT_THAT(board.unknown, IsEmpty());
  write("proc/device-tree/compatible", "raspberrypi,5-model-b");
  write("proc/device-tree/model", "Raspberry Pi 5 Model B");
  EXPECT_FALSE(recognise().jetson);
}

TEST_F(BoardTest, TheLiveSmCountWinsOverTheTable) {
  write(Tree{"NVIDIA Jetson AGX Orin Developer Kit", "nvidia,p3737-0000+p3701-0000", 31'000'000, "MAXN", "17000000.gpu",
             1300});
  Board board = recognise(16);
  EXPECT_EQ(board.device, "jetson-agx-orin-64gb");  // 16 SMs beside 32 GB
  EXPECT_THAT(board.contradictions, ElementsAre(HasSubstr("has 64 GiB of memory")));
  EXPECT_EQ(recognise(14).device, "jetson-agx-orin-32gb");

  write(Tree{"NVIDIA Orin Nano Developer Kit", "nvidia,p3767-0004", 7'801'000, {}, {}, 0});
  board = recognise(8);
  EXPECT_EQ(board.device, "jetson-orin-nano-8gb");
  EXPECT_THAT(board.contradictions, ElementsAre("Jetson Orin Nano 4GB has 4 SMs and the GPU here has 8"));

  board = recognise(40);  // more than any of its family
  EXPECT_EQ(board.device, "");
  EXPECT_EQ(board.module, "NVIDIA Orin Nano Developer Kit");
  EXPECT_FALSE(board.contradictions.empty());
}

TEST_F(BoardTest, FilesThatDisagreeAreNamed) {
  write(Tree{"NVIDIA Jetson AGX Orin Developer Kit", "nvidia,p3768-0000+p3767-0000", 7'600'000, "MAXN", "17000000.gpu",
             918});
  const Board board = recognise(8);
  EXPECT_EQ(board.device, "jetson-orin-nx-16gb");
  EXPECT_THAT(board.contradictions, ElementsAre(AllOf(HasSubstr("16 GiB"), HasSubstr("proc/meminfo shows 7.2")),
                                                AllOf(HasSubstr("AGX Orin"), HasSubstr("Jetson Orin NX 16GB"))));
}

TEST_F(BoardTest, MissingFilesAreNamed) {
  write("proc/device-tree/model", "NVIDIA Jetson AGX Thor Developer Kit");
  const Board board = recognise();
  EXPECT_TRUE(board.jetson);
  EXPECT_EQ(board.device, "");
  EXPECT_EQ(board.module, "NVIDIA Jetson AGX Thor Developer Kit");
  for (const char* named : {"proc/device-tree/compatible", "proc/meminfo", "SM count", "var/lib/nvpmodel/status",
                            "devfreq", "Jetson Thor T5000 or Jetson Thor T4000"}) {
    EXPECT_THAT(board.unknown, Contains(HasSubstr(named)));
  }
}

TEST_F(BoardTest, MemoryAndSmsTellTheModuleWhereThePartIsUnknown) {
  write(Tree{"NVIDIA Jetson AGX Thor Developer Kit", "nvidia,tegra264", 64'000'000, "MAXN", "gpu-gpc-0", 1530});
  const Board board = recognise(12);
  EXPECT_EQ(board.device, "jetson-thor-t4000");
  EXPECT_THAT(board.unknown, ElementsAre(HasSubstr("names no part that is known")));
  EXPECT_EQ(recognise(20).device, "jetson-thor-t5000");
}

TEST_F(BoardTest, AnUnknownModuleKeepsTheBoardsName) {
  write("proc/device-tree/compatible", "nvidia,tegra999");
  EXPECT_EQ(recognise().module, "Jetson");
  write("proc/device-tree/model", "NVIDIA Jetson Next");
  EXPECT_EQ(recognise().module, "NVIDIA Jetson Next");
}

TEST_F(BoardTest, NonsenseIsUnknown) {
  write("proc/device-tree/compatible", "nvidia,tegra234" + std::string(5000, '\xff'));
  write("proc/device-tree/model", "NVIDIA\x1b[31m Orin\nand more");
  write("proc/meminfo", "MemTotal: many kB\n");
  write("var/lib/nvpmodel/status", "pmode:");
  const Board board = recognise(8);
  EXPECT_EQ(board.model, "NVIDIA");
  EXPECT_EQ(board.memory_bytes, 0);
  EXPECT_THAT(board.unknown, Contains(HasSubstr("not understood")));
  write("proc/meminfo", "MemTotal:");
  EXPECT_EQ(recognise(8).memory_bytes, 0);
}

}  // namespace
}  // namespace duet
