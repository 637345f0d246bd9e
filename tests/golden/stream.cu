// stream: plain | threads 512, vectors a thread 4
#include "templates/stream.cuh"

namespace duet {

struct stream_t512_v4_config {
  static constexpr StreamConfig value = [] {
    StreamConfig c{};
    c.tile.threads = 512;
    c.tile.vectors_per_thread = 4;
    return c;
  }();
};

DUET_KERNEL(stream_t512_v4, StreamParams,
            stream_t512_v4_config::value.threads(), 1) {
  stream<stream_t512_v4_config>(params);
}

}  // namespace duet
