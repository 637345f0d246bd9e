#include "codegen/candidate.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <set>

#include "base/error.h"
#include "codegen/tile_fields.h"

namespace duet {
namespace {

// CUDA's limits on a grid.
constexpr int kMaxGridYz = 65535, kMaxThreads = 1024;

// ---- one overload a family: the config's own rules first, then what does not pay on this problem

const char* wasteful(const GemmConfig& config, const GemmParams& p) {
  const GemmTile& tile = config.tile;
  if (tile.split_k > ceil_div(p.k, tile.block_k)) return "split_k is more than the tiles along k";
  // A tile more than twice as large as needed wastes more than half of its products.
  if (tile.block_m > 2 * round_up(p.m, 16)) return "block_m is more than twice m";
  if (tile.block_n > 2 * round_up(p.n, 8)) return "block_n is more than twice n";
  if (config.tma() && p.batch != 1) return "the tensor memory accelerator copies for single products";
  // Buffers beyond the tiles there are stay empty; three are little to pay.
  if (tile.stages > 3 && tile.stages > ceil_div(p.k, tile.block_k * tile.split_k) + 1)
    return "more stages than tiles along k";
  constexpr i64 kMaxElements = (i64{1} << 31) - 1;  // RowTiles counts in 31 bits
  if (i64{p.m} * p.lda > kMaxElements || i64{p.n} * p.ldb > kMaxElements) return "an operand of 2^31 or more elements";
  return nullptr;
}

void resolve(const GemmSpec& spec, const GemmTile& tile, KernelCandidate& candidate) {
  const GemmConfig config{spec.op, tile};
  const GemmParams& p = spec.params;
  const char* reason = gemm_infeasible(config);
  if (reason == nullptr) reason = wasteful(config, p);
  if (reason != nullptr) candidate.infeasible = reason;
  if (!candidate.infeasible.empty()) return;
  candidate.grid = gemm_grid(config, p.m, p.n, p.batch);
  candidate.threads = config.threads();
  candidate.smem_bytes = config.smem_bytes();
  candidate.workspace_bytes = gemm_workspace_bytes(config, p.m, p.n, p.batch);
  candidate.counter_count = gemm_counter_count(config, p.m, p.n, p.batch);
}

void resolve(const AttentionSpec& spec, const AttentionTile& tile, KernelCandidate& candidate) {
  const AttentionConfig config{spec.op, tile};
  const AttentionParams& p = spec.params;
  const char* reason = attention_infeasible(config);
  if (reason == nullptr && config.block_q() > 2 * round_up(p.queries, 16))
    reason = "the query block is more than twice the queries";
  if (reason == nullptr && tile.block_kv > 2 * round_up(p.keys, 16)) reason = "block_kv is more than twice the keys";
  if (reason != nullptr) candidate.infeasible = reason;
  if (!candidate.infeasible.empty()) return;
  candidate.grid = attention_grid(config, p.queries, p.heads, p.batch);
  candidate.threads = config.threads();
  candidate.smem_bytes = config.smem_bytes();
}

// A row of `columns` elements over warps of 32 lanes with 8 elements each.
const char* wasteful_team(int warps_per_row, int columns) {
  return warps_per_row > 1 && warps_per_row > ceil_div(columns, 256) ? "more warps a row than the row has vectors"
                                                                     : nullptr;
}

void resolve(const NormSpec& spec, const NormTile& tile, KernelCandidate& candidate) {
  const NormConfig config{spec.op, tile};
  const char* reason = norm_infeasible(config);
  if (reason == nullptr) reason = wasteful_team(tile.warps_per_row, spec.params.columns);
  if (reason != nullptr) candidate.infeasible = reason;
  if (!candidate.infeasible.empty()) return;
  candidate.grid = norm_grid(config, spec.params.rows);
  candidate.threads = config.threads();
  candidate.smem_bytes = config.smem_bytes();
}

void resolve(const PointwiseSpec& spec, const PointwiseTile& tile, KernelCandidate& candidate) {
  const PointwiseConfig config{spec.op, tile};
  if (const char* reason = pointwise_infeasible(config)) candidate.infeasible = reason;
  if (!candidate.infeasible.empty()) return;
  candidate.grid = pointwise_grid(config, spec.params.rows, spec.params.ld);
  candidate.threads = config.threads();
  candidate.smem_bytes = config.smem_bytes();
}

void resolve(const EmbeddingSpec& spec, const EmbeddingTile& tile, KernelCandidate& candidate) {
  const EmbeddingConfig config{spec.op, tile};
  const char* reason = embedding_infeasible(config);
  if (reason == nullptr) reason = wasteful_team(tile.warps_per_row, spec.params.columns);
  if (reason != nullptr) candidate.infeasible = reason;
  if (!candidate.infeasible.empty()) return;
  candidate.grid = embedding_grid(config, spec.params.batch, spec.params.tokens);
  candidate.threads = config.threads();
  candidate.smem_bytes = config.smem_bytes();
}

void resolve(const HeadSpec& spec, const HeadTile& tile, KernelCandidate& candidate) {
  const HeadConfig config{spec.op, tile};
  const HeadParams& p = spec.params;
  const char* reason = head_infeasible(config, p.columns);
  // Without a projection the parameter has no effect: one value stands for all.
  if (reason == nullptr && !spec.op.project && tile.columns_per_block != HeadTile{}.columns_per_block)
    reason = "columns_per_block has no effect without a projection";
  if (reason != nullptr) candidate.infeasible = reason;
  if (!candidate.infeasible.empty()) return;
  candidate.grid = head_grid(config, p.batch, p.outputs);
  candidate.threads = config.threads();
  candidate.smem_bytes = config.smem_bytes();
  candidate.workspace_bytes = head_workspace_bytes(config, p.batch, p.outputs);
  candidate.counter_count = head_counter_count(config, p.batch);
}

void resolve(const SimilaritySpec& spec, const SimilarityTile& tile, KernelCandidate& candidate) {
  const SimilarityConfig config{spec.op, tile};
  if (const char* reason = similarity_infeasible(config)) candidate.infeasible = reason;
  if (!candidate.infeasible.empty()) return;
  candidate.grid = similarity_grid(config, spec.params.images, spec.params.texts);
  candidate.threads = config.threads();
  candidate.smem_bytes = config.smem_bytes();
}

// ---- what the device and CUDA allow

bool has_tma(const DeviceSpec& device) { return arch_number(device.arch) >= 90; }
// They came with sm_90 and went with it.
bool has_wgmma(const DeviceSpec& device) { return arch_number(device.arch) == 90; }

// Without the candidate's own figures: candidates are counted by reason.
std::string beyond_limits(const KernelCandidate& candidate, const DeviceSpec& device) {
  if (candidate.smem_bytes > device.smem_bytes_per_block)
    return fmt::format("more shared memory than the {} bytes a block that {} allows", device.smem_bytes_per_block,
                       device.name);
  const auto* tile = std::get_if<GemmTile>(&candidate.tile);
  if (tile != nullptr && brings_whole_tiles(tile->loader) && !has_tma(device))
    return fmt::format("{} has no tensor memory accelerator", device.arch);
  if (tile != nullptr && multiplies_by_warpgroups(tile->loader) && !has_wgmma(device))
    return fmt::format("{} has no warpgroup products", device.arch);
  if (candidate.threads > kMaxThreads) return fmt::format("more threads a block than CUDA's {}", kMaxThreads);
  if (candidate.grid.y > kMaxGridYz || candidate.grid.z > kMaxGridYz)
    return fmt::format("more blocks in y or z than CUDA's {}", kMaxGridYz);
  return {};
}

// ---- what the space leaves out

bool lists(const SearchSpace& space, const char* parameter, int value) {
  const auto family = space.ranges.find("gemm");
  if (family == space.ranges.end()) return false;
  const auto range = family->second.find(parameter);
  return range != family->second.end() &&
         std::find(range->second.begin(), range->second.end(), value) != range->second.end();
}

// Whether as many warps, arranged otherwise, would load less of A and B per product. Of two equals the one with more
// warps along m stays: with fewer along n, fewer warps add up the same row's statistics.
bool is_squarest(const GemmTile& tile, const SearchSpace& space) {
  const int warps = tile.warps_m * tile.warps_n;
  const int edges = tile.block_m / tile.warps_m + tile.block_n / tile.warps_n;
  for (int m = 1; m <= warps; ++m) {
    if (warps % m != 0 || tile.block_m % (16 * m) != 0 || tile.block_n % (8 * (warps / m)) != 0) continue;
    if (!lists(space, "warps_m", m) || !lists(space, "warps_n", warps / m)) continue;
    const int other = tile.block_m / m + tile.block_n / (warps / m);
    if (other < edges || (other == edges && m > tile.warps_m)) return false;
  }
  return true;
}

// Copies of 16 bytes that a thread may issue for one stage: their addresses wait in registers. With 18, one warp on
// 16x128x32, ptxas 13.0 spills on sm_87 whatever the operation.
constexpr int kMaxCopiesPerThread = 16;

const char* outside_warp_limits(const GemmConfig& config, const SearchSpace& space) {
  const GemmLimits& limits = space.gemm_limits;
  if (config.wgmma()) return nullptr;
  if (limits.max_warp_elements == 0) return nullptr;
  const int warps = config.tile.warps_m * config.tile.warps_n;  // of a set
  const int block = config.tile.block_m * config.tile.block_n;
  // A quarter of the largest tile fits the registers, but for the row statistics of a layer norm.
  if (block / warps > std::max(limits.max_warp_elements, config.sums_rows() ? 0 : block / 4))
    return "too few warps for the tile in this space";
  if (!config.tma() && config.stage_bytes() > kMaxCopiesPerThread * 16 * config.threads())
    return "too few warps to load the tile";
  if (warps > 1 && block / warps < limits.min_warp_elements) return "too many warps for the tile in this space";
  return is_squarest(config.tile, space) ? nullptr : "another arrangement of the warps loads less";
}

const char* outside_limits(const GemmSpec& spec, const GemmTile& tile, const SearchSpace& space,
                           const DeviceSpec& device) {
  const GemmLimits& limits = space.gemm_limits;
  if (const char* reason = outside_warp_limits({spec.op, tile}, space)) return reason;
  if (limits.sliced_warps > 0 && tile.warps_k > 1 && tile.warps_m * tile.warps_n * tile.warps_k > limits.sliced_warps)
    return "more warps than this space slices k over";
  const int in_flight = (tile.stages - 1) * GemmConfig{spec.op, tile}.stage_bytes();
  if (in_flight < limits.min_bytes_in_flight) return "too few bytes in flight for this space";
  if (limits.max_bytes_in_flight > 0 && in_flight > limits.max_bytes_in_flight &&
      !multiplies_by_warpgroups(tile.loader))
    return "more bytes in flight than this space asks for";
  const i64 blocks = i64{gemm_tiles(tile, spec.params.m, spec.params.n)} * spec.params.batch * tile.split_k;
  if (limits.split_blocks_per_sm > 0 && tile.split_k > 1 && blocks > i64{limits.split_blocks_per_sm} * device.sm_count)
    return "there are blocks enough without so large a split_k";
  return nullptr;
}
template <class Spec, class Tile>
const char* outside_limits(const Spec&, const Tile&, const SearchSpace&, const DeviceSpec&) {
  return nullptr;
}

bool wgmma_shape(const GemmTile& tile) {
  const bool transposed = tile.loader == kLoaderWgmmaTransposed;
  const int warps = transposed ? tile.warps_n : tile.warps_m;
  const int warp_rows = (transposed ? tile.block_n : tile.block_m) / warps;
  const int columns = transposed ? tile.block_m / tile.warps_m : tile.block_n / tile.warps_n;
  return warp_rows == 16 && warps % 4 == 0 && columns % 16 == 0;
}

// Whether no choice of the parameters still to come can make the tile run. `set` counts those chosen so far, in the
// order of tile_fields. Cutting here keeps a space's full product from ever being made.
bool is_dead_end(const GemmTile& tile, std::size_t set) {
  const int warps_m = set >= 4 ? tile.warps_m : 1, warps_n = set >= 5 ? tile.warps_n : 1;
  const int warps_k = set >= 6 ? tile.warps_k : 1;
  if (set >= 4 && tile.block_m % (16 * warps_m) != 0) return true;
  if (set >= 5 && tile.block_n % (8 * warps_n) != 0) return true;
  // 160 accumulators a thread and the fragments that go with them are more than 255 registers.
  if (set >= 5 && tile.block_m / warps_m * (tile.block_n / warps_n) >= 160 * 32) return true;
  if (set >= 9 && multiplies_by_warpgroups(tile.loader) && !wgmma_shape(tile)) return true;
  if (set >= 6 && tile.block_k % (16 * warps_k) != 0) return true;
  constexpr int kMaxSmemBytes = 227 * 1024;  // of any device
  if (set >= 7 && tile.stages * (tile.block_m + tile.block_n) * tile.block_k * 2 > kMaxSmemBytes) return true;
  if (set >= 9 && brings_whole_tiles(tile.loader) && tile.block_k != 64) return true;
  return warps_m * warps_n * warps_k > 16;
}
static_assert(kTileFields<GemmTile>[3].name == "warps_m" && kTileFields<GemmTile>[4].name == "warps_n" &&
              kTileFields<GemmTile>[5].name == "warps_k" && kTileFields<GemmTile>[6].name == "stages" &&
              kTileFields<GemmTile>[8].name == "loader");
template <class Tile>
bool is_dead_end(const Tile&, std::size_t) {
  return false;
}

template <class Tile>
std::vector<Tile> enumerate_tiles(const std::map<std::string, std::vector<int>>& ranges) {
  std::vector<Tile> tiles{Tile{}};
  for (std::size_t i = 0; i < kTileFields<Tile>.size(); ++i) {
    const TileField<Tile>& field = kTileFields<Tile>[i];
    const auto range = ranges.find(std::string(field.name));
    if (range == ranges.end()) continue;
    std::vector<Tile> next;
    for (Tile tile : tiles) {
      for (const int value : range->second) {
        tile.*field.member = value;
        if (!is_dead_end(tile, i + 1)) next.push_back(tile);
      }
    }
    tiles = std::move(next);
  }
  return tiles;
}

// Of all sections of a family, each once; where there is none, the tile that the family has by default.
template <class Tile>
std::vector<Tile> tiles_of_family(std::string_view family, const SearchSpace& space) {
  std::vector<Tile> tiles;
  std::set<std::array<int, kTileFields<Tile>.size()>> seen;
  bool listed = false;
  for (const auto& [section, ranges] : space.ranges) {
    if (std::string_view(section).substr(0, section.find('.')) != family) continue;
    listed = true;
    for (const Tile& tile : enumerate_tiles<Tile>(ranges)) {
      std::array<int, kTileFields<Tile>.size()> values{};
      for (std::size_t i = 0; i < values.size(); ++i) values[i] = tile.*kTileFields<Tile>[i].member;
      if (seen.insert(values).second) tiles.push_back(tile);
    }
  }
  if (!listed) tiles.push_back(Tile{});
  return tiles;
}

template <std::size_t... kIndex>
std::vector<std::string_view> names_of_family(std::string_view family, std::index_sequence<kIndex...>) {
  std::vector<std::string_view> names;
  const auto collect = [&](std::string_view name, const auto& fields) {
    if (name != family) return;
    for (const auto& field : fields) names.push_back(field.name);
  };
  (collect(kFamilyNames[kIndex], kTileFields<std::variant_alternative_t<kIndex, KernelTile>>), ...);
  return names;
}

// Alignment gaps of a parameter block hold whatever was on the stack: cleared, so that equal launches have equal bytes.
void clear_gap(std::vector<std::byte>& block, std::size_t from, std::size_t to) {
  std::fill(block.begin() + static_cast<std::ptrdiff_t>(from), block.begin() + static_cast<std::ptrdiff_t>(to),
            std::byte{0});
}
template <class Params>
std::vector<std::byte> bytes_of(const Params& params) {
  std::vector<std::byte> block(sizeof(Params));
  std::memcpy(block.data(), &params, sizeof(Params));
  return block;
}
std::vector<std::byte> block_of(const GemmSpec& spec) {
  std::vector<std::byte> block = bytes_of(spec.params);
  clear_gap(block, offsetof(GemmParams, batch_inner) + sizeof(int), offsetof(GemmParams, a_stride_outer));
  clear_gap(block, offsetof(GemmParams, patch) + sizeof(int), offsetof(GemmParams, map_a));
  return block;
}
std::vector<std::byte> block_of(const AttentionSpec& spec) {
  std::vector<std::byte> block = bytes_of(spec.params);
  clear_gap(block, offsetof(AttentionParams, ldo) + sizeof(int), offsetof(AttentionParams, q_batch_stride));
  clear_gap(block, offsetof(AttentionParams, scale) + sizeof(float), sizeof(AttentionParams));
  return block;
}
std::vector<std::byte> block_of(const NormSpec& spec) {
  std::vector<std::byte> block = bytes_of(spec.params);
  clear_gap(block, offsetof(NormParams, epsilon) + sizeof(float), sizeof(NormParams));
  return block;
}
std::vector<std::byte> block_of(const PointwiseSpec& spec) {
  std::vector<std::byte> block = bytes_of(spec.params);
  clear_gap(block, offsetof(PointwiseParams, rows_per_mask) + sizeof(int), sizeof(PointwiseParams));
  return block;
}
std::vector<std::byte> block_of(const EmbeddingSpec& spec) {
  std::vector<std::byte> block = bytes_of(spec.params);
  clear_gap(block, offsetof(EmbeddingParams, patch) + sizeof(int), sizeof(EmbeddingParams));
  return block;
}
std::vector<std::byte> block_of(const HeadSpec& spec) {
  std::vector<std::byte> block = bytes_of(spec.params);
  clear_gap(block, offsetof(HeadParams, epsilon) + sizeof(float), sizeof(HeadParams));
  return block;
}
std::vector<std::byte> block_of(const SimilaritySpec& spec) {
  std::vector<std::byte> block = bytes_of(spec.params);
  clear_gap(block, offsetof(SimilarityParams, ld_out) + sizeof(int), sizeof(SimilarityParams));
  return block;
}

}  // namespace

std::vector<std::string_view> parameter_names(std::string_view family) {
  return names_of_family(family, std::make_index_sequence<std::variant_size_v<KernelTile>>{});
}

std::vector<std::pair<std::string, int>> tile_parameters(const KernelTile& tile) {
  return std::visit(
      []<class Tile>(const Tile& values) {
        std::vector<std::pair<std::string, int>> parameters;
        for (const auto& field : kTileFields<Tile>) parameters.emplace_back(field.name, values.*field.member);
        return parameters;
      },
      tile);
}

std::string config_text(const KernelTile& tile) {
  std::string text;
  for (const auto& [name, value] : tile_parameters(tile))
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", name, value);
  return text;
}

KernelCandidate make_candidate(const KernelSpec& spec, const KernelTile& tile, const DeviceSpec& device) {
  if (spec.index() != tile.index())
    fail(ErrorKind::internal, "a tile of family {} for a {} kernel", kFamilyNames[tile.index()], family_name(spec));
  KernelCandidate candidate;
  candidate.spec = spec;
  candidate.tile = tile;
  std::visit([&]<class Spec>(const Spec& family) { resolve(family, std::get<TileOf<Spec>>(tile), candidate); }, spec);
  if (candidate.infeasible.empty()) candidate.infeasible = beyond_limits(candidate, device);
  return candidate;
}

std::vector<KernelCandidate> enumerate_candidates(const KernelSpec& spec, const SearchSpace& space,
                                                  const DeviceSpec& device) {
  std::vector<KernelCandidate> candidates;
  std::visit(
      [&]<class Spec>(const Spec& of_family) {
        for (const TileOf<Spec>& tile : tiles_of_family<TileOf<Spec>>(family_name(spec), space)) {
          candidates.push_back(make_candidate(spec, tile, device));
          KernelCandidate& candidate = candidates.back();
          if (!candidate.infeasible.empty()) continue;
          if (const char* reason = outside_limits(of_family, tile, space, device)) candidate.infeasible = reason;
        }
      },
      spec);
  return candidates;
}

std::vector<std::byte> param_block(const KernelCandidate& candidate) {
  return std::visit([](const auto& spec) { return block_of(spec); }, candidate.spec);
}

}  // namespace duet
