// The exception for what stops a job: bad input, a missing driver, a corrupt store. Expected outcomes (a candidate that
// does not compile, a wrong result) are values instead.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace duet {

// Why a job stopped. The values are the exit codes of the `duet` command.
enum class ErrorKind : int {
  internal = 1,   // a defect of Duet
  usage = 2,      // wrong flags or arguments
  input = 3,      // a file or tensor that is malformed or does not fit
  missing = 4,    // something this machine lacks: driver, compiler, weights, plan
  device = 5,     // the device or its driver failed
  no_result = 6,  // the work ran, and nothing valid came of it
};

// The message is one line: the object, the value, the next step.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

template <typename... Args>
[[noreturn]] void fail(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace duet
