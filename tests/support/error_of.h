// What an Error says, in tests.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "base/error.h"

namespace duet {

// The message of the Error that `work` throws: of this kind and one line, or the test fails.
std::string error_of(ErrorKind kind, const auto& work) try {
  work();
  ADD_FAILURE() << "no error";
  return {};
} catch (const Error& error) {
  const std::string message = error.what();
  EXPECT_EQ(error.kind(), kind) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  return message;
}

}  // namespace duet
