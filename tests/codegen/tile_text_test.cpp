#include "codegen/tile_text.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "codegen/tile_fields.h"

namespace duet {
namespace {

TEST(TileText, IsTheInverseOfConfigText) {
  GemmTile gemm;
  gemm.block_m = 48;
  gemm.split_k = 7;
  for (const KernelTile& tile : {KernelTile(gemm), KernelTile(AttentionTile{.warps = 2, .block_kv = 16, .stages = 3}),
                                 KernelTile(HeadTile{}), KernelTile(SimilarityTile{.warps = 8})}) {
    const KernelTile parsed = parse_tile(kFamilyNames[tile.index()], config_text(tile));
    EXPECT_EQ(parsed.index(), tile.index());
    EXPECT_EQ(tile_parameters(parsed), tile_parameters(tile));
  }
}

TEST(TileText, NamesWhatItCannotRead) {
  const std::pair<const char*, const char*> bad[] = {
      {"gem", ""},          {"gemm", "block_q=1"},   {"gemm", "block_m"},
      {"gemm", "block_m="}, {"gemm", "block_m=64x"}, {"gemm", "block_m=99999999999"},
      {"norm", "=5"}};
  for (const auto& [family, text] : bad) EXPECT_THROW(parse_tile(family, text), Error) << family << " " << text;
}

}  // namespace
}  // namespace duet
