#include "runtime/safetensors.h"

#include <gtest/gtest.h>

#include <array>
#include <random>

#include "base/error.h"
#include "base/file.h"
#include "runtime/safetensors_header.h"
#include "tests/support/temp_dir.h"

namespace duet {
namespace {

std::string length_prefix(std::uint64_t length) {
  std::string text;
  for (int i = 0; i < 8; ++i) text += static_cast<char>(length >> (8 * i) & 0xff);
  return text;
}

std::string file_of(const std::string& header, std::size_t data_bytes) {
  return length_prefix(header.size()) + header + std::string(data_bytes, '\1');
}

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

class Safetensors : public testing::Test {
 protected:
  SafetensorsFile open(std::string_view bytes) {
    publish_file(dir_ / "model.safetensors", bytes);
    return SafetensorsFile::open(dir_ / "model.safetensors");
  }
  void expect_refused(std::string_view bytes, std::string_view why) {
    try {
      open(bytes);
      ADD_FAILURE() << "accepted; expected: " << why;
    } catch (const Error& error) {
      const std::string text = error.what();
      EXPECT_EQ(error.kind(), ErrorKind::input);
      EXPECT_TRUE(text.starts_with("model.safetensors: ")) << text;
      EXPECT_NE(text.find(why), std::string::npos) << text << "\nexpected: " << why;
      EXPECT_EQ(text.find('\n'), std::string::npos) << text;
      EXPECT_LT(text.size(), 2000u);
    }
  }
  void expect_header_refused(const std::string& header, std::string_view why) {
    expect_refused(file_of(header, 32), why);
  }
  TempDir dir_;
};

std::vector<std::pair<std::string, HostTensor>> some_tensors() {
  const HostTensor floats = HostTensor::from_floats({2, 3}, std::array{1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f});
  return {{"odd", convert(HostTensor::from_floats({3}, std::array{1.0f, 2.0f, 3.0f}), Dtype::f16)},
          {"a.weight", floats},
          {"b", convert(floats, Dtype::bf16)},
          {"scalar", HostTensor::from_floats({}, std::array{4.0f})},
          {"empty", HostTensor::zeros(Dtype::f32, {0, 4})},
          {"ids", HostTensor::from_ints({2}, std::array<std::int32_t, 2>{7, 8})}};
}

void expect_holds(const SafetensorsFile& file, const std::string& name, const HostTensor& tensor) {
  const TensorView view = file.tensor(name);
  EXPECT_EQ(view.dtype, tensor.dtype) << name;
  EXPECT_EQ(view.shape, tensor.shape) << name;
  EXPECT_TRUE(std::equal(view.bytes.begin(), view.bytes.end(), tensor.bytes.begin(), tensor.bytes.end())) << name;
}

TEST_F(Safetensors, RoundTrips) {
  write_safetensors(dir_ / "model.safetensors", some_tensors());
  for (const auto& path : {dir_ / "model.safetensors", dir_.path()}) {
    const SafetensorsFile file = SafetensorsFile::open(path);
    for (const auto& [name, tensor] : some_tensors()) expect_holds(file, name, tensor);
    EXPECT_EQ(file.names().size(), some_tensors().size());
    EXPECT_THROW(file.tensor("absent"), Error);
  }
}

TEST_F(Safetensors, ShardsAreFoundThroughTheIndex) {
  const auto tensors = some_tensors();
  write_safetensors(dir_ / "part-1.safetensors", {tensors[0], tensors[1]});
  write_safetensors(dir_ / "part-2.safetensors", {tensors[2]});
  publish_file(dir_ / "model.safetensors.index.json",
               R"({"metadata":{}, "weight_map": {"odd": "part-1.safetensors", "a.weight": "part-1.safetensors",
                   "b": "part-2.safetensors"}})");
  const SafetensorsFile file = SafetensorsFile::open(dir_.path());
  for (std::size_t i = 0; i < 3; ++i) expect_holds(file, tensors[i].first, tensors[i].second);
}

TEST_F(Safetensors, RefusesHostileIndexes) {
  write_safetensors(dir_ / "part.safetensors", {some_tensors()[0]});
  for (const char* index :
       {"", "[]", "{}", R"({"weight_map": 3})", R"({"weight_map": {"odd": 3}})", R"({"weight_map": {"odd": "/etc/x"}})",
        R"({"weight_map": {"odd": "../part.safetensors"}})", R"({"weight_map": {"odd": ".."}})",
        R"({"weight_map": {"odd": ""}})", R"({"weight_map": {"odd": "absent.safetensors"}})",
        R"({"weight_map": {"other": "part.safetensors"}})", R"({"weight_map": {"odd": "a\u0000b"}})"}) {
    publish_file(dir_ / "model.safetensors.index.json", index);
    EXPECT_THROW(SafetensorsFile::open(dir_.path()), Error) << index;
  }
}

TEST_F(Safetensors, SaysWhatIsMissing) {
  for (const auto& path : {dir_ / "absent", dir_.path()}) {
    try {
      SafetensorsFile::open(path);
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::missing);
    }
  }
}

TEST_F(Safetensors, UnknownTypesMatterOnlyWhenUsed) {
  const SafetensorsFile file = open(file_of(R"({"ids":)" + entry("I64", "[1]", "[0,8]") + R"(,"f4":)" +
                                                entry("F4", "[3]", "[8,10]") + R"(,"__metadata__":{"format":"pt"}})",
                                            10));
  EXPECT_EQ(file.names().size(), 2u);
  EXPECT_THROW(file.tensor("ids"), Error);
  EXPECT_THROW(file.tensor("f4"), Error);
}

TEST_F(Safetensors, RefusesHostileFraming) {
  expect_refused("", "too few");
  expect_refused("1234567", "too few");
  expect_refused(length_prefix(1) + "", "does not fit");
  expect_refused(length_prefix(~0ull) + "{}", "does not fit");
  expect_refused(length_prefix(1ull << 63) + "{}", "does not fit");
  expect_refused(length_prefix(100'000'001) + "{}", "does not fit");
  expect_refused(length_prefix(3) + "{}", "does not fit");
  expect_refused(length_prefix(0) + "{}", "does not begin");
}

TEST_F(Safetensors, RefusesHostileJson) {
  expect_header_refused("[]", "does not begin");
  expect_header_refused(" {}", "does not begin");
  expect_header_refused("{", "not JSON");
  expect_header_refused("{} x", "not JSON");
  expect_header_refused("{\"a\":", "not JSON");
  expect_header_refused("{\"\xff\xfe\":{}}", "not JSON");
  expect_header_refused("{\"a\nb\":{}}", "not JSON");
  expect_header_refused(R"({"a\nb":{}})", "control characters");
  expect_header_refused(R"({"":{}})", "a name is empty");
  expect_header_refused("{\"" + std::string(2000, 'n') + "\":{}}", "longer than 1024");
  expect_header_refused(R"({"x":3})", "a number is not expected");
  expect_header_refused(R"({"x":[]})", "an array is not expected");
  expect_header_refused(R"({"x":null})", "null");
  expect_header_refused(R"({"x":{}})", "'dtype' is missing");
  expect_header_refused(R"({"x":{"dtype":{}}})", "an object is not expected");
  expect_header_refused(R"({"x":{"other":1}})", "unknown field 'other'");
  expect_header_refused(R"({"__metadata__":{"a":1}})", "a number is not expected");
  expect_header_refused(R"({"__metadata__":{"a":{}}})", "an object is not expected");
  std::string deep = R"({"x":{"shape":)";
  for (int i = 0; i < 1'000'000; ++i) deep += '[';
  expect_header_refused(deep, "an array is not expected");
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  expect_header_refused(objects, "unknown field 'a'");
}

TEST_F(Safetensors, RefusesHostileEntries) {
  const auto one = [](const std::string& value) { return R"({"x":)" + value + "}"; };
  expect_header_refused(one(entry("F32", "[10]", "[10,40]")),
                        "tensor 'x': bytes 10 to 40 lie outside the data (32 bytes)");
  expect_header_refused(one(entry("F32", "[2]", "[16,8]")), "lie outside");
  expect_header_refused(one(entry("F32", "[2]", "[0,9223372036854775807]")), "lie outside");
  expect_header_refused(one(entry("F32", "[2]", "[0,9223372036854775808]")), "does not fit 63 bits");
  expect_header_refused(one(entry("F32", "[2]", "[0,99999999999999999999999]")), "not a whole number");
  expect_header_refused(one(entry("F32", "[2]", "[-8,0]")), "holds -8");
  expect_header_refused(one(entry("F32", "[2]", "[0.0,8]")), "not a whole number");
  expect_header_refused(one(entry("F32", "[2]", "[NaN,8]")), "not JSON");
  expect_header_refused(one(entry("F32", "[2]", "[0]")), "two numbers");
  expect_header_refused(one(entry("F32", "[2]", "[0,8,8]")), "two numbers");
  expect_header_refused(one(entry("F32", "[2]", "\"0,8\"")), "a string is not expected");
  expect_header_refused(one(entry("F32", "[2]", "8")), "a number is not expected");
  expect_header_refused(one(entry("F32", "[[2]]", "[0,8]")), "an array is not expected");
  expect_header_refused(one(entry("F32", "[-2]", "[0,8]")), "holds -2");
  expect_header_refused(one(entry("F32", "[2.5]", "[0,8]")), "not a whole number");
  expect_header_refused(one(entry("F32", "[3]", "[0,8]")), "needs 12 bytes");
  expect_header_refused(one(entry("F16", "[2]", "[0,8]")), "needs 4 bytes");
  expect_header_refused(one(entry("F32", "[9223372036854775807]", "[0,8]")), "more elements");
  expect_header_refused(one(entry("F32", "[4294967296,4294967296]", "[0,0]")), "more elements");
  expect_header_refused(one(entry("F32", "[2305843009213693952,2]", "[0,8]")), "more elements");
  expect_header_refused(one(entry("", "[2]", "[0,8]")), "not a type's name");
  std::string ones = "[1";
  for (int i = 0; i < 40; ++i) ones += ",1";
  expect_header_refused(one(entry("F32", ones + "]", "[0,4]")), "more than 32 numbers");
  const std::string good = entry("F32", "[2]", "[0,8]");
  expect_header_refused(R"({"x":)" + good + R"(,"x":)" + good + "}", "tensor 'x': appears twice");
  expect_header_refused(R"({"x":)" + good + R"(,"y":)" + entry("F32", "[2]", "[4,12]") + "}", "overlap at byte 4");
  expect_header_refused(R"({"x":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "appears twice");
  expect_header_refused(R"({"x":{"shape":[2],"shape":[2],"dtype":"F32","data_offsets":[0,8]}})", "appears twice");
}

TEST_F(Safetensors, RefusesTooManyTensors) {
  std::string header = "{";
  for (int i = 0; i < 100'001; ++i)
    header += (i ? ",\"" : "\"") + std::to_string(i) + "\":" + entry("F32", "[0]", "[0,0]");
  expect_header_refused(header + "}", "more than 100000 tensors");
}

TEST_F(Safetensors, RefusesEveryTruncation) {
  write_safetensors(dir_ / "whole", some_tensors());
  const std::string whole = read_text_file(dir_ / "whole", 10000);
  for (std::size_t length = 0; length < whole.size(); ++length)
    EXPECT_THROW(open(whole.substr(0, length)), Error) << length;
}

// Random damage is refused, or leaves every tensor inside the file.
TEST_F(Safetensors, SurvivesDamagedHeaders) {
  write_safetensors(dir_ / "whole", some_tensors());
  const std::string whole = read_text_file(dir_ / "whole", 10000);
  const std::size_t header_bytes =
      static_cast<unsigned char>(whole[8 - 8]) + 256u * static_cast<unsigned char>(whole[1]);
  const std::string header = whole.substr(8, header_bytes);
  const std::size_t data_bytes = whole.size() - 8 - header_bytes;
  std::mt19937 random(7);
  for (int round = 0; round < 20000; ++round) {
    std::string damaged = header;
    for (int change = 0; change < 1 + round % 3; ++change)
      damaged[random() % damaged.size()] =
          round % 2 ? static_cast<char>(random()) : "0123456789[]{},:\""[random() % 17];
    try {
      for (const auto& [name, e] : parse_safetensors_header(damaged, data_bytes, "f")) {
        ASSERT_LE(e.begin, e.end);
        ASSERT_LE(e.end, data_bytes);
      }
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace duet
