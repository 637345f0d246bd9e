#include "base/npy.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "tests/support/temp_dir.h"

namespace duet {
namespace {

std::string npy_bytes(std::string header, std::string_view data, char major = 1) {
  std::string file = "\x93NUMPY";
  file += {major, '\0', static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
  if (major > 1) file += {'\0', '\0'};
  return file + header + std::string(data);
}

class Npy : public testing::Test {
 protected:
  HostTensor read(std::string_view bytes) {
    publish_file(dir_ / "t.npy", bytes);
    return read_npy(dir_ / "t.npy");
  }
  void expect_refused(std::string_view bytes, std::string_view why) {
    try {
      read(bytes);
      FAIL() << "accepted; expected: " << why;
    } catch (const Error& error) {
      const std::string text = error.what();
      EXPECT_EQ(error.kind(), ErrorKind::input);
      EXPECT_NE(text.find("t.npy: "), std::string::npos) << text;
      EXPECT_NE(text.find(why), std::string::npos) << text;
      EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    }
  }
  TempDir dir_;
};

TEST_F(Npy, RoundTrips) {
  const std::vector<HostTensor> tensors = {
      HostTensor::from_floats({2, 3}, std::array{1.0f, -2.5f, 3.0f, 0.0f, HUGE_VALF, 1e-40f}),
      convert(HostTensor::from_floats({3}, std::array{1.0f, -2.5f, 3.0f}), Dtype::f16),
      HostTensor::from_ints({1, 1, 2}, std::array<std::int32_t, 2>{-7, 1 << 30}),
      HostTensor::from_floats({}, std::array{4.5f}),
      HostTensor::zeros(Dtype::f32, {0, 5}),
  };
  for (const HostTensor& tensor : tensors) {
    write_npy(dir_ / "t.npy", tensor);
    EXPECT_EQ(read_npy(dir_ / "t.npy"), tensor) << shape_text(tensor.shape);
  }
}

TEST_F(Npy, BrainFloatsAreWrittenAsFloats) {
  const HostTensor values = HostTensor::from_floats({2}, std::array{1.5f, -3.0f});
  write_npy(dir_ / "t.npy", convert(values, Dtype::bf16));
  EXPECT_EQ(read_npy(dir_ / "t.npy"), values);
}

TEST_F(Npy, DataStartAligned) {
  write_npy(dir_ / "t.npy", HostTensor::zeros(Dtype::f32, {7}));
  EXPECT_EQ(read_binary_file(dir_ / "t.npy", 1000).size() % 64, 28u);
}

TEST_F(Npy, ReadsEveryVersionAndAnyKeyOrder) {
  const std::string data("\x00\x00\x80\x3f", 4);
  const HostTensor one = HostTensor::from_floats({1}, std::array{1.0f});
  for (const char major : {'\1', '\2', '\3'})
    EXPECT_EQ(read(npy_bytes("{\"shape\": (1,), 'fortran_order':False,'descr': '<f4'}\n", data, major)), one);
}

TEST_F(Npy, LongIntegersBecomeInts) {
  const std::array<std::int64_t, 2> fits{-5, 49407};
  const std::array<std::int64_t, 2> too_large{1, std::int64_t{1} << 31};
  const std::string header = "{'descr': '<i8', 'fortran_order': False, 'shape': (2,)}";
  const auto text = [](const auto& values) {
    return std::string(reinterpret_cast<const char*>(values.data()), sizeof values);
  };
  EXPECT_EQ(read(npy_bytes(header, text(fits))), HostTensor::from_ints({2}, std::array<std::int32_t, 2>{-5, 49407}));
  expect_refused(npy_bytes(header, text(too_large)), "value 2147483648 at index 1");
}

TEST_F(Npy, RefusesHostileFiles) {
  const auto with = [](const std::string& descr, const std::string& order, const std::string& shape) {
    return npy_bytes("{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + "}", "12345678");
  };
  expect_refused("", "is not a .npy file");
  expect_refused("PK\x03\x04 a zip archive", "is not a .npy file");
  expect_refused(npy_bytes("{}", "", 9), "version 9");
  expect_refused(npy_bytes("{}", ""), "missing");
  expect_refused(npy_bytes("", ""), "'{' expected");
  expect_refused(npy_bytes("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x", "12345678"), "text after");
  expect_refused(npy_bytes("{'descr': '<f4", ""), "unterminated");
  expect_refused(npy_bytes("{'danger': 1}", ""), "a key other than");
  expect_refused(with("<f8", "False", "(1,)"), "'<f8' is not supported");
  expect_refused(with("|O", "False", "(1,)"), "'|O' is not supported");
  expect_refused(with(">f4", "False", "(2,)"), "'>f4' is not supported");
  expect_refused(with("<f4\n", "False", "(2,)"), "no element type");  // found by fuzzing: two lines of message
  expect_refused(with(std::string(60000, '<'), "False", "(2,)"), "no element type");
  expect_refused(with("<f4", "True", "(1, 2)"), "Fortran");
  expect_refused(with("<f4", "Maybe", "(2,)"), "True or False");
  expect_refused(with("<f4", "False", "(-2,)"), "a dimension");
  expect_refused(with("<f4", "False", "(1.5,)"), "')' expected");
  expect_refused(with("<f4", "False", "(9223372036854775808,)"), "a dimension");
  expect_refused(with("<f4", "False", "(9223372036854775807,)"), "more elements");
  expect_refused(with("<f4", "False", "(4294967296, 4294967296)"), "more elements");
  expect_refused(with("<f4", "False", "(1000000000000,)"), "the file holds 8");
  expect_refused(with("<f4", "False", "(1,)"), "the file holds 8");
  expect_refused(with("<f4", "False", "(2"), "expected");
  std::string deep = "(";
  for (int i = 0; i < 33; ++i) deep += "1,";
  expect_refused(with("<f4", "False", deep + ")"), "32 dimensions");
  std::string lying = npy_bytes("{}", "");
  lying[8] = '\xff';
  lying[9] = '\xff';
  expect_refused(lying, "does not fit the file");
}

TEST_F(Npy, RefusesEveryTruncation) {
  write_npy(dir_ / "whole.npy", HostTensor::zeros(Dtype::f16, {3, 5}));
  const std::string whole = read_text_file(dir_ / "whole.npy", 1000);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    publish_file(dir_ / "t.npy", whole.substr(0, length));
    EXPECT_THROW(read_npy(dir_ / "t.npy"), Error) << length;
  }
}

}  // namespace
}  // namespace duet
