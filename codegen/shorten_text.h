// A text tower for fewer tokens. In a causal tower a token depends on none behind it, and only the end-of-text token is
// pooled: what comes behind the longest text of a batch cannot change the result and need not be computed.
#pragma once

#include <cstdint>

#include "base/tensor.h"
#include "codegen/graph.h"

namespace duet {

// The graph with its token ids cut to the first `tokens` columns, and the tower behind them; weights are those of the
// whole, of which the positions' first rows are used. The graph itself when it takes as many. Throws Error(usage) with
// the node when the tower is not causal or pools otherwise than at the end of text, and for a length that is none.
Graph shorten_text(const Graph& graph, std::int64_t tokens);

// The tokens of the longest text that a graph's pool reads: up to the first end-of-text token of a row, which pools
// token 0 when there is none. `ids`: its token ids, i32 (texts, tokens). Throws as shorten_text for such a tower.
std::int64_t longest_text(const Graph& graph, const HostTensor& ids);

// The name of the token ids of such a tower. Throws likewise.
const std::string& text_input(const Graph& graph);

}  // namespace duet
