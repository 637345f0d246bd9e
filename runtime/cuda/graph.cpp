#include "runtime/cuda/graph.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "runtime/cuda/graph_timer.h"
#include "runtime/cuda/launch_config.h"
#include "runtime/cuda/nvtx.h"

namespace duet {
namespace {

constexpr int kMaxStreams = 64;

// By stream, of its launches.
std::vector<StreamShare> stream_shares(std::span<const Launch> launches) {
  std::vector<StreamShare> shares(1);
  std::vector<bool> known(1);
  for (const Launch& launch : launches) {
    const auto stream = static_cast<std::size_t>(launch.stream);
    if (stream >= shares.size()) {
      shares.resize(stream + 1);
      known.resize(stream + 1);
    }
    if (known[stream] && !(shares[stream] == launch.share))
      fail(ErrorKind::internal, "launch {}: its share is not that of stream {}", launch.name, stream);
    shares[stream] = launch.share;
    known[stream] = true;
  }
  return shares;
}

bool has_priorities(std::span<const Launch> launches) {
  return std::any_of(launches.begin(), launches.end(), [](const Launch& launch) { return launch.share.priority > 0; });
}

// The parts of the SMs that streams keep to, by stream; null for those that use all of them.
std::vector<const GreenContext*> stream_parts(const CudaContext& context, std::span<const StreamShare> shares) {
  std::vector<const GreenContext*> of_stream(shares.size());
  std::vector<int> wanted;
  for (const StreamShare& share : shares)
    if (share.sms > 0) wanted.push_back(share.sms);
  if (wanted.empty()) return of_stream;
  const std::vector<const GreenContext*> parts = context.parts(wanted);
  if (parts.empty()) {
    warn("this GPU cannot give {} SMs to streams of their own (green contexts, CUDA 12.4): they share all of its SMs",
         fmt::join(wanted, " and "));
    return of_stream;
  }
  auto next = parts.begin();
  for (std::size_t stream = 0; stream < shares.size(); ++stream)
    if (shares[stream].sms > 0) of_stream[stream] = *next++;
  return of_stream;
}

// Where a stream has a part of the SMs, what belongs to it is made in the part's context.
class PartScope {
 public:
  PartScope(const CudaDriver& driver, const GreenContext* part) {
    if (part != nullptr) scope_.emplace(driver, part->context());
  }

 private:
  std::optional<CudaContext::Scope> scope_;
};

void check_launches(std::span<const Launch> launches) {
  for (std::size_t i = 0; i < launches.size(); ++i) {
    const Launch& launch = launches[i];
    if (launch.stream < 0 || launch.stream >= kMaxStreams) {
      fail(ErrorKind::internal, "launch {}: stream {} is outside [0, {})", launch.name, launch.stream, kMaxStreams);
    }
    for (const int wait : launch.waits) {
      if (wait < 0 || static_cast<std::size_t>(wait) >= i) {
        fail(ErrorKind::internal, "launch {} (number {}) waits for number {}, which is not before it", launch.name, i,
             wait);
      }
    }
  }
}

// Records launches into one graph. Stream 0 is the origin; another stream forks from it at its first launch, and joins
// at the end. An event follows only the launches that another stream waits for.
class Recorder {
 public:
  Recorder(const CudaContext& context, std::span<const Launch> launches)
      : context_(context),
        driver_(context.driver()),
        programmatic_(context.programmatic_launch()),
        launches_(launches),
        parts_(stream_parts(context, stream_shares(launches))),
        done_(launches.size()) {
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      const PartScope scope(driver_, parts_[i]);
      streams_.push_back(parts_[i] != nullptr ? parts_[i]->make_stream() : context.make_stream());
    }
    if (has_priorities(launches)) {
      int least = 0;
      DUET_CUDA_CHECK(driver_, cuCtxGetStreamPriorityRange(&least, &high_priority_));
    }
    forked_.resize(streams_.size());
    previous_.resize(streams_.size());
  }

  CudaGraph record() {
    // Relaxed: other threads may load weights meanwhile.
    DUET_CUDA_CHECK(driver_, cuStreamBeginCapture(stream(0), CU_STREAM_CAPTURE_MODE_RELAXED));
    try {
      record_launches();
      join();
    } catch (...) {
      CUgraph partial = nullptr;
      static_cast<void>(driver_.cuStreamEndCapture(stream(0), &partial));
      const CudaGraph discarded(partial, driver_.cuGraphDestroy);
      throw;
    }
    CUgraph graph = nullptr;
    DUET_CUDA_CHECK(driver_, cuStreamEndCapture(stream(0), &graph));
    return {graph, driver_.cuGraphDestroy};
  }

 private:
  CUstream stream(std::size_t index) const { return streams_[index].get(); }

  CUevent record_event(std::size_t index) {
    const PartScope scope(driver_, parts_[index]);
    events_.push_back(context_.make_event(CU_EVENT_DISABLE_TIMING));
    DUET_CUDA_CHECK(driver_, cuEventRecord(events_.back().get(), stream(index)));
    return events_.back().get();
  }

  void record_launches() {
    const std::vector<bool> awaited = find_awaited();
    CUevent start = record_event(0);
    forked_[0] = true;
    for (std::size_t i = 0; i < launches_.size(); ++i) {
      const Launch& launch = launches_[i];
      const auto own = static_cast<std::size_t>(launch.stream);
      if (!forked_[own]) {
        DUET_CUDA_CHECK(driver_, cuStreamWaitEvent(stream(own), start, 0));
        forked_[own] = true;
      }
      wait_for_others(launch, own);
      record_launch(launch, own, may_overlap(launch, own));
      previous_[own] = &launch;
      if (awaited[i]) done_[i] = record_event(own);
    }
  }

  std::vector<bool> find_awaited() const {
    std::vector<bool> awaited(launches_.size());
    for (const Launch& launch : launches_) {
      for (const int wait : launch.waits) {
        const auto earlier = static_cast<std::size_t>(wait);
        if (launches_[earlier].stream != launch.stream) awaited[earlier] = true;
      }
    }
    return awaited;
  }

  void wait_for_others(const Launch& launch, std::size_t own) {
    for (const int wait : launch.waits) {
      const auto earlier = static_cast<std::size_t>(wait);
      if (launches_[earlier].stream == launch.stream) continue;
      DUET_CUDA_CHECK(driver_, cuStreamWaitEvent(stream(own), done_[earlier], 0));
    }
  }

  // A launch that depends on nothing but the kernel before it on its stream, both waiting for their predecessors
  // themselves. That the one before it does so too keeps the chain of waits whole.
  bool may_overlap(const Launch& launch, std::size_t own) const {
    const Launch* before = previous_[own];
    return programmatic_ && launch.programmatic && before != nullptr && before->programmatic &&
           std::none_of(launch.waits.begin(), launch.waits.end(),
                        [&](int wait) { return launches_[static_cast<std::size_t>(wait)].stream != launch.stream; });
  }

  // The driver reads as many bytes as the kernel declares, whatever it is given.
  void require_param_size(const Launch& launch) const {
    if (driver_.cuKernelGetParamInfo == nullptr || launch.params.empty()) return;
    auto* kernel = reinterpret_cast<CUkernel>(launch.kernel.handle);
    std::size_t offset = 0, size = 0;
    DUET_CUDA_CHECK(driver_, cuKernelGetParamInfo(kernel, 0, &offset, &size));
    if (size != launch.params.size())
      fail(ErrorKind::device, "launch {}: {} bytes of parameters for a kernel that takes {}", launch.name,
           launch.params.size(), size);
  }

  void record_launch(const Launch& launch, std::size_t own, bool overlap) const {
    const NvtxLaunchRanges ranges(launch.name);
    // By pointer: passed as a buffer with its size, which the driver would check, a block that is aligned to 64 bytes
    // (tensor maps) arrives displaced. Seen with driver 580.
    require_param_size(launch);
    std::vector<std::byte> params = launch.params;
    void* pointers[] = {params.data()};
    auto* function = reinterpret_cast<CUfunction>(launch.kernel.handle);
    std::array<CUlaunchAttribute, 2> attributes{};
    CUlaunchConfig config = launch_config(launch, stream(own));
    config.attrs = attributes.data();
    if (overlap) {
      CUlaunchAttribute& serialization = attributes[config.numAttrs++];
      serialization.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
      serialization.value.programmaticStreamSerializationAllowed = 1;
    }
    if (launch.share.priority > 0) {
      CUlaunchAttribute& priority = attributes[config.numAttrs++];
      priority.id = CU_LAUNCH_ATTRIBUTE_PRIORITY;
      priority.value.priority = high_priority_;
    }
    const CUresult result = driver_.cuLaunchKernelEx(&config, function, params.empty() ? nullptr : pointers, nullptr);
    if (result == CUDA_SUCCESS) return;
    fail(ErrorKind::device, "launch {} (grid {}x{}x{}, {} threads, {} bytes of shared memory): {}", launch.name,
         launch.grid.x, launch.grid.y, launch.grid.z, launch.threads, launch.smem_bytes, driver_.error_text(result));
  }

  void join() {
    for (std::size_t i = 1; i < streams_.size(); ++i) {
      if (!forked_[i]) continue;
      DUET_CUDA_CHECK(driver_, cuStreamWaitEvent(stream(0), record_event(i), 0));
    }
  }

  const CudaContext& context_;
  const CudaDriver& driver_;
  bool programmatic_;
  std::span<const Launch> launches_;
  std::vector<const GreenContext*> parts_;  // by stream; null: all SMs
  int high_priority_ = 0;
  std::vector<CudaStream> streams_;
  std::vector<bool> forked_;
  std::vector<const Launch*> previous_;  // by stream
  std::vector<CudaEvent> events_;
  std::vector<CUevent> done_;  // by launch
};

// "text.qkv" or "124 launches: vision.patches, vision.embed, text.embed, ...": which kernel of a graph failed is not
// told.
std::string name_launches(std::span<const Launch> launches) {
  if (launches.size() == 1) return launches.front().name;
  constexpr std::size_t kShown = 8;
  std::string text = fmt::format("one of {} launches:", launches.size());
  for (std::size_t i = 0; i < std::min(launches.size(), kShown); ++i) {
    text += (i == 0 ? " " : ", ") + launches[i].name;
  }
  return launches.size() > kShown ? text + ", ..." : text;
}

class GraphExecutable : public Executable {
 public:
  GraphExecutable(const CudaContext& context, Device& device, std::span<const Launch> launches)
      : context_(context), device_(device), names_(name_launches(launches)) {
    const CudaContext::Scope scope(context_);
    const CudaGraph graph = Recorder(context_, launches).record();
    const CudaDriver& driver = context_.driver();
    CUgraphExec executable = nullptr;
    // Else every node would have the priority of the stream that the graph is launched into.
    const unsigned int flags = has_priorities(launches) ? CUDA_GRAPH_INSTANTIATE_FLAG_USE_NODE_PRIORITY : 0;
    DUET_CUDA_CHECK(driver, cuGraphInstantiateWithFlags(&executable, graph.get(), flags));
    executable_ = CudaGraphExec(executable, driver.cuGraphExecDestroy);
    stream_ = context_.make_stream();
    DUET_CUDA_CHECK(driver, cuGraphUpload(executable_.get(), stream_.get()));
    DUET_CUDA_CHECK(driver, cuStreamSynchronize(stream_.get()));
  }

  ~GraphExecutable() override {
    try {
      const CudaContext::Scope scope(context_);
      timer_ = nullptr;
      executable_ = {};
      stream_ = {};
    } catch (const Error&) {
      // The context is gone, and what was made in it.
    }
  }

  void run() override { run_queued(1); }

  void run_queued(int count) override {
    guarded([&] {
      const NvtxRange range("duet replay");
      for (int i = 0; i < count; ++i) {
        DUET_CUDA_CHECK(context_.driver(), cuGraphLaunch(executable_.get(), stream_.get()));
      }
      DUET_CUDA_CHECK(context_.driver(), cuStreamSynchronize(stream_.get()));
    });
  }

  std::vector<double> time_us(int samples, CacheState caches) override {
    std::vector<double> times;
    if (samples <= 0) return times;
    if (!timer_) {
      const CudaContext::Scope scope(context_);
      timer_ = std::make_unique<GraphTimer>(context_, device_, stream_.get(), executable_.get());
    }
    guarded([&] { times = timer_->time_us(samples, caches); });
    return times;
  }

 private:
  // A failed kernel shows at a later call, and every call fails from then on.
  template <typename Work>
  void guarded(const Work& work) {
    try {
      const CudaContext::Scope scope(context_);
      work();
    } catch (const Error& error) {
      fail(ErrorKind::device, "{} failed: {}; start a new process to use this GPU again", names_, error.what());
    }
  }

  const CudaContext& context_;
  Device& device_;
  std::string names_;
  CudaStream stream_;
  CudaGraphExec executable_;
  std::unique_ptr<GraphTimer> timer_;
};

}  // namespace

std::unique_ptr<Executable> capture_graph(const CudaContext& context, Device& device,
                                          std::span<const Launch> launches) {
  if (launches.empty()) fail(ErrorKind::internal, "a graph of no launches was asked for");
  check_launches(launches);
  return std::make_unique<GraphExecutable>(context, device, launches);
}

}  // namespace duet
