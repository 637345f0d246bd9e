#include "isolation/isolated_compiler.h"

#include <utility>

#include "base/error.h"
#include "isolation/protocol.h"

namespace duet {
namespace {

CompileResult ended(const ChildEnd& end) {
  CompileResult result;
  result.log = fmt::format("compiling: the worker process {}", describe(end));
  result.failure = end.cause == ChildEnd::Cause::timed_out ? CompileFailure::timeout : CompileFailure::crash;
  return result;
}

CompileResult result_of(std::span<const std::byte> reply) {
  MessageReader reader(reply);
  if (reader.get<ReplyStatus>() == ReplyStatus::failed) {
    const Error error = get_failure(reader);
    require_whole(reader);
    throw Error(error.kind() == ErrorKind::missing ? ErrorKind::missing : ErrorKind::device, error.what());
  }
  CompileResult result = get_compile_result(reader);
  require_whole(reader);
  return result;
}

}  // namespace

IsolatedCompiler::IsolatedCompiler(const KernelCompiler& described, IsolationOptions options)
    : described_(described), options_(std::move(options)) {}

std::unique_ptr<ChildProcess> IsolatedCompiler::take_worker() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<ChildProcess> worker = std::move(idle_.back());
      idle_.pop_back();
      return worker;
    }
  }
  return std::make_unique<ChildProcess>(
      ChildOptions{.command = options_.command, .files = {}, .memory_limit_bytes = options_.memory_limit_bytes});
}

void IsolatedCompiler::give_back(std::unique_ptr<ChildProcess> worker) {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(worker));
}

CompileResult IsolatedCompiler::compile(const KernelSource& source, const std::string& arch) {
  MessageWriter request;
  request.put(WorkerRequest::compile);
  put_source(request, source);
  request.put_text(arch);
  std::unique_ptr<ChildProcess> worker = take_worker();
  ChildProcess::Reply reply = worker->call(request.data(), options_.timeout);
  if (reply.end) return ended(*reply.end);
  give_back(std::move(worker));
  return result_of(reply.payload);
}

}  // namespace duet
