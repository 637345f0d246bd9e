// Matrix products: [patch_extract | layer_norm] matmul+ [bias_add] [activation] [add | add_position] [row_sums].
#include <cstddef>

#include "codegen/lower_group.h"

namespace duet {
namespace {

struct Product {
  const Node* patches = nullptr;
  const Node* norm = nullptr;
  std::vector<const Node*> matmuls;
  std::vector<const Node*> biases;  // by matmul; null where there is none
  const Node* activation = nullptr;
  const Node* add = nullptr;  // add or add_position
  const Node* row_sums = nullptr;
  ValueId result = kNone;  // of the last node but row_sums

  bool any_bias() const {
    for (const Node* bias : biases)
      if (bias != nullptr) return true;
    return false;
  }
  std::vector<WeightSource> weights() const {
    std::vector<WeightSource> sources;
    for (const Node* matmul : matmuls) sources.push_back(weight_source(*matmul, "weight"));
    return sources;
  }
};

// Sorts the group's nodes into their places.
Product find_parts(const GroupLowering& lowering) {
  Product product;
  for (const Node* node : lowering.nodes()) {
    if (node->op != OpKind::row_sums) product.result = node->output;
    switch (node->op) {
      case OpKind::row_sums:
        product.row_sums = node;
        break;
      case OpKind::patch_extract:
        product.patches = node;
        break;
      case OpKind::layer_norm:
        product.norm = node;
        break;
      case OpKind::matmul:
        product.matmuls.push_back(node);
        break;
      case OpKind::bias_add:
        break;
      case OpKind::add:
      case OpKind::add_position:
        product.add = node;
        break;
      default:
        if (activation_of(node->op) == Activation::none)
          lowering.unsupported("a matrix product does not take in '{}'", node->name);
        product.activation = node;
    }
  }
  for (const Node* matmul : product.matmuls) {
    const Node* bias = lowering.consumer_inside(matmul->output);
    product.biases.push_back(bias != nullptr && bias->op == OpKind::bias_add ? bias : nullptr);
  }
  const bool packed = product.matmuls.size() > 1;
  if (packed && (product.patches != nullptr || product.activation != nullptr || product.add != nullptr ||
                 product.row_sums != nullptr))
    lowering.unsupported("packed products take only a layer norm and biases");
  if (product.patches != nullptr && product.norm != nullptr)
    lowering.unsupported("patches cannot be normalised on their way into a product");
  return product;
}

// A pack needs a bias for each part: zeros stand in where one is missing.
std::vector<WeightSource> bias_sources(const Product& product) {
  std::vector<WeightSource> sources;
  if (!product.any_bias()) return sources;
  for (std::size_t i = 0; i < product.matmuls.size(); ++i) {
    const WeightSource& matrix = weight_source(*product.matmuls[i], "weight");
    const std::int64_t rows = matrix.row_end - matrix.row_begin;
    sources.push_back(product.biases[i] != nullptr ? weight_source(*product.biases[i], "bias")
                                                   : WeightSource{"", {rows}, 0, rows});
  }
  return sources;
}

void set_rows_operand(GroupLowering& lowering, const Product& product, GemmSpec& spec) {
  const Node& first = product.norm != nullptr ? *product.norm : *product.matmuls.front();
  const MatrixView a = lowering.matrix(first.inputs[0]);
  spec.params.m = a.rows;
  spec.params.k = a.columns;
  spec.params.lda = a.ld;
  lowering.read(offsetof(GemmParams, a), first.inputs[0]);
}

// The widest copy that the start of every 8-element group of every line of every patch is aligned to.
int patch_copy_bytes(int patch, int image_w) {
  const int alignment = patch | image_w;
  return alignment % 8 == 0 ? 16 : alignment % 4 == 0 ? 8 : 4;
}

void set_patches_operand(GroupLowering& lowering, const Product& product, GemmSpec& spec) {
  const ValueId image = product.patches->inputs[0];
  const ValueId rows = product.patches->output;
  GemmParams& p = spec.params;
  p.channels = lowering.extent(image, 1);
  p.image_h = lowering.extent(image, 2);
  p.image_w = lowering.extent(image, 3);
  p.patch = product.patches->attributes.patch;
  if (p.patch % 2 != 0 || p.image_w % 2 != 0)
    lowering.unsupported("patches of {} in lines of {} pixels cannot be read in place", p.patch, p.image_w);
  p.m = lowering.extent(rows, 0) * lowering.extent(rows, 1);
  p.k = lowering.extent(rows, 2);
  p.lda = p.k;
  spec.op.a = GemmA::patches;
  spec.op.patch_copy_bytes = patch_copy_bytes(p.patch, p.image_w);
  lowering.read(offsetof(GemmParams, a), image);
}

WeightRecipe plain_weight(const GroupLowering& lowering, const Product& product) {
  const WeightSource& first = weight_source(*product.matmuls.front(), "weight");
  return first.shape.size() == 4 ? lowering.patch_recipe("weight", first)
                                 : lowering.matrix_recipe("weight", product.weights());
}

// The norm's scale goes into the matrix, its shift into the bias: C = rstd (acc - mean fold_sum) + bias.
void set_folded_weights(GroupLowering& lowering, const Product& product, GemmSpec& spec) {
  WeightRecipe matrix = lowering.matrix_recipe("weight", product.weights());
  matrix.kind = RecipeKind::folded_matrix;
  matrix.gamma = weight_source(*product.norm, "gamma");
  matrix.beta = weight_source(*product.norm, "beta");

  WeightRecipe sum = matrix;
  sum.kind = RecipeKind::folded_sum;
  sum.name = lowering.group().name + ".fold_sum";
  sum.fold_dtype = matrix.dtype;
  sum.dtype = Dtype::f32;
  sum.columns = sum.ld = 1;

  WeightRecipe bias = sum;
  bias.kind = RecipeKind::folded_bias;
  bias.name = lowering.group().name + ".bias";
  bias.bias = bias_sources(product);

  spec.op.layer_norm = spec.op.bias = true;
  spec.params.layer_norm_epsilon = product.norm->attributes.epsilon;
  if (product.norm->inputs.size() == 2) {
    spec.op.reads_row_sums = true;
    spec.params.row_sum_tiles = lowering.extent(product.norm->inputs[1], 0);
    lowering.read(offsetof(GemmParams, row_sums_in), product.norm->inputs[1]);
  }
  spec.params.ldb = static_cast<int>(matrix.ld);
  spec.params.n = static_cast<int>(matrix.rows);
  lowering.weight(offsetof(GemmParams, b), std::move(matrix));
  lowering.weight(offsetof(GemmParams, bias), std::move(bias));
  lowering.weight(offsetof(GemmParams, fold_sum), std::move(sum));
}

void set_plain_weights(GroupLowering& lowering, const Product& product, GemmSpec& spec) {
  WeightRecipe matrix = plain_weight(lowering, product);
  spec.params.ldb = static_cast<int>(matrix.ld);
  spec.params.n = static_cast<int>(matrix.rows);
  lowering.weight(offsetof(GemmParams, b), std::move(matrix));
  spec.op.bias = product.any_bias();
  if (spec.op.bias) lowering.weight(offsetof(GemmParams, bias), lowering.vector_recipe("bias", bias_sources(product)));
}

void set_residual(GroupLowering& lowering, const Product& product, GemmSpec& spec) {
  if (product.add == nullptr) return;
  spec.op.residual = true;
  if (product.add->op == OpKind::add_position) {
    WeightRecipe table = lowering.matrix_recipe("position", {weight_source(*product.add, "position")});
    spec.params.residual_rows = static_cast<int>(table.rows);
    spec.params.ld_residual = static_cast<int>(table.ld);
    lowering.weight(offsetof(GemmParams, residual), std::move(table));
    return;
  }
  // The operand that the group does not make itself.
  const std::vector<ValueId>& inputs = product.add->inputs;
  const auto made_inside = [&](ValueId value) {
    for (const Node* node : lowering.nodes())
      if (node->output == value) return true;
    return false;
  };
  const ValueId other = made_inside(inputs[0]) ? inputs[1] : inputs[0];
  spec.params.residual_rows = spec.params.m;
  spec.params.ld_residual = lowering.matrix(other).ld;
  lowering.read(offsetof(GemmParams, residual), other);
}

}  // namespace

GemmSpec lower_product(GroupLowering& lowering) {
  const Product product = find_parts(lowering);
  GemmSpec spec;
  spec.op.dtype = lowering.precision();
  spec.params.batch = spec.params.batch_inner = 1;
  if (product.patches != nullptr)
    set_patches_operand(lowering, product, spec);
  else
    set_rows_operand(lowering, product, spec);
  if (product.norm != nullptr)
    set_folded_weights(lowering, product, spec);
  else
    set_plain_weights(lowering, product, spec);
  if (product.activation != nullptr) spec.op.activation = activation_of(product.activation->op);
  set_residual(lowering, product, spec);
  // Packed parts share their buffer's leading dimension; the first one begins it.
  const bool packed = product.matmuls.size() > 1;
  const Node& first = *product.matmuls.front();
  const ValueId first_part = product.biases.front() != nullptr ? product.biases.front()->output : first.output;
  const ValueId result = packed ? first_part : product.result;
  spec.params.ldc = lowering.matrix(result).ld;
  lowering.write(offsetof(GemmParams, c), result);
  if (product.row_sums != nullptr) {
    spec.op.writes_row_sums = true;
    lowering.write(offsetof(GemmParams, row_sums_out), product.row_sums->output);
  }
  lowering.scratch(offsetof(GemmParams, workspace), OperandKind::workspace);
  lowering.scratch(offsetof(GemmParams, counters), OperandKind::counters);
  return spec;
}

}  // namespace duet
