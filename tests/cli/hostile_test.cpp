// What a user may hand to the command by mistake or malice: each is refused in one line, with the documented exit code,
// within five seconds and a gigabyte.
#include <gtest/gtest.h>

#include <cstring>

#include "base/file.h"
#include "runtime/safetensors.h"
#include "tests/cli/cli_fixture.h"
#include "tests/support/png_file.h"

namespace duet {
namespace {

constexpr int kUsage = 2, kInput = 3, kMissing = 4;
constexpr double kMaxSeconds = 5;
constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 30;

class Hostile : public CommandTest {
 protected:
  Hostile() {
    limited_ = options_;
    limited_.memory_bytes = DUET_SANITIZED ? 0 : kMaxBytes;
    limited_.timeout_s = DUET_SANITIZED ? 60 : kMaxSeconds;
  }

  // `codes` are the exit codes that are right.
  void refused(const std::string& what, std::vector<int> codes, const Arguments& arguments) {
    const Outcome outcome = run_duet(arguments, limited_);
    SCOPED_TRACE(what);
    EXPECT_FALSE(outcome.timed_out);
    EXPECT_EQ(outcome.signal, 0);
    EXPECT_TRUE(std::find(codes.begin(), codes.end(), outcome.exit_code) != codes.end())
        << outcome.exit_code << ": " << outcome.err;
    EXPECT_EQ(line_count(outcome.err), 1) << outcome.err;
    EXPECT_LT(outcome.err.size(), 4096u);
    EXPECT_TRUE(outcome.out.empty()) << outcome.out.substr(0, 300);
    ++cases_;
  }

  std::string store() {
    if (!std::filesystem::exists(folder_ / "good.db")) expect_exit(0, short_tune("good.db"));
    return (folder_ / "good.db").string();
  }

  ProcessOptions limited_;
  int cases_ = 0;
};

std::string repeated(const std::string& text, int count) {
  std::string all;
  all.reserve(text.size() * static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

const std::string kHead =
    "duet: 1\nname: g\ninputs: {x: {dtype: float, shape: [B, 4, 8]}}\ntowers:\n  t:\n    nodes:\n";

// Name and content of graphs that are none.
std::vector<std::pair<std::string, std::string>> bad_graphs() {
  return {
      {"empty", ""},
      {"spaces", "   \n\n"},
      {"binary", std::string("\x00\x01\xff\xfe\x7f"
                             "ELF",
                             8)},
      {"not UTF-8", "duet: 1\nname: \xff\xfe\n"},
      {"a scalar", "hello"},
      {"a list", "- a\n- b\n"},
      {"wrong version", "duet: 99\nname: g\n"},
      {"unknown key", kHead + "      - {name: n, op: gelu, input: x}\nwhat: ever\n"},
      {"unknown op", kHead + "      - {name: n, op: explode, input: x}\noutputs: {y: t.n}\n"},
      {"unknown input", kHead + "      - {name: n, op: gelu, input: y}\noutputs: {y: t.n}\n"},
      {"itself as input", kHead + "      - {name: n, op: gelu, input: n}\noutputs: {y: t.n}\n"},
      {"duplicate node", kHead + "      - {name: n, op: gelu, input: x}\n      - {name: n, op: gelu, input: x}\n"},
      {"duplicate key", "duet: 1\nduet: 1\n"},
      {"unclosed", "duet: [1, 2\n"},
      {"tabs", "duet:\t1\n\tname: g\n"},
      {"anchors", "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"},
      {"tags", "duet: !!python/object 1\n"},
      {"deep nesting", "duet: " + repeated("[", 5000)},
      {"deep maps", repeated("{a: ", 5000)},
      {"many nodes", "duet: 1\nlist: [" + repeated("1,", 200000) + "1]\n"},
      {"too large", "duet: 1\n# " + repeated("x", 4 << 20)},
      {"long name", "duet: 1\nname: " + repeated("n", 100000) + "\n"},
      {"line break in a name", "duet: 1\n\"na\\nme\": g\n"},
      {"huge shape",
       "duet: 1\nname: g\ninputs: {x: {dtype: float, shape: [B, 2000000000, 2000000000, 2000000000]}}\n"
       "towers: {t: {nodes: [{name: n, op: gelu, input: x}]}}\noutputs: {y: t.n}\n"},
      {"negative shape",
       "duet: 1\nname: g\ninputs: {x: {dtype: float, shape: [B, -4]}}\n"
       "towers: {t: {nodes: [{name: n, op: gelu, input: x}]}}\noutputs: {y: t.n}\n"},
      {"a size that is no number",
       "duet: 1\nname: g\ninputs: {x: {dtype: float, shape: [B, .nan]}}\n"
       "towers: {t: {nodes: [{name: n, op: gelu, input: x}]}}\noutputs: {y: t.n}\n"},
      {"an infinite size",
       "duet: 1\nname: g\ninputs: {x: {dtype: float, shape: [B, .inf]}}\n"
       "towers: {t: {nodes: [{name: n, op: gelu, input: x}]}}\noutputs: {y: t.n}\n"},
      {"an epsilon that is no number",
       kHead + "      - {name: n, op: layer_norm, input: x, weights: w, epsilon: .nan}\noutputs: {y: t.n}\n"},
      {"endless repeat",
       kHead +
           "      - {repeat: r, count: 1000000000, index: i, carry: c, from: x, yield: n, body: [{name: n, op: gelu, "
           "input: c}]}\noutputs: {y: t.r}\n"},
      {"no outputs", kHead + "      - {name: n, op: gelu, input: x}\n"},
      {"no towers", "duet: 1\nname: g\ninputs: {x: {dtype: float, shape: [B, 4]}}\noutputs: {y: x}\n"},
  };
}

TEST_F(Hostile, Graphs) {
  for (const auto& [name, text] : bad_graphs()) refused(name, {kInput}, {"check", write("g.yaml", text)});
  const std::string bad = write("g.yaml", "duet: 1\n");
  for (const char* command : {"generate", "tune", "run", "bench"}) {
    const bool needs_gpu = std::string(command) == "bench";
    refused(command, {kInput, kMissing},
            needs_gpu ? Arguments{command, bad} : Arguments{command, bad, "--target", "emulator"});
  }
  std::filesystem::create_directory(folder_ / "folder.yaml");
  refused("a folder", {kInput}, {"check", (folder_ / "folder.yaml").string()});
  refused("an absent file", {kInput}, {"check", "absent.yaml"});
  refused("a device", {kInput}, {"check", "/dev/zero"});
  refused("a path with a line break", {kInput}, {"check", "a\nb.yaml"});
  refused("an endless path", {kInput}, {"check", repeated("a", 5000) + ".yaml"});
  refused("another program's file", {kInput}, {"check", "/etc/passwd"});
  refused("an empty name", {kUsage, kInput}, {"check", ""});
  EXPECT_GE(cases_, 42);
}

TEST_F(Hostile, UnreadableFiles) {
  const std::string path = write("secret.yaml", "duet: 1\n");
  std::filesystem::permissions(path, std::filesystem::perms::none);
  std::filesystem::permissions(folder_.path(), std::filesystem::perms(0755));
  limited_.unprivileged = true;
  if (run_duet({"--version"}, limited_).exit_code != 0) GTEST_SKIP() << "nobody cannot reach the build folder";
  refused("no permission", {kInput}, {"check", path});
}

TEST_F(Hostile, SpacesAndDevices) {
  const auto tune = [](const std::string& space) {
    return Arguments{"tune", "tiny-dual", "--target", "emulator", "--space", space, "--db", "x.db"};
  };
  refused("an unknown space", {kUsage, kInput}, tune("nope"));
  refused("an empty space", {kInput}, tune(write("s.yaml", "")));
  refused("too many", {kInput},
          tune(write("s.yaml", "duet_schedule: 1\nname: s\ngemm: {block_m: [" + repeated("1,", 70000) + "2]}\n")));
  refused("a wrong family", {kInput}, tune(write("s.yaml", "duet_schedule: 1\nname: s\nfft: {radix: [2]}\n")));
  refused("a line break in a key", {kInput},
          tune(write("s.yaml", "duet_schedule: 1\nname: s\n\"f\\nt\": {radix: [2]}\n")));
  refused("a negative value", {kInput}, tune(write("s.yaml", "duet_schedule: 1\nname: s\ngemm: {block_m: [-16]}\n")));
  refused("a value that is no number", {kInput},
          tune(write("s.yaml", "duet_schedule: 1\nname: s\ngemm: {block_m: [.nan]}\n")));
  refused("an unknown device", {kInput}, {"check", "tiny-dual", "--device", "nope"});
  refused("a path as device", {kInput}, {"check", "tiny-dual", "--device", "../../etc/passwd"});
  refused("an unknown mode", {kInput}, {"check", "tiny-dual", "--device", "jetson-orin-nx-16gb@9000W"});
  refused("an unknown target", {kInput}, {"tune", "tiny-dual", "--target", "nope", "--db", "x.db"});
  refused("an unknown rule", {kUsage, kInput},
          {"tune", "tiny-dual", "--target", "emulator", "--disable-rule", "nope", "--db", "x.db"});
  EXPECT_EQ(cases_, 12);
}

TEST_F(Hostile, Databases) {
  const std::string good = store();
  const std::string bytes = read_text_file(good, 64 << 20);
  std::filesystem::create_directory(folder_ / "folder.db");
  const std::vector<std::pair<std::string, std::string>> files{
      {"empty", ""},
      {"text", "hello\n"},
      {"header only", bytes.substr(0, 100)},
      {"half", bytes.substr(0, bytes.size() / 2)},
      {"noise after the header", bytes.substr(0, 100) + repeated("\xa5\x5a", 4000)},
  };
  for (const auto& [name, content] : files) {
    const std::string path = write("bad.db", content);
    refused("list " + name, {kInput}, {"plans", "list", "--db", path});
    refused("show " + name, {kInput}, {"plans", "show", "1", "--db", path});
    refused("run " + name, {kInput}, {"run", "tiny-dual", "--target", "emulator", "--db", path});
  }
  refused("a folder", {kInput}, {"plans", "list", "--db", "folder.db"});
  refused("an absent one", {kMissing}, {"plans", "list", "--db", "absent.db"});
  refused("a plan that is not there", {kInput}, {"plans", "show", "77", "--db", good});
  refused("an absurd number", {kInput, kUsage}, {"plans", "show", "99999999999999999999", "--db", good});
  refused("export of nothing", {kInput}, {"plans", "export", "x.duet", "--id", "77", "--db", good});
  refused("export into nowhere", {kInput}, {"plans", "export", "no/such/folder/x.duet", "--db", good});
  refused("no plan for the batch", {kMissing},
          {"run", "tiny-dual", "--batch", "3", "--target", "emulator", "--db", good});
  refused("tuning into a folder", {kInput}, short_tune("folder.db"));
  refused("tuning into text", {kInput},
          short_tune(write("text.db", "not a database, but long enough to be looked at")));
  EXPECT_EQ(cases_, 24);
}

std::string safetensors(const std::string& header, const std::string& data) {
  std::string bytes(8, '\0');
  const std::uint64_t length = header.size();
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + header + data;
}

// Some of these reach the emulator's worker, whose sanitizer reserves terabytes of addresses: no limit on them.
TEST_F(Hostile, Weights) {
  limited_.memory_bytes = 0;
  const std::string good = store();
  const std::string entry = R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  const std::vector<std::pair<std::string, std::string>> files{
      {"empty", ""},
      {"short", "abc"},
      {"a header beyond the file", std::string("\xff\xff\xff\xff\xff\xff\xff\x7f", 8) + "{}"},
      {"no JSON", safetensors("{{{{", "")},
      {"deep JSON", safetensors(repeated("[", 100000), "")},
      {"data that is missing", safetensors(entry, "1234")},
      {"a range that overflows",
       safetensors(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[18446744073709551615,7]}})", "12345678")},
      {"a shape that overflows",
       safetensors(R"({"w":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}})", "12345678")},
      {"an unknown type", safetensors(R"({"w":{"dtype":"Q3","shape":[2],"data_offsets":[0,8]}})", "12345678")},
      {"ranges that overlap", safetensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                                          R"("b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
                                          "123456789012")},
      {"a size that is no number",
       safetensors(R"({"w":{"dtype":"F32","shape":[NaN],"data_offsets":[0,8]}})", "12345678")},
      {"a type that does not fill its range",
       safetensors(R"({"w":{"dtype":"F16","shape":[2],"data_offsets":[0,8]}})", "12345678")},
      {"none of the model's", safetensors(entry, "12345678")},
  };
  for (const auto& [name, content] : files)
    refused(name, {kInput},
            {"run", "tiny-dual", "--target", "emulator", "--db", good, "--weights", write("w.safetensors", content)});
  std::filesystem::create_directory(folder_ / "checkpoint");
  const auto with = [&](const std::string& path) {
    return Arguments{"run", "tiny-dual", "--target", "emulator", "--db", good, "--weights", path};
  };
  refused("an empty folder", {kInput, kMissing}, with("checkpoint"));
  refused("an absent file", {kInput, kMissing}, with("absent.safetensors"));
  write("checkpoint/model.safetensors.index.json", R"({"weight_map":{"w":"../../../etc/passwd"}})");
  refused("an index that leads elsewhere", {kInput}, with("checkpoint"));
  EXPECT_EQ(cases_, 16);
}

TEST_F(Hostile, Inputs) {
  limited_.memory_bytes = 0;
  const std::string good = store();
  const auto with = [&](const std::string& input) {
    return Arguments{"run", "tiny-dual", "--target", "emulator", "--db", good, "--input", input};
  };
  const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 42, 56), }";
  const auto npy = [](const std::string& text, const std::string& data) {
    return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(text.size() & 0xff) +
           static_cast<char>(text.size() >> 8) + text + data;
  };
  const std::vector<std::pair<std::string, std::string>> files{
      {"empty", ""},
      {"text", "1 2 3\n"},
      {"no header", std::string("\x93NUMPY\x01\x00\xff\xff", 10)},
      {"no data", npy(header, "")},
      {"another shape", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "12345678")},
      {"another type", npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "12345678")},
      {"a huge shape", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999, 999999999999), }", "")},
      {"a size that is no number", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (nan,), }", "1234")},
      {"code", npy("__import__('os').system('true')", "")},
      {"control characters", npy("{'descr': '<f4\n', 'fortran_order': False, 'shape': (1,), }", "1234")},
  };
  for (const auto& [name, content] : files) refused(name, {kInput}, with("pixel_values=" + write("x.npy", content)));
  refused("an absent file", {kInput}, with("pixel_values=absent.npy"));
  refused("a folder", {kInput}, with("pixel_values=."));
  refused("no file", {kUsage}, with("pixel_values"));
  refused("an unknown input", {kUsage}, with("nope=x.npy"));
  const std::string ids(13 * 8, '\x7f');
  refused(
      "ids beyond 32 bits", {kInput},
      with("input_ids=" + write("ids.npy", npy("{'descr': '<i8', 'fortran_order': False, 'shape': (1, 13), }", ids))));
  std::string large(13 * 4, '\0');
  large[3] = '\x7f';
  refused("ids beyond the vocabulary", {kInput},
          with("input_ids=" +
               write("ids.npy", npy("{'descr': '<i4', 'fortran_order': False, 'shape': (1, 13), }", large))));
  EXPECT_EQ(cases_, 16);
}

std::string golden_image(const std::string& name) {
  return read_text_file(std::filesystem::path(DUET_SOURCE_DIR) / "tests/frontend/golden/images" / name, 1 << 20);
}

// A JPEG whose frame header says that it is 65,500 pixels wide and high.
std::string jpeg_bomb() {
  std::string file = golden_image("420.jpg");
  const std::size_t frame = file.find("\xff\xc0");
  for (const std::size_t offset : {5, 7}) file.replace(frame + offset, 2, "\xff\xdc");
  return file;
}

std::vector<std::pair<std::string, std::string>> bad_images() {
  const std::string png = golden_image("odd.png"), jpeg = golden_image("420.jpg");
  return {
      {"empty", ""},
      {"text", "a photo of a cat\n"},
      {"another format", "GIF89a\x01\x01"},
      {"half a PNG", png.substr(0, png.size() / 2)},
      {"half a JPEG", jpeg.substr(0, jpeg.size() / 2)},
      {"a PNG without its last byte", png.substr(0, png.size() - 1)},
      {"a JPEG without its last byte", jpeg.substr(0, jpeg.size() - 1)},
      {"the signature alone", png.substr(0, 8)},
      {"a PNG of no width", png_header(0, 10)},
      {"a PNG of 4e18 pixels", png_header(2000000000, 2000000000) + png_chunk("IDAT", "x")},
      {"a PNG of 64 million pixels in one byte", png_header(8000, 8000) + png_chunk("IDAT", "x")},
      {"a PNG one pixel wide", png_header(1, 60000000) + png_chunk("IDAT", "x")},
      {"a JPEG of 4 billion pixels", jpeg_bomb()},
      {"CMYK", golden_image("cmyk.jpg")},
      {"16-bit grey", golden_image("grey16.png")},
  };
}

TEST_F(Hostile, Images) {
  limited_.memory_bytes = 0;
  const std::string good = store();
  const auto with = [&](const std::string& image) {
    return Arguments{"run", "tiny-dual", "--target", "emulator", "--db", good, "--image", image};
  };
  for (const auto& [name, content] : bad_images()) refused(name, {kInput}, with(write("photo", content)));
  refused("an absent file", {kInput}, with("absent.jpg"));
  refused("a folder", {kInput}, with("."));
  refused("a device", {kInput}, with("/dev/zero"));
  const std::string photo = write("photo.png", golden_image("odd.png"));
  for (const char* settings : {"", "{", R"({"rescale_factor": NaN})", R"({"size": {"shortest_edge": 1e9}})"}) {
    Arguments arguments = with(photo);
    arguments.insert(arguments.end(), {"--processor", write("processor.json", settings)});
    refused(std::string("settings ") + settings, {kInput}, arguments);
  }
  EXPECT_EQ(cases_, 22);
}

TEST_F(Hostile, Tokenizers) {
  limited_.memory_bytes = 0;
  const std::string good = store();
  const std::string vocabulary = R"({"a": 0, "<|startoftext|>": 1, "<|endoftext|>": 2})";
  const std::vector<std::tuple<std::string, std::string, std::string>> files{
      {"no JSON", "{", ""},
      {"deep JSON", repeated("[", 500000), ""},
      {"ids that are none", R"({"a": 1.5})", ""},
      {"a merge of what is not there", vocabulary, "a b\n"},
      {"bad UTF-8", "{\"\xff\": 1}", ""},
  };
  std::filesystem::create_directory(folder_ / "words");
  const Arguments arguments{"run", "tiny-dual", "--target", "emulator", "--db", good, "--text", "a", "--tokenizer"};
  const auto with = [&](const std::string& folder) {
    Arguments all = arguments;
    all.push_back(folder);
    return all;
  };
  refused("an empty folder", {kInput, kMissing}, with("words"));
  refused("an absent folder", {kInput, kMissing}, with("absent"));
  for (const auto& [name, vocab, merges] : files) {
    write("words/vocab.json", vocab);
    write("words/merges.txt", merges);
    refused(name, {kInput}, with("words"));
  }
  std::filesystem::create_directory(folder_ / "pieces");
  write("pieces/tokenizer.model", std::string(11, '\xff'));
  refused("a model that is none", {kInput}, with("pieces"));
  EXPECT_EQ(cases_, 8);
}

TEST_F(Hostile, Flags) {
  refused("no number", {kUsage}, {"check", "tiny-dual", "--batch", "two"});
  refused("a negative batch", {kUsage}, {"check", "tiny-dual", "--batch", "-1"});
  refused("an endless number", {kUsage}, {"check", "tiny-dual", "--batch", repeated("9", 10000)});
  refused("a negative limit", {kUsage}, {"tune", "tiny-dual", "--max-candidates", "-5"});
  refused("a budget that is no number", {kUsage}, {"tune", "tiny-dual", "--budget", "lots"});
  refused("a flag without value", {kUsage}, {"check", "tiny-dual", "--device"});
  refused("too many samples", {kUsage}, {"bench", "tiny-dual", "--samples", "1000000000"});
  refused("two models", {kUsage}, {"check", "tiny-dual", "clip-vit-b32"});
  refused("bytes that are no text", {kUsage}, {"check", "tiny-dual", "--\xff\xfe"});
  refused("a line break", {kUsage}, {"check", "tiny-dual", "--no\npe"});
  write("file", "x");
  refused("output into a file", {kInput}, {"generate", "tiny-dual", "--output", "file"});
  refused("output below a file", {kInput}, {"generate", "tiny-dual", "--output", "file/below"});
  EXPECT_EQ(cases_, 12);
}

}  // namespace
}  // namespace duet
