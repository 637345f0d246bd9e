#include "runtime/safetensors.h"

#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "runtime/mapped_file.h"
#include "runtime/safetensors_header.h"

namespace duet {
namespace {

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kMaxIndexBytes = 64 << 20;
constexpr std::size_t kMaxShards = 1000;
constexpr std::string_view kIndexName = "model.safetensors.index.json";

// One mapped file with its parsed header.
struct Shard {
  std::string name;  // for messages: the file's name without its folder
  MappedFile file;
  SafetensorsEntries entries;
  std::span<const std::byte> data;
};

std::uint64_t little_endian(std::span<const std::byte, kLengthBytes> bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  return value;
}

std::unique_ptr<Shard> open_shard(const std::filesystem::path& path) {
  auto shard = std::make_unique<Shard>(Shard{path.filename().string(), MappedFile(path), {}, {}});
  const std::span<const std::byte> bytes = shard->file.bytes();
  if (bytes.size() < kLengthBytes)
    fail(ErrorKind::input, "{}: {} bytes are too few for a safetensors file", shard->name, bytes.size());
  const std::uint64_t header_bytes = little_endian(bytes.first<kLengthBytes>());
  if (header_bytes > kMaxSafetensorsHeaderBytes || header_bytes > bytes.size() - kLengthBytes)
    fail(ErrorKind::input, "{}: a header of {} bytes does not fit the file of {} bytes", shard->name, header_bytes,
         bytes.size());
  const std::span<const std::byte> header = bytes.subspan(kLengthBytes, header_bytes);
  shard->data = bytes.subspan(kLengthBytes + header_bytes);
  shard->entries = parse_safetensors_header(
      std::string_view(reinterpret_cast<const char*>(header.data()), header.size()), shard->data.size(), shard->name);
  return shard;
}

// Shards lie beside their index: a name that leads elsewhere is refused.
bool is_plain_file_name(const std::string& name) {
  return !name.empty() && name.size() < 256 && name.find('/') == std::string::npos && name != "." && name != ".." &&
         name.find('\0') == std::string::npos;
}

using WeightMap = std::map<std::string, std::string, std::less<>>;  // tensor to file name

WeightMap read_index(const std::filesystem::path& path) {
  const std::string file = path.filename().string();
  const nlohmann::json index = nlohmann::json::parse(read_text_file(path, kMaxIndexBytes), nullptr, false);
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  if (!index.is_object() || map == index.end() || !map->is_object())
    fail(ErrorKind::input, "{}: is not JSON with an object 'weight_map'", file);
  WeightMap files;
  for (const auto& [tensor, shard] : map->items()) {
    if (!shard.is_string() || !is_plain_file_name(shard.get_ref<const std::string&>()))
      fail(ErrorKind::input, "{}: tensor '{}': the shard is not a plain file name", file, tensor.substr(0, 200));
    files.emplace(tensor, shard.get<std::string>());
  }
  return files;
}

std::optional<Dtype> known_dtype(std::string_view name) {
  if (name == "F32") return Dtype::f32;
  if (name == "F16") return Dtype::f16;
  if (name == "BF16") return Dtype::bf16;
  if (name == "I32") return Dtype::i32;
  return std::nullopt;
}

std::string_view safetensors_dtype(Dtype dtype) {
  switch (dtype) {
    case Dtype::f16:
      return "F16";
    case Dtype::bf16:
      return "BF16";
    case Dtype::i32:
      return "I32";
    default:
      return "F32";
  }
}

}  // namespace

struct SafetensorsFile::State {
  std::string name;  // of the file or the folder
  std::vector<std::unique_ptr<Shard>> shards;
  std::map<std::string, const Shard*, std::less<>> shard_of;  // tensor to shard

  void add_file(const std::filesystem::path& path) {
    shards.push_back(open_shard(path));
    for (const auto& [tensor, entry] : shards.back()->entries) shard_of.emplace(tensor, shards.back().get());
  }

  void add_sharded(const std::filesystem::path& index) {
    std::map<std::string, const Shard*> opened;
    for (const auto& [tensor, file] : read_index(index)) {
      const Shard*& shard = opened[file];
      if (opened.size() > kMaxShards) fail(ErrorKind::input, "{}: names more than {} shards", name, kMaxShards);
      if (shard == nullptr) shard = shards.emplace_back(open_shard(index.parent_path() / file)).get();
      if (!shard->entries.contains(tensor))
        fail(ErrorKind::input, "{}: holds no tensor '{}', which the index places there", file, tensor);
      shard_of.emplace(tensor, shard);
    }
  }
};

SafetensorsFile::SafetensorsFile(std::unique_ptr<State> state) : state_(std::move(state)) {}
SafetensorsFile::SafetensorsFile(SafetensorsFile&&) noexcept = default;
SafetensorsFile& SafetensorsFile::operator=(SafetensorsFile&&) noexcept = default;
SafetensorsFile::~SafetensorsFile() = default;

SafetensorsFile SafetensorsFile::open(const std::filesystem::path& path) {
  std::error_code ignored;
  auto state = std::make_unique<State>();
  state->name = path.filename().empty() ? path.string() : path.filename().string();
  if (!std::filesystem::exists(path, ignored))
    fail(ErrorKind::missing, "{}: no such checkpoint: give a .safetensors file or its folder", path.string());
  if (!std::filesystem::is_directory(path, ignored)) {
    state->add_file(path);
  } else if (std::filesystem::exists(path / "model.safetensors", ignored)) {
    state->add_file(path / "model.safetensors");
  } else if (std::filesystem::exists(path / kIndexName, ignored)) {
    state->add_sharded(path / kIndexName);
  } else {
    fail(ErrorKind::missing, "{}: holds neither model.safetensors nor {}", path.string(), kIndexName);
  }
  return SafetensorsFile(std::move(state));
}

TensorView SafetensorsFile::tensor(std::string_view name) const {
  const auto found = state_->shard_of.find(name);
  if (found == state_->shard_of.end())
    fail(ErrorKind::input, "{}: holds no tensor '{}' (it has {} others)", state_->name, name, state_->shard_of.size());
  const Shard& shard = *found->second;
  const SafetensorsEntry& entry = shard.entries.find(name)->second;
  const std::optional<Dtype> dtype = known_dtype(entry.dtype);
  if (!dtype)
    fail(ErrorKind::input, "{}: tensor '{}': type {} is not supported: use F32, F16, BF16 or I32", shard.name, name,
         entry.dtype);
  return {.dtype = *dtype, .shape = entry.shape, .bytes = shard.data.subspan(entry.begin, entry.end - entry.begin)};
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, shard] : state_->shard_of) names.push_back(name);
  return names;
}

void write_safetensors(const std::filesystem::path& path,
                       const std::vector<std::pair<std::string, HostTensor>>& tensors) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  std::size_t data_bytes = 0;
  for (const auto& [name, tensor] : tensors) {
    header[name] = {{"dtype", safetensors_dtype(tensor.dtype)},
                    {"shape", tensor.shape},
                    {"data_offsets", {data_bytes, data_bytes + tensor.bytes.size()}}};
    data_bytes += tensor.bytes.size();
  }
  std::string text = header.dump();
  text.resize((text.size() + kLengthBytes - 1) / kLengthBytes * kLengthBytes, ' ');  // aligns the data

  std::vector<std::byte> file;
  file.reserve(kLengthBytes + text.size() + data_bytes);
  for (std::size_t i = 0; i < kLengthBytes; ++i) file.push_back(static_cast<std::byte>(text.size() >> (8 * i) & 0xff));
  const auto append = [&](std::span<const std::byte> bytes) { file.insert(file.end(), bytes.begin(), bytes.end()); };
  append(std::as_bytes(std::span(text)));
  for (const auto& [name, tensor] : tensors) append(tensor.bytes);
  publish_file(path, file);
}

}  // namespace duet
