#include "frontend/sentencepiece_model.h"

#include <bit>
#include <cmath>

#include "base/error.h"
#include "frontend/protobuf_reader.h"

namespace duet {
namespace {

constexpr std::size_t kMaxPieces = std::size_t{1} << 20;
constexpr std::size_t kMaxPieceBytes = 256;
constexpr std::size_t kMaxReplacementBytes = 256;

// Fields of sentencepiece_model.proto.
namespace model_field {
constexpr std::uint32_t pieces = 1, trainer = 2, normalizer = 3, denormalizer = 5;
}
namespace piece_field {
constexpr std::uint32_t text = 1, score = 2, kind = 3;
}
constexpr std::uint32_t kTrainerModelType = 3;
constexpr std::uint32_t kNormalizerTable = 2;
constexpr std::uint64_t kUnigram = 1, kBytePairs = 2;

SentencePieceEntry read_piece(std::string_view message, std::string_view name) {
  SentencePieceEntry piece;
  ProtobufReader reader(message, name);
  while (const auto field = reader.next()) {
    if (field->number == piece_field::text && field->is_bytes) piece.text = field->bytes;
    if (field->number == piece_field::score &&
        !std::isfinite(std::bit_cast<float>(static_cast<std::uint32_t>(field->value)))) {
      fail(ErrorKind::input, "{}: a piece's score is not a number", name);
    }
    if (field->number == piece_field::kind) {
      if (field->value < 1 || field->value > 6) fail(ErrorKind::input, "{}: a piece is of kind {}", name, field->value);
      piece.kind = static_cast<PieceKind>(field->value);
    }
  }
  if (piece.text.empty() || piece.text.size() > kMaxPieceBytes || piece.text.find('\0') != std::string::npos) {
    fail(ErrorKind::input, "{}: a piece has {} bytes; 1 to {} without zeros are expected", name, piece.text.size(),
         kMaxPieceBytes);
  }
  return piece;
}

void check_trainer(std::string_view message, std::string_view name) {
  ProtobufReader reader(message, name);
  while (const auto field = reader.next()) {
    if (field->number == kTrainerModelType && field->value != kUnigram && field->value != kBytePairs) {
      fail(ErrorKind::input, "{}: is a model of type {}; unigram (1) and byte pairs (2) are supported", name,
           field->value);
    }
  }
}

std::uint32_t word_at(std::string_view bytes, std::size_t index) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    value |= std::uint32_t{static_cast<unsigned char>(bytes[index * 4 + i])} << (8 * i);
  }
  return value;
}

// One unit of a Darts-clone double array: where its children lie, and whether a value does.
struct TrieUnit {
  std::uint32_t bits;

  bool is_value() const { return bits >> 31 != 0; }
  bool has_value() const { return (bits >> 8 & 1) != 0; }
  std::uint32_t value() const { return bits & 0x7fffffffU; }
  std::uint32_t children() const { return (bits >> 10) << ((bits & (1U << 9)) >> 6); }
};

// The search reads unit `position ^ children ^ byte` for any byte, and takes a value as an offset into the texts.
void check_trie(std::string_view trie, std::string_view texts, std::string_view name) {
  const std::size_t size = trie.size() / 4;
  for (std::size_t i = 0; i < size; ++i) {
    const TrieUnit unit{word_at(trie, i)};
    if (unit.is_value() && i != 0) continue;
    const std::size_t children = i ^ unit.children();
    const bool inside = (children | 0xffU) < size;
    if (!inside || (unit.has_value() && TrieUnit{word_at(trie, children)}.value() >= texts.size())) {
      fail(ErrorKind::input, "{}: the normalisation table points outside itself", name);
    }
  }
}

// The table is the trie's size in bytes, the trie, and zero-terminated texts.
void check_table(std::string_view table, std::string_view name) {
  if (table.empty()) return;
  const std::size_t trie_bytes = table.size() < 4 ? 0 : word_at(table, 0);
  if (trie_bytes == 0 || trie_bytes % 1024 != 0 || trie_bytes >= table.size() - 4 || table.back() != '\0') {
    fail(ErrorKind::input, "{}: the normalisation table of {} bytes is damaged", name, table.size());
  }
  const std::string_view texts = table.substr(4 + trie_bytes);
  for (std::size_t begin = 0; begin < texts.size();) {
    const std::size_t end = texts.find('\0', begin);
    if (end - begin > kMaxReplacementBytes) {
      fail(ErrorKind::input, "{}: the normalisation table makes {} bytes of one character", name, end - begin);
    }
    begin = end + 1;
  }
  check_trie(table.substr(4, trie_bytes), texts, name);
}

void check_normalizer(std::string_view message, std::string_view name) {
  ProtobufReader reader(message, name);
  while (const auto field = reader.next()) {
    if (field->number == kNormalizerTable) check_table(field->bytes, name);
  }
}

}  // namespace

std::vector<SentencePieceEntry> check_sentencepiece_model(std::string_view model, std::string_view name) {
  std::vector<SentencePieceEntry> pieces;
  ProtobufReader reader(model, name);
  while (const auto field = reader.next()) {
    if (field->number == model_field::pieces) pieces.push_back(read_piece(field->bytes, name));
    if (field->number == model_field::trainer) check_trainer(field->bytes, name);
    if (field->number == model_field::normalizer || field->number == model_field::denormalizer) {
      check_normalizer(field->bytes, name);
    }
    if (pieces.size() > kMaxPieces) fail(ErrorKind::input, "{}: has more than {} pieces", name, kMaxPieces);
  }
  if (pieces.empty()) fail(ErrorKind::input, "{}: has no pieces; is it a SentencePiece model?", name);
  return pieces;
}

}  // namespace duet
