#include "codegen/emit.h"

#include <fmt/format.h>

#include <type_traits>

#include "base/hash.h"
#include "base/tensor.h"
#include "codegen/kernel_names.h"
#include "codegen/tile_fields.h"
#include "templates/embedded.h"

namespace duet {
namespace {

// The parts of an op by name: assignments for the source, and short words for the entry and the comment.
class OpText {
 public:
  void set(std::string_view field, bool value) {
    assign(field, value ? "true" : "false");
    if (value) words_.emplace_back(field);
  }
  void set(std::string_view field, bool value, std::string_view word_when_false) {
    assign(field, value ? "true" : "false");
    if (!value) words_.emplace_back(word_when_false);
  }
  void set(std::string_view field, int value, std::string_view word) {
    assign(field, fmt::format("{}", value));
    if (!word.empty()) words_.push_back(fmt::format("{}{}", word, value));
  }
  template <class Enum>
  requires std::is_enum_v<Enum>
  void set(std::string_view field, std::string_view type, Enum value, bool in_words) {
    assign(field, fmt::format("{}::{}", type, enumerator(value)));
    if (in_words) words_.emplace_back(enumerator(value));
  }
  void set(std::string_view field, Dtype value) {
    assign(field, fmt::format("Dtype::{}", dtype_name(value)));
    dtypes_.emplace_back(dtype_name(value));
  }

  const std::string& assignments() const { return assignments_; }
  // "f16_ln_bias"
  std::string name() const {
    std::vector<std::string> parts = dtypes_;
    for (const std::string& word : words_) parts.push_back(word == "layer_norm" ? "ln" : word);
    return fmt::format("{}", fmt::join(parts, "_"));
  }
  // " f16: layer_norm, bias"
  std::string title() const {
    std::string text;
    for (const std::string& dtype : dtypes_) text += (text.empty() ? " " : " to ") + dtype;
    return fmt::format("{}: {}", text, words_.empty() ? "plain" : fmt::format("{}", fmt::join(words_, ", ")));
  }

 private:
  void assign(std::string_view field, std::string_view value) {
    assignments_ += fmt::format("    c.op.{} = {};\n", field, value);
  }

  std::string assignments_;
  std::vector<std::string> dtypes_, words_;
};

// ---- one overload a family, naming every field of its op

OpText op_text(const GemmOp& op) {
  OpText text;
  text.set("dtype", op.dtype);
  text.set("a", "GemmA", op.a, op.a != GemmA::rows);
  text.set("b", "GemmB", op.b, op.b != GemmB::n_by_k);
  text.set("constant_b", op.constant_b, "dynamic_b");
  text.set("layer_norm", op.layer_norm);
  text.set("reads_row_sums", op.reads_row_sums);
  text.set("bias", op.bias);
  text.set("activation", "Activation", op.activation, op.activation != Activation::none);
  text.set("residual", op.residual);
  text.set("writes_row_sums", op.writes_row_sums);
  text.set("patch_copy_bytes", op.patch_copy_bytes, op.a == GemmA::patches ? "copy" : "");
  return text;
}
OpText op_text(const AttentionOp& op) {
  OpText text;
  text.set("dtype", op.dtype);
  text.set("head_dim", op.head_dim, "d");
  text.set("mask", "AttentionMask", op.mask, op.mask != AttentionMask::none);
  return text;
}
OpText op_text(const NormOp& op) {
  OpText text;
  text.set("dtype", op.dtype);
  text.set("out_dtype", op.out_dtype);
  text.set("function", "RowFunction", op.function, true);
  text.set("residual", op.residual);
  return text;
}
OpText op_text(const PointwiseOp& op) {
  OpText text;
  text.set("dtype", op.dtype);
  for (int i = 0; i < PointwiseOp::kMaxSteps; ++i) {
    const PointwiseStep step = op.steps[i];
    text.set(fmt::format("steps[{}]", i), "PointwiseStep", step, step != PointwiseStep::end);
  }
  return text;
}
OpText op_text(const EmbeddingOp& op) {
  OpText text;
  text.set("dtype", op.dtype);
  text.set("source", "EmbeddingSource", op.source, true);
  text.set("class_token", op.class_token);
  text.set("position", op.position);
  text.set("layer_norm", op.layer_norm);
  text.set("writes_row_sums", op.writes_row_sums);
  return text;
}
OpText op_text(const HeadOp& op) {
  OpText text;
  text.set("dtype", op.dtype);
  text.set("out_dtype", op.out_dtype);
  text.set("pool", "PoolKind", op.pool, true);
  text.set("layer_norm", op.layer_norm);
  text.set("project", op.project);
  text.set("bias", op.bias);
  text.set("normalize", op.normalize);
  return text;
}
OpText op_text(const SimilarityOp& op) {
  OpText text;
  text.set("bias", op.bias);
  return text;
}

OpText op_text(const ImageOp& op) {
  OpText text;
  text.set("dtype", op.dtype);
  text.set("pass", "ImagePass", op.pass, true);
  return text;
}

OpText op_text(const StreamOp&) { return {}; }

// The tile as part of a name, and in words.
struct TileText {
  std::string name, words;
};
std::string_view loader_name(int loader) {
  switch (loader) {
    case kLoaderTma:
      return "tma";
    case kLoaderWgmma:
      return "wgmma";
    case kLoaderWgmmaTransposed:
      return "wgmma_transposed";
    default:
      return "";
  }
}
TileText tile_text(const GemmTile& t) {
  const std::string_view loader = loader_name(t.loader);
  return {
      fmt::format("{}x{}x{}_w{}x{}x{}_s{}_k{}{}", t.block_m, t.block_n, t.block_k, t.warps_m, t.warps_n, t.warps_k,
                  t.stages, t.split_k, loader.empty() ? "" : fmt::format("_{}", loader)),
      fmt::format("block {}x{}x{}, warps {}x{}x{}, stages {}, split-K {}{}", t.block_m, t.block_n, t.block_k, t.warps_m,
                  t.warps_n, t.warps_k, t.stages, t.split_k, loader.empty() ? "" : fmt::format(", {}", loader))};
}
TileText tile_text(const AttentionTile& t) {
  const bool limited = t.min_blocks > 1;
  return {fmt::format("w{}x{}_kv{}_s{}{}", t.warps, t.warps_kv, t.block_kv, t.stages,
                      limited ? fmt::format("_b{}", t.min_blocks) : ""),
          fmt::format("warps {} x {}, block_kv {}, stages {}{}", t.warps, t.warps_kv, t.block_kv, t.stages,
                      limited ? fmt::format(", {} blocks an SM", t.min_blocks) : "")};
}
template <class RowTile>
TileText row_tile_text(const RowTile& t) {
  return {fmt::format("w{}_r{}_v{}", t.warps_per_row, t.rows_per_block, t.cached_vectors),
          fmt::format("warps a row {}, rows a block {}, cached vectors {}", t.warps_per_row, t.rows_per_block,
                      t.cached_vectors)};
}
TileText tile_text(const NormTile& t) { return row_tile_text(t); }
TileText tile_text(const EmbeddingTile& t) { return row_tile_text(t); }
TileText tile_text(const PointwiseTile& t) {
  return {fmt::format("t{}_v{}", t.threads, t.vectors_per_thread),
          fmt::format("threads {}, vectors a thread {}", t.threads, t.vectors_per_thread)};
}
TileText tile_text(const HeadTile& t) {
  return {fmt::format("w{}_c{}", t.warps, t.columns_per_block),
          fmt::format("warps {}, columns a block {}", t.warps, t.columns_per_block)};
}
TileText tile_text(const SimilarityTile& t) { return {fmt::format("w{}", t.warps), fmt::format("warps {}", t.warps)}; }
TileText tile_text(const ImageTile& t) { return {fmt::format("t{}", t.threads), fmt::format("threads {}", t.threads)}; }
TileText tile_text(const StreamTile& t) {
  return {fmt::format("t{}_v{}", t.threads, t.vectors_per_thread),
          fmt::format("threads {}, vectors a thread {}", t.threads, t.vectors_per_thread)};
}

// "gemm" -> "Gemm"
std::string type_prefix(std::string_view family) {
  std::string prefix(family);
  prefix[0] = static_cast<char>(prefix[0] - 'a' + 'A');
  return prefix;
}

template <class Tile>
std::string tile_assignments(const Tile& tile) {
  std::string text;
  for (const auto& field : kTileFields<Tile>)
    text += fmt::format("    c.tile.{} = {};\n", field.name, tile.*field.member);
  return text;
}

// A kernel as its stub names it.
struct KernelText {
  std::string family, entry;
  std::string title;   // "gemm f16: layer_norm, bias | block 64x64x32, ..."
  std::string config;  // the definition of <entry>_config
  int min_blocks = 1;  // on an SM, by its registers
};

std::string params_type(const KernelText& kernel) { return type_prefix(kernel.family) + "Params"; }
std::string config_value(const KernelText& kernel) { return kernel.entry + "_config::value"; }

// Designated initialisers would read better, and NVRTC's default language (C++17) has none.
constexpr std::string_view kConfig = R"(struct {entry}_config {{
  static constexpr {prefix}Config value = [] {{
    {prefix}Config c{{}};
{assignments}    return c;
  }}();
}};
)";

template <class Tile>
int min_blocks(const Tile&) {
  return 1;
}
int min_blocks(const AttentionTile& tile) { return tile.min_blocks; }

template <class Op, class Tile>
KernelText kernel_text(std::string_view family, const Op& op, const Tile& tile) {
  const OpText op_parts = op_text(op);
  const TileText tile_parts = tile_text(tile);
  const std::string op_name = op_parts.name();
  KernelText kernel;
  kernel.family = family;
  kernel.entry = fmt::format("{}_{}{}{}", family, op_name, op_name.empty() ? "" : "_", tile_parts.name);
  kernel.title = fmt::format("{}{} | {}", family, op_parts.title(), tile_parts.words);
  kernel.config = fmt::format(kConfig, fmt::arg("entry", kernel.entry), fmt::arg("prefix", type_prefix(family)),
                              fmt::arg("assignments", op_parts.assignments() + tile_assignments(tile)));
  kernel.min_blocks = min_blocks(tile);
  return kernel;
}
KernelText kernel_text(const KernelCandidate& candidate) {
  return std::visit(
      [&]<class Spec>(const Spec& spec) {
        return kernel_text(family_name(candidate.spec), spec.op, std::get<TileOf<Spec>>(candidate.tile));
      },
      candidate.spec);
}

KernelSource finished(std::string entry, std::string text) {
  KernelSource source{.entry = std::move(entry), .text = std::move(text), .hash = {}};
  source.hash = hash_text(fmt::format("{}\n{}", embedded_templates_hash(), source.text));
  return source;
}

constexpr std::string_view kStub = R"(// {title}
#include "templates/{family}.cuh"

namespace duet {{

{config}
DUET_KERNEL({entry}, {params_type},
            {value}.threads(), {min_blocks}) {{
  {family}<{entry}_config>(params);
}}

}}  // namespace duet
)";

KernelSource emit_stub(const KernelText& kernel) {
  return finished(kernel.entry,
                  fmt::format(kStub, fmt::arg("title", kernel.title), fmt::arg("family", kernel.family),
                              fmt::arg("config", kernel.config), fmt::arg("entry", kernel.entry),
                              fmt::arg("params_type", params_type(kernel)), fmt::arg("value", config_value(kernel)),
                              fmt::arg("min_blocks", kernel.min_blocks)));
}

constexpr std::string_view kPairStub = R"(// pair of
// {first_title}
// {second_title}
{includes}#include "templates/pair.cuh"

namespace duet {{

{configs}
using {entry}_params = PairParams<{first_params}, {second_params}>;

DUET_KERNEL({entry}, {entry}_params,
            pair_larger({first_value}.threads(), {second_value}.threads()), 1) {{
  run_pair(
      params,
      {first_value}.threads(), [&](const GridBlock& block) {{ {first_family}<{first_entry}_config>(params.first, block); }},
      {second_value}.threads(), [&](const GridBlock& block) {{ {second_family}<{second_entry}_config>(params.second, block); }});
}}

}}  // namespace duet
)";

std::string include_of(const KernelText& kernel) {
  return fmt::format("#include \"templates/{}.cuh\"\n", kernel.family);
}

KernelSource emit_pair_stub(const KernelText& first, const KernelText& second) {
  const bool same_family = first.family == second.family;
  std::string includes = include_of(first);
  if (!same_family) includes += include_of(second);
  std::string configs = first.config;
  if (first.entry != second.entry) configs += "\n" + second.config;
  std::string entry = fmt::format("pair_{}_{}", first.entry, second.entry);
  std::string text =
      fmt::format(kPairStub, fmt::arg("first_title", first.title), fmt::arg("second_title", second.title),
                  fmt::arg("includes", includes), fmt::arg("configs", configs), fmt::arg("entry", entry),
                  fmt::arg("first_params", params_type(first)), fmt::arg("second_params", params_type(second)),
                  fmt::arg("first_value", config_value(first)), fmt::arg("second_value", config_value(second)),
                  fmt::arg("first_family", first.family), fmt::arg("second_family", second.family),
                  fmt::arg("first_entry", first.entry), fmt::arg("second_entry", second.entry));
  return finished(std::move(entry), std::move(text));
}

}  // namespace

KernelSource emit(const KernelCandidate& candidate) { return emit_stub(kernel_text(candidate)); }

KernelSource emit_pair(const KernelCandidate& first, const KernelCandidate& second) {
  return emit_pair_stub(kernel_text(first), kernel_text(second));
}

KernelSource emit(const ImageConfig& config) { return emit_stub(kernel_text("image", config.op, config.tile)); }

KernelSource emit(const StreamConfig& config) { return emit_stub(kernel_text("stream", config.op, config.tile)); }

}  // namespace duet
