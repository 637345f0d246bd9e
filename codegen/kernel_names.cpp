#include "codegen/kernel_names.h"

#include "base/error.h"

namespace duet {
namespace {

// Enumerators are numbered from 0 without gaps.
template <class Enum, std::size_t kCount>
std::string_view name_of(Enum value, const std::string_view (&names)[kCount]) {
  const auto index = static_cast<std::size_t>(value);
  if (index >= kCount) fail(ErrorKind::internal, "enumerator {} has no name", static_cast<int>(value));
  return names[index];
}

}  // namespace

std::string_view enumerator(Activation value) {
  static constexpr std::string_view kNames[] = {"none", "gelu", "gelu_tanh", "quick_gelu", "silu"};
  return name_of(value, kNames);
}
std::string_view enumerator(AttentionMask value) {
  static constexpr std::string_view kNames[] = {"none", "causal", "padding", "causal_padding"};
  return name_of(value, kNames);
}
std::string_view enumerator(PoolKind value) {
  static constexpr std::string_view kNames[] = {"first", "last", "eot", "mean"};
  return name_of(value, kNames);
}
std::string_view enumerator(GemmA value) {
  static constexpr std::string_view kNames[] = {"rows", "patches"};
  return name_of(value, kNames);
}
std::string_view enumerator(GemmB value) {
  static constexpr std::string_view kNames[] = {"n_by_k", "k_by_n"};
  return name_of(value, kNames);
}
std::string_view enumerator(RowFunction value) {
  static constexpr std::string_view kNames[] = {"layer_norm", "l2_normalize", "softmax"};
  return name_of(value, kNames);
}
std::string_view enumerator(PointwiseStep value) {
  static constexpr std::string_view kNames[] = {"end",   "add_matrix",  "add_row",     "add_table",
                                                "scale", "gelu",        "gelu_tanh",   "quick_gelu",
                                                "silu",  "causal_mask", "padding_mask"};
  return name_of(value, kNames);
}
std::string_view enumerator(EmbeddingSource value) {
  static constexpr std::string_view kNames[] = {"tokens", "sequence", "patches"};
  return name_of(value, kNames);
}
std::string_view enumerator(ImagePass value) {
  static constexpr std::string_view kNames[] = {"rows", "columns"};
  return name_of(value, kNames);
}

}  // namespace duet
