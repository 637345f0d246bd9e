// The tunable parameters of every kernel family by name: one table for enumeration, records, search spaces and source.
#pragma once

#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "codegen/candidate.h"
#include "templates/image_config.h"
#include "templates/stream_config.h"

namespace duet {

template <class Tile>
struct TileField {
  std::string_view name;
  int Tile::*member;
};

// In declaration order.
constexpr auto tile_fields(const GemmTile*) {
  return std::array<TileField<GemmTile>, 9>{{{"block_m", &GemmTile::block_m},
                                             {"block_n", &GemmTile::block_n},
                                             {"block_k", &GemmTile::block_k},
                                             {"warps_m", &GemmTile::warps_m},
                                             {"warps_n", &GemmTile::warps_n},
                                             {"warps_k", &GemmTile::warps_k},
                                             {"stages", &GemmTile::stages},
                                             {"split_k", &GemmTile::split_k},
                                             {"loader", &GemmTile::loader}}};
}
constexpr auto tile_fields(const AttentionTile*) {
  return std::array<TileField<AttentionTile>, 5>{{{"warps", &AttentionTile::warps},
                                                  {"block_kv", &AttentionTile::block_kv},
                                                  {"stages", &AttentionTile::stages},
                                                  {"warps_kv", &AttentionTile::warps_kv},
                                                  {"min_blocks", &AttentionTile::min_blocks}}};
}
constexpr auto tile_fields(const NormTile*) {
  return std::array<TileField<NormTile>, 3>{{{"warps_per_row", &NormTile::warps_per_row},
                                             {"rows_per_block", &NormTile::rows_per_block},
                                             {"cached_vectors", &NormTile::cached_vectors}}};
}
constexpr auto tile_fields(const PointwiseTile*) {
  return std::array<TileField<PointwiseTile>, 2>{
      {{"threads", &PointwiseTile::threads}, {"vectors_per_thread", &PointwiseTile::vectors_per_thread}}};
}
constexpr auto tile_fields(const EmbeddingTile*) {
  return std::array<TileField<EmbeddingTile>, 3>{{{"warps_per_row", &EmbeddingTile::warps_per_row},
                                                  {"rows_per_block", &EmbeddingTile::rows_per_block},
                                                  {"cached_vectors", &EmbeddingTile::cached_vectors}}};
}
constexpr auto tile_fields(const HeadTile*) {
  return std::array<TileField<HeadTile>, 2>{
      {{"warps", &HeadTile::warps}, {"columns_per_block", &HeadTile::columns_per_block}}};
}
constexpr auto tile_fields(const SimilarityTile*) {
  return std::array<TileField<SimilarityTile>, 1>{{{"warps", &SimilarityTile::warps}}};
}
constexpr auto tile_fields(const ImageTile*) {
  return std::array<TileField<ImageTile>, 1>{{{"threads", &ImageTile::threads}}};
}
constexpr auto tile_fields(const StreamTile*) {
  return std::array<TileField<StreamTile>, 2>{
      {{"threads", &StreamTile::threads}, {"vectors_per_thread", &StreamTile::vectors_per_thread}}};
}
template <class Tile>
inline constexpr auto kTileFields = tile_fields(static_cast<const Tile*>(nullptr));

// A parameter added to a tile and forgotten here would silently never be tuned.
template <class Tile>
inline constexpr bool kTileIsListed = sizeof(Tile) == kTileFields<Tile>.size() * sizeof(int);
static_assert(kTileIsListed<GemmTile> && kTileIsListed<AttentionTile> && kTileIsListed<NormTile> &&
              kTileIsListed<PointwiseTile> && kTileIsListed<EmbeddingTile> && kTileIsListed<HeadTile> &&
              kTileIsListed<SimilarityTile> && kTileIsListed<ImageTile> && kTileIsListed<StreamTile>);

// Families in the order of KernelSpec and KernelTile, which is the same.
inline constexpr std::string_view kFamilyNames[] = {"gemm",      "attention", "norm",      "pointwise",
                                                    "embedding", "head",      "similarity"};
static_assert(std::size(kFamilyNames) == std::variant_size_v<KernelTile>);
static_assert(std::size(kFamilyNames) == std::variant_size_v<KernelSpec>);

// The tile type of a spec's family; declared for its type alone.
GemmTile tile_of(const GemmSpec&);
AttentionTile tile_of(const AttentionSpec&);
NormTile tile_of(const NormSpec&);
PointwiseTile tile_of(const PointwiseSpec&);
EmbeddingTile tile_of(const EmbeddingSpec&);
HeadTile tile_of(const HeadSpec&);
SimilarityTile tile_of(const SimilaritySpec&);
template <class Spec>
using TileOf = decltype(tile_of(std::declval<Spec>()));

// Parameter names of a family; empty for an unknown family.
std::vector<std::string_view> parameter_names(std::string_view family);

}  // namespace duet
