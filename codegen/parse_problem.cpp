#include "codegen/parse_problem.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <optional>

#include "base/error.h"
#include "base/one_line.h"
#include "base/tensor.h"
#include "codegen/graph.h"
#include "codegen/kernel_names.h"
#include "codegen/yaml_document.h"

namespace duet {
namespace {

constexpr int kMaxSize = 1 << 24;

bool is_separator(char c) { return c == ' ' || c == '_'; }

// Takes words from the front of a problem's text. Words hold '_' themselves, so that they are matched, not split.
class ProblemText {
 public:
  explicit ProblemText(std::string_view text) : all_(text), rest_(text) {}

  bool take(std::string_view word) {
    if (!rest_.starts_with(word)) return false;
    const std::string_view after = rest_.substr(word.size());
    if (!after.empty() && !is_separator(after.front())) return false;
    rest_ = after.substr(std::min<std::size_t>(1, after.size()));
    return true;
  }
  void require(std::string_view word) {
    if (!take(word)) refuse(word);
  }

  // "name=12"
  bool take_number(std::string_view name, int& value) {
    if (!rest_.starts_with(name) || !rest_.substr(name.size()).starts_with('=')) return false;
    rest_.remove_prefix(name.size() + 1);
    value = number();
    end_word(name);
    return true;
  }
  int require_number(std::string_view name) {
    int value = 0;
    if (!take_number(name, value)) refuse(name);
    return value;
  }

  Dtype require_dtype() {
    for (const Dtype dtype : {Dtype::f32, Dtype::f16, Dtype::bf16, Dtype::i32})
      if (take(dtype_name(dtype))) return dtype;
    refuse("a data type");
  }

  // One of the enumerators 0 to `last`, or nothing. No name is the beginning of another's words.
  template <class Enum>
  std::optional<Enum> take_enumerator(Enum last, int first = 0) {
    for (int i = static_cast<int>(last); i >= first; --i)
      if (take(enumerator(static_cast<Enum>(i)))) return static_cast<Enum>(i);
    return std::nullopt;
  }
  template <class Enum>
  Enum require_enumerator(Enum last, std::string_view what) {
    const std::optional<Enum> found = take_enumerator(last);
    if (!found) refuse(what);
    return *found;
  }

  // "patches=16 of 3x224x224"
  template <class Params>
  bool take_patches(Params& params) {
    if (!take_number("patches", params.patch)) return false;
    require("of");
    params.channels = number();
    take_cross();
    params.image_h = number();
    take_cross();
    params.image_w = number();
    end_word("patches");
    return true;
  }

  void require_end() const {
    if (!rest_.empty()) refuse("the end");
  }
  [[noreturn]] void refuse(std::string_view expected) const {
    fail(ErrorKind::input, "problem '{}': {} expected at '{}'", printable(all_), expected, printable(rest_));
  }

 private:
  int number() {
    int value = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error != std::errc() || value < 1 || value > kMaxSize) refuse("a size from 1 to 16777216");
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return value;
  }
  void take_cross() {
    if (!rest_.starts_with('x')) refuse("an image's size");
    rest_.remove_prefix(1);
  }
  void end_word(std::string_view name) {
    if (rest_.empty()) return;
    if (!is_separator(rest_.front())) refuse(name);
    rest_.remove_prefix(1);
  }

  std::string_view all_, rest_;
};

int padded(int columns) { return round_up(columns, 8); }

GemmSpec parse_gemm(ProblemText& text) {
  GemmSpec spec;
  auto& [op, p] = spec;
  op.dtype = text.require_dtype();
  p.m = text.require_number("m");
  p.n = text.require_number("n");
  p.k = text.require_number("k");
  p.batch = p.batch_inner = 1;
  text.take_number("batch", p.batch);
  if (text.take_patches(p)) op.a = GemmA::patches;
  if (text.take("k_by_n")) op.b = GemmB::k_by_n;
  op.constant_b = !text.take("dynamic_b");
  op.layer_norm = text.take("layer_norm");
  op.reads_row_sums = text.take("reads_row_sums");
  op.bias = text.take("bias");
  op.activation = text.take_enumerator(Activation::silu, 1).value_or(Activation::none);
  // The longer word first: with '_' for spaces it begins like the shorter.
  op.residual = text.take_number("residual_rows", p.residual_rows);
  if (!op.residual && text.take("residual")) {
    op.residual = true;
    p.residual_rows = p.m;
  }
  op.writes_row_sums = text.take("writes_row_sums");
  if (op.reads_row_sums) p.row_sum_tiles = ceil_div(p.k, static_cast<int>(kRowSumColumns));
  p.lda = padded(p.k);
  p.ldb = padded(op.b == GemmB::k_by_n ? p.n : p.k);
  p.ldc = p.ld_residual = padded(p.n);
  return spec;
}

AttentionSpec parse_attention(ProblemText& text) {
  AttentionSpec spec;
  auto& [op, p] = spec;
  op.dtype = text.require_dtype();
  p.batch = text.require_number("batch");
  p.heads = text.require_number("heads");
  p.queries = text.require_number("queries");
  p.keys = text.require_number("keys");
  op.head_dim = text.require_number("head_dim");
  op.mask = text.take_enumerator(AttentionMask::causal_padding, 1).value_or(AttentionMask::none);
  p.ldq = p.ldk = p.ldv = p.ldo = padded(p.heads * op.head_dim);
  return spec;
}

NormSpec parse_norm(ProblemText& text) {
  NormSpec spec;
  auto& [op, p] = spec;
  op.dtype = text.require_dtype();
  text.require("to");
  op.out_dtype = text.require_dtype();
  p.rows = text.require_number("rows");
  p.columns = text.require_number("columns");
  op.function = text.require_enumerator(RowFunction::softmax, "a function of rows");
  op.residual = text.take("residual");
  p.ldx = p.ldr = p.ldo = p.lds = padded(p.columns);
  return spec;
}

PointwiseSpec parse_pointwise(ProblemText& text) {
  PointwiseSpec spec;
  auto& [op, p] = spec;
  op.dtype = text.require_dtype();
  p.rows = text.require_number("rows");
  p.columns = text.require_number("columns");
  for (PointwiseStep& step : op.steps) {
    const std::optional<PointwiseStep> found = text.take_enumerator(PointwiseStep::padding_mask, 1);
    if (!found) break;
    step = *found;
  }
  p.ld = padded(p.columns);
  return spec;
}

EmbeddingSpec parse_embedding(ProblemText& text) {
  EmbeddingSpec spec;
  auto& [op, p] = spec;
  op.dtype = text.require_dtype();
  op.source = text.require_enumerator(EmbeddingSource::patches, "a source of rows");
  p.batch = text.require_number("batch");
  p.tokens = text.require_number("tokens");
  p.columns = text.require_number("columns");
  if (op.source == EmbeddingSource::tokens) p.vocabulary = text.require_number("vocabulary");
  if (op.source == EmbeddingSource::patches && !text.take_patches(p)) text.refuse("patches");
  op.class_token = text.take("class_token");
  op.position = text.take("position");
  op.layer_norm = text.take("layer_norm");
  op.writes_row_sums = text.take("writes_row_sums");
  p.ld = padded(p.columns);
  return spec;
}

// "pool=first"
PoolKind require_pool(ProblemText& text) {
  for (const PoolKind pool : {PoolKind::first, PoolKind::last, PoolKind::eot, PoolKind::mean})
    if (text.take(std::string("pool=").append(enumerator(pool)))) return pool;
  text.refuse("pool");
}

HeadSpec parse_head(ProblemText& text) {
  HeadSpec spec;
  auto& [op, p] = spec;
  op.dtype = text.require_dtype();
  text.require("to");
  op.out_dtype = text.require_dtype();
  p.batch = text.require_number("batch");
  p.tokens = text.require_number("tokens");
  p.columns = text.require_number("columns");
  op.pool = require_pool(text);
  op.layer_norm = text.take("layer_norm");
  op.project = text.take_number("outputs", p.outputs);
  op.bias = text.take("bias");
  op.normalize = text.take("normalize");
  p.ldx = p.ldw = padded(p.columns);
  p.ldo = padded(op.project ? p.outputs : p.columns);
  return spec;
}

SimilaritySpec parse_similarity(ProblemText& text) {
  SimilaritySpec spec;
  auto& [op, p] = spec;
  text.require("f32");
  p.images = text.require_number("images");
  p.texts = text.require_number("texts");
  p.columns = text.require_number("columns");
  op.bias = text.take("bias");
  p.ld_image = p.ld_text = padded(p.columns);
  p.ld_out = padded(p.texts);
  return spec;
}

KernelSpec parse_family(ProblemText& text) {
  if (text.take("gemm")) return parse_gemm(text);
  if (text.take("attention")) return parse_attention(text);
  if (text.take("norm")) return parse_norm(text);
  if (text.take("pointwise")) return parse_pointwise(text);
  if (text.take("embedding")) return parse_embedding(text);
  if (text.take("head")) return parse_head(text);
  if (text.take("similarity")) return parse_similarity(text);
  text.refuse("a kernel family");
}

}  // namespace

KernelSpec parse_problem(std::string_view text) {
  ProblemText words(text);
  KernelSpec spec = parse_family(words);
  words.require_end();
  return spec;
}

}  // namespace duet
