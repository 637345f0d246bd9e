// The embedded copy of the templates: complete, exact, and self-contained.
#include "templates/embedded.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>

namespace duet {
namespace {

std::set<std::string_view> embedded_paths() {
  std::set<std::string_view> paths;
  for (const EmbeddedFile& file : embedded_templates()) paths.insert(file.path);
  return paths;
}

TEST(EmbeddedTemplates, EqualTheFilesOfTheSourceTree) {
  for (const EmbeddedFile& file : embedded_templates()) {
    std::ifstream stream(std::string(DUET_SOURCE_DIR "/") + std::string(file.path), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    EXPECT_EQ(file.text, text) << file.path;
  }
}

TEST(EmbeddedTemplates, HoldEveryFamily) {
  const std::set<std::string_view> paths = embedded_paths();
  for (const char* path :
       {"templates/norm.cuh", "templates/pointwise.cuh", "templates/embedding.cuh", "templates/head.cuh",
        "templates/similarity.cuh", "templates/image.cuh", "templates/stream.cuh", "templates/norm_config.h",
        "templates/device/intrinsics.cuh", "templates/device/types.h"}) {
    EXPECT_TRUE(paths.contains(path)) << path;
  }
  EXPECT_FALSE(paths.contains("templates/embedded.h"));  // host only
}

// NVRTC has no file system to fall back on: whatever an embedded file includes must be embedded, too. The emulator's
// host intrinsics are the one exception, and lie behind an #if that NVRTC does not enter.
TEST(EmbeddedTemplates, IncludeOnlyEachOther) {
  const std::set<std::string_view> paths = embedded_paths();
  for (const EmbeddedFile& file : embedded_templates()) {
    std::istringstream lines{std::string(file.text)};
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with("#include ")) continue;
      const std::string name = line.substr(10, line.find_last_of("\">") - 10);
      if (name == "emulator/intrinsics_host.h") continue;
      EXPECT_TRUE(paths.contains(name)) << file.path << " includes " << name;
    }
  }
}

TEST(EmbeddedTemplates, TextsAreNullTerminatedAndHashed) {
  for (const EmbeddedFile& file : embedded_templates()) EXPECT_EQ(file.text.data()[file.text.size()], '\0');
  EXPECT_EQ(embedded_templates_hash().size(), 64U);
  EXPECT_EQ(embedded_templates_hash().find_first_not_of("0123456789abcdef"), std::string_view::npos);
}

}  // namespace
}  // namespace duet
