// The C++ names of the enumerators that configurations hold: for generated source, and in short form for people.
#pragma once

#include <string_view>

#include "templates/embedding_config.h"
#include "templates/gemm_config.h"
#include "templates/image_config.h"
#include "templates/norm_config.h"
#include "templates/pointwise_config.h"

namespace duet {

std::string_view enumerator(Activation value);  // "quick_gelu"
std::string_view enumerator(AttentionMask value);
std::string_view enumerator(PoolKind value);
std::string_view enumerator(GemmA value);
std::string_view enumerator(GemmB value);
std::string_view enumerator(RowFunction value);
std::string_view enumerator(PointwiseStep value);
std::string_view enumerator(EmbeddingSource value);
std::string_view enumerator(ImagePass value);

}  // namespace duet
