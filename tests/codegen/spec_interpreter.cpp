#include "tests/codegen/spec_interpreter.h"

#include <cmath>
#include <cstddef>
#include <limits>
#include <stdexcept>

#include "runtime/weights.h"

namespace duet::testing {
namespace {

// Memory that knows its size: an access outside throws. Integers are held as floats, which is exact for ids.
struct Pointer {
  std::vector<float>* memory = nullptr;
  std::int64_t offset = 0;
  float& operator[](std::int64_t i) const { return memory->at(static_cast<std::size_t>(offset + i)); }
  Pointer operator+(std::int64_t i) const { return {memory, offset + i}; }
  explicit operator bool() const { return memory != nullptr; }
};
using Pointers = std::map<std::size_t, Pointer>;  // by param_offset

float activate(Activation activation, float x) {
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::gelu:
      return 0.5f * x * (1.0f + std::erf(x / std::sqrt(2.0f)));
    case Activation::gelu_tanh:
      return 0.5f * x * (1.0f + std::tanh(0.7978845608f * (x + 0.044715f * x * x * x)));
    case Activation::quick_gelu:
      return x / (1.0f + std::exp(-1.702f * x));
    case Activation::silu:
      return x / (1.0f + std::exp(-x));
  }
  throw std::logic_error("activation");
}

struct Statistics {
  float mean, rstd;
};
Statistics statistics(const Pointer& row, int columns, float epsilon) {
  double sum = 0, squares = 0;
  for (int c = 0; c < columns; ++c) sum += row[c];
  const double mean = sum / columns;
  for (int c = 0; c < columns; ++c) squares += (row[c] - mean) * (row[c] - mean);
  return {static_cast<float>(mean), static_cast<float>(1 / std::sqrt(squares / columns + epsilon))};
}

class Family {
 public:
  explicit Family(const Pointers& pointers) : pointers_(pointers) {}

  void operator()(const GemmSpec& spec) const {
    const GemmParams& p = spec.params;
    for (int z = 0; z < p.batch; ++z) {
      const std::int64_t outer = z / p.batch_inner, inner = z % p.batch_inner;
      const Pointer a = at(offsetof(GemmParams, a)) + outer * p.a_stride_outer + inner * p.a_stride_inner;
      const Pointer b = at(offsetof(GemmParams, b)) + outer * p.b_stride_outer + inner * p.b_stride_inner;
      const Pointer c = at(offsetof(GemmParams, c)) + outer * p.c_stride_outer + inner * p.c_stride_inner;
      for (int m = 0; m < p.m; ++m) product_row(spec, a, b, c + std::int64_t{m} * p.ldc, m);
    }
  }

  void operator()(const AttentionSpec& spec) const {
    const AttentionParams& p = spec.params;
    const int d = spec.op.head_dim;
    for (int b = 0; b < p.batch; ++b)
      for (int h = 0; h < p.heads; ++h)
        for (int i = 0; i < p.queries; ++i) {
          const Pointer q = at(offsetof(AttentionParams, q)) + b * p.q_batch_stride + i * p.ldq + h * d;
          const Pointer k = at(offsetof(AttentionParams, k)) + b * p.k_batch_stride + h * d;
          const Pointer v = at(offsetof(AttentionParams, v)) + b * p.v_batch_stride + h * d;
          const Pointer out = at(offsetof(AttentionParams, out)) + b * p.o_batch_stride + i * p.ldo + h * d;
          attention_row(spec, q, k, v, out, b, i);
        }
  }

  void operator()(const NormSpec& spec) const {
    const NormParams& p = spec.params;
    for (int r = 0; r < p.rows; ++r) {
      const Pointer x = at(offsetof(NormParams, x)) + std::int64_t{r} * p.ldx;
      const Pointer out = at(offsetof(NormParams, out)) + std::int64_t{r} * p.ldo;
      for (int c = 0; c < p.ldo; ++c) out[c] = 0;
      if (spec.op.function == RowFunction::softmax) {
        std::vector<float> row;
        for (int c = 0; c < p.columns; ++c) row.push_back(x[c]);
        softmax(row);
        for (int c = 0; c < p.columns; ++c) out[c] = row[static_cast<std::size_t>(c)];
      } else if (spec.op.function == RowFunction::l2_normalize) {
        normalize(x, out, p.columns);
      } else {
        const Statistics s = statistics(x, p.columns, p.epsilon);
        const Pointer gamma = at(offsetof(NormParams, gamma)), beta = at(offsetof(NormParams, beta));
        for (int c = 0; c < p.columns; ++c) out[c] = (x[c] - s.mean) * s.rstd * gamma[c] + beta[c];
      }
    }
  }

  void operator()(const PointwiseSpec& spec) const {
    const PointwiseParams& p = spec.params;
    for (int r = 0; r < p.rows; ++r)
      for (int c = 0; c < p.ld; ++c) {
        const std::int64_t place = std::int64_t{r} * p.ld + c;
        float value = at(offsetof(PointwiseParams, x))[place];
        for (int step = 0; step < PointwiseOp::kMaxSteps && spec.op.steps[step] != PointwiseStep::end; ++step)
          if (c < p.columns) value = pointwise_step(spec, step, value, r, c);
        at(offsetof(PointwiseParams, out))[place] = c < p.columns ? value : 0;
      }
  }

  void operator()(const EmbeddingSpec& spec) const {
    const EmbeddingParams& p = spec.params;
    for (int b = 0; b < p.batch; ++b)
      for (int t = 0; t < p.tokens; ++t) {
        const Pointer out = at(offsetof(EmbeddingParams, out)) + (std::int64_t{b} * p.tokens + t) * p.ld;
        for (int c = 0; c < p.ld; ++c) out[c] = c < p.columns ? embedding_element(spec, b, t, c) : 0;
        if (!spec.op.layer_norm) continue;
        const Statistics s = statistics(out, p.columns, p.epsilon);
        const Pointer gamma = at(offsetof(EmbeddingParams, gamma)), beta = at(offsetof(EmbeddingParams, beta));
        for (int c = 0; c < p.columns; ++c) out[c] = (out[c] - s.mean) * s.rstd * gamma[c] + beta[c];
      }
  }

  void operator()(const HeadSpec& spec) const {
    const HeadParams& p = spec.params;
    for (int b = 0; b < p.batch; ++b) {
      std::vector<float> row = pooled(spec, b);
      if (spec.op.layer_norm) {
        const Statistics s = statistics({&row, 0}, p.columns, p.epsilon);
        const Pointer gamma = at(offsetof(HeadParams, gamma)), beta = at(offsetof(HeadParams, beta));
        for (int c = 0; c < p.columns; ++c) {
          float& x = row[static_cast<std::size_t>(c)];
          x = (x - s.mean) * s.rstd * gamma[c] + beta[c];
        }
      }
      if (spec.op.project) row = projected(spec, row);
      const Pointer out = at(offsetof(HeadParams, out)) + std::int64_t{b} * p.ldo;
      if (spec.op.normalize) normalize({&row, 0}, {&row, 0}, p.outputs);
      for (int c = 0; c < p.ldo; ++c) out[c] = c < p.outputs ? row[static_cast<std::size_t>(c)] : 0;
    }
  }

  void operator()(const SimilaritySpec& spec) const {
    const SimilarityParams& p = spec.params;
    for (int i = 0; i < p.images; ++i)
      for (int j = 0; j < p.texts; ++j) {
        float sum = 0;
        for (int c = 0; c < p.columns; ++c)
          sum += at(offsetof(SimilarityParams, image))[i * p.ld_image + c] *
                 at(offsetof(SimilarityParams, text))[j * p.ld_text + c];
        const float bias = spec.op.bias ? at(offsetof(SimilarityParams, bias))[0] : 0;
        at(offsetof(SimilarityParams, out))[i * p.ld_out + j] = at(offsetof(SimilarityParams, scale))[0] * sum + bias;
      }
  }

 private:
  Pointer at(std::size_t param_offset) const {
    const auto found = pointers_.find(param_offset);
    if (found == pointers_.end()) throw std::logic_error("a null pointer is read");
    return found->second;
  }

  // The pixel of column k of a patch row; zero where the line's padding lies.
  template <class Params>
  static float patch_pixel(const Params& p, const Pointer& image, int row, int column) {
    const int patch_ld = round_up(p.patch, 8), across = p.image_w / p.patch, patches = across * (p.image_h / p.patch);
    const int x = column % patch_ld, y = column / patch_ld % p.patch, channel = column / patch_ld / p.patch;
    if (x >= p.patch) return 0;
    const std::int64_t item = row / patches, patch = row % patches;
    const std::int64_t line = (item * p.channels + channel) * p.image_h + patch / across * p.patch + y;
    return image[line * p.image_w + patch % across * p.patch + x];
  }

  void product_row(const GemmSpec& spec, const Pointer& a, const Pointer& b, const Pointer& c, int m) const {
    const GemmParams& p = spec.params;
    std::vector<float> row(static_cast<std::size_t>(p.k));
    for (int k = 0; k < p.k; ++k)
      row[static_cast<std::size_t>(k)] =
          spec.op.a == GemmA::patches ? patch_pixel(p, a, m, k) : a[std::int64_t{m} * p.lda + k];
    const Statistics s = spec.op.layer_norm ? statistics({&row, 0}, p.k, p.layer_norm_epsilon) : Statistics{0, 1};
    for (int n = 0; n < round_up(p.n, 8); ++n) {
      float sum = 0;
      for (int k = 0; k < p.k && n < p.n; ++k)
        sum += row[static_cast<std::size_t>(k)] *
               (spec.op.b == GemmB::k_by_n ? b[std::int64_t{k} * p.ldb + n] : b[std::int64_t{n} * p.ldb + k]);
      c[n] = n < p.n ? finished(spec, s, sum, m, n) : 0;
    }
  }
  float finished(const GemmSpec& spec, Statistics s, float sum, int m, int n) const {
    if (spec.op.layer_norm) sum = s.rstd * (sum - s.mean * at(offsetof(GemmParams, fold_sum))[n]);
    if (spec.op.bias) sum += at(offsetof(GemmParams, bias))[n];
    sum = activate(spec.op.activation, sum);
    if (!spec.op.residual) return sum;
    const std::int64_t row = m % spec.params.residual_rows;
    return sum + at(offsetof(GemmParams, residual))[row * spec.params.ld_residual + n];
  }

  static void softmax(std::vector<float>& row) {
    float largest = -std::numeric_limits<float>::infinity(), sum = 0;
    for (const float x : row) largest = std::max(largest, x);
    for (float& x : row) sum += x = std::exp(x - largest);
    for (float& x : row) x /= sum;
  }
  static void normalize(const Pointer& x, const Pointer& out, int columns) {
    float squares = 0;
    for (int c = 0; c < columns; ++c) squares += x[c] * x[c];
    for (int c = 0; c < columns; ++c) out[c] = x[c] / std::sqrt(squares);
  }

  void attention_row(const AttentionSpec& spec, const Pointer& q, const Pointer& k, const Pointer& v,
                     const Pointer& out, int item, int query) const {
    const AttentionParams& p = spec.params;
    const AttentionConfig config{spec.op, {}};
    std::vector<float> scores(static_cast<std::size_t>(p.keys));
    for (int j = 0; j < p.keys; ++j) {
      float sum = 0;
      for (int c = 0; c < spec.op.head_dim; ++c) sum += q[c] * k[std::int64_t{j} * p.ldk + c];
      const bool hidden =
          (config.causal() && j > query) ||
          (config.padding() && at(offsetof(AttentionParams, mask))[std::int64_t{item} * p.keys + j] == 0);
      scores[static_cast<std::size_t>(j)] = hidden ? -std::numeric_limits<float>::infinity() : sum * p.scale;
    }
    softmax(scores);
    for (int c = 0; c < spec.op.head_dim; ++c) {
      out[c] = 0;
      for (int j = 0; j < p.keys; ++j) out[c] += scores[static_cast<std::size_t>(j)] * v[std::int64_t{j} * p.ldv + c];
    }
  }

  float pointwise_step(const PointwiseSpec& spec, int step, float x, int r, int c) const {
    const PointwiseParams& p = spec.params;
    const auto operand = [&](std::int64_t row) {
      return at(offsetof(PointwiseParams, operand) +
                static_cast<std::size_t>(step) * sizeof(void*))[row * p.ld_operand[step] + c];
    };
    constexpr float kHidden = -std::numeric_limits<float>::infinity();
    switch (spec.op.steps[step]) {
      case PointwiseStep::end:
        return x;
      case PointwiseStep::add_matrix:
        return x + operand(r);
      case PointwiseStep::add_row:
        return x + operand(0);
      case PointwiseStep::add_table:
        return x + operand(r % p.table_rows);
      case PointwiseStep::scale:
        return x * p.scalar[step];
      case PointwiseStep::gelu:
        return activate(Activation::gelu, x);
      case PointwiseStep::gelu_tanh:
        return activate(Activation::gelu_tanh, x);
      case PointwiseStep::quick_gelu:
        return activate(Activation::quick_gelu, x);
      case PointwiseStep::silu:
        return activate(Activation::silu, x);
      case PointwiseStep::causal_mask:
        return c > r % p.mask_queries ? kHidden : x;
      case PointwiseStep::padding_mask:
        return operand(r / p.rows_per_mask) == 0 ? kHidden : x;
    }
    throw std::logic_error("step");
  }

  float embedding_element(const EmbeddingSpec& spec, int b, int t, int c) const {
    const EmbeddingParams& p = spec.params;
    float value = 0;
    if (spec.op.source == EmbeddingSource::patches) {
      value = patch_pixel(p, at(offsetof(EmbeddingParams, x)), b * p.tokens + t, c);
    } else if (spec.op.source == EmbeddingSource::tokens) {
      const auto id = static_cast<std::int64_t>(at(offsetof(EmbeddingParams, ids))[b * p.tokens + t]);
      value = at(offsetof(EmbeddingParams, table))[id * p.ld + c];
    } else if (spec.op.class_token && t == 0) {
      value = at(offsetof(EmbeddingParams, class_token))[c];
    } else {
      const int before = spec.op.class_token ? 1 : 0;
      value = at(offsetof(EmbeddingParams, x))[(std::int64_t{b} * (p.tokens - before) + t - before) * p.ld + c];
    }
    if (spec.op.position) value += at(offsetof(EmbeddingParams, position))[std::int64_t{t} * p.ld + c];
    return value;
  }

  std::vector<float> pooled(const HeadSpec& spec, int b) const {
    const HeadParams& p = spec.params;
    const Pointer x = at(offsetof(HeadParams, x)) + std::int64_t{b} * p.tokens * p.ldx;
    int token = spec.op.pool == PoolKind::last ? p.tokens - 1 : 0;
    if (spec.op.pool == PoolKind::eot) {
      const Pointer ids = at(offsetof(HeadParams, ids)) + std::int64_t{b} * p.tokens;
      for (token = 0; token < p.tokens && static_cast<int>(ids[token]) != p.eot_token;) ++token;
    }
    std::vector<float> row(static_cast<std::size_t>(p.columns));
    for (int c = 0; c < p.columns; ++c) {
      float& value = row[static_cast<std::size_t>(c)];
      if (spec.op.pool != PoolKind::mean) {
        value = x[std::int64_t{token} * p.ldx + c];
        continue;
      }
      for (int t = 0; t < p.tokens; ++t) value += x[std::int64_t{t} * p.ldx + c] / static_cast<float>(p.tokens);
    }
    return row;
  }
  std::vector<float> projected(const HeadSpec& spec, const std::vector<float>& row) const {
    const HeadParams& p = spec.params;
    std::vector<float> result(static_cast<std::size_t>(p.outputs));
    for (int n = 0; n < p.outputs; ++n) {
      float& sum = result[static_cast<std::size_t>(n)];
      for (int c = 0; c < p.columns; ++c)
        sum += row[static_cast<std::size_t>(c)] * at(offsetof(HeadParams, weight))[std::int64_t{n} * p.ldw + c];
      if (spec.op.bias) sum += at(offsetof(HeadParams, bias))[n];
    }
    return result;
  }

  const Pointers& pointers_;
};

std::vector<float> weight_values(const WeightRecipe& recipe, const WeightProvider& weights) {
  HostTensor tensor{.dtype = recipe.dtype, .shape = {recipe.rows, recipe.ld}, .bytes = make_weight(recipe, weights)};
  const HostTensor floats = convert(tensor, Dtype::f32);
  return {floats.floats().begin(), floats.floats().end()};
}

class Machine {
 public:
  Machine(const Graph& graph, const Lowering& lowering, const WeightProvider& weights)
      : graph_(graph), lowering_(lowering), weights_(weights) {
    // What nobody wrote is not a number.
    for (const BufferInfo& buffer : lowering.buffers)
      buffers_.emplace_back(static_cast<std::size_t>(buffer.rows * buffer.ld), std::numeric_limits<float>::quiet_NaN());
  }

  void set(ValueId value, const HostTensor& tensor) {
    const Pointer start = pointer(value);
    const std::int64_t columns = tensor.shape.back(), ld = layout(value).ld;
    const bool ints = tensor.dtype == Dtype::i32;
    for (std::int64_t i = 0; i < tensor.size() / columns; ++i)
      for (std::int64_t c = 0; c < ld; ++c) {
        const auto from = static_cast<std::size_t>(i * columns + c);
        start[i * ld + c] = c >= columns ? 0 : ints ? static_cast<float>(tensor.ints()[from]) : tensor.floats()[from];
      }
  }

  HostTensor get(ValueId value) {
    const Shape& shape = graph_.values[static_cast<std::size_t>(value)].type.shape;
    const Pointer start = pointer(value);
    std::vector<float> values;
    for (std::int64_t i = 0; i < element_count(shape) / shape.back(); ++i)
      for (std::int64_t c = 0; c < shape.back(); ++c) values.push_back(start[i * layout(value).ld + c]);
    return HostTensor::from_floats(shape, values);
  }

  void run(const LoweredGroup& group) {
    Pointers pointers;
    std::vector<std::vector<float>> recipes;
    recipes.reserve(group.operands.size());
    for (const Operand& operand : group.operands) {
      if (operand.kind == OperandKind::value) pointers[operand.param_offset] = pointer(operand.value);
      if (operand.kind != OperandKind::weight) continue;
      recipes.push_back(weight_values(operand.recipe, weights_));
      pointers[operand.param_offset] = {&recipes.back(), 0};
    }
    std::visit(Family(pointers), group.spec);
  }

 private:
  const ValueLayout& layout(ValueId value) const { return lowering_.layouts[static_cast<std::size_t>(value)]; }
  Pointer pointer(ValueId value) {
    const Dtype dtype = graph_.values[static_cast<std::size_t>(value)].type.dtype;
    return {&buffers_.at(static_cast<std::size_t>(layout(value).buffer)),
            value_offset_bytes(graph_, lowering_, value) / dtype_bytes(dtype)};
  }

  const Graph& graph_;
  const Lowering& lowering_;
  const WeightProvider& weights_;
  std::vector<std::vector<float>> buffers_;
};

}  // namespace

std::map<std::string, HostTensor> interpret(const Graph& graph, const Lowering& lowering,
                                            const std::map<std::string, HostTensor>& inputs,
                                            const WeightProvider& weights) {
  Machine machine(graph, lowering, weights);
  for (const ValueId input : graph.inputs)
    machine.set(input, inputs.at(graph.values[static_cast<std::size_t>(input)].name));
  for (const LoweredGroup& group : lowering.groups) machine.run(group);
  std::map<std::string, HostTensor> results;
  for (const ValueId output : graph.outputs)
    results.emplace(graph.values[static_cast<std::size_t>(output)].name, machine.get(output));
  return results;
}

}  // namespace duet::testing
