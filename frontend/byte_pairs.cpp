#include "frontend/byte_pairs.h"

#include <array>
#include <queue>

#include "base/error.h"
#include "base/one_line.h"
#include "frontend/unicode_text.h"

namespace duet {
namespace {

constexpr std::string_view kWordEnd = "</w>";
constexpr std::size_t kBytes = 256;
constexpr std::int32_t kNone = -1;

// GPT-2 spells each byte as one printable character: itself where it is one in Latin-1, else U+0100 and up in order.
std::array<std::string, kBytes> byte_spellings() {
  std::array<std::string, kBytes> spellings;
  char32_t next = 0x100;
  for (std::size_t byte = 0; byte < kBytes; ++byte) {
    const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    const char32_t spelling = printable ? static_cast<char32_t>(byte) : next++;
    spellings[byte] = encode_utf8({&spelling, 1});
  }
  return spellings;
}

std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

struct Symbol {
  std::int32_t id = 0;
  std::int32_t previous = kNone;
  std::int32_t next = kNone;
  bool alive = true;
};

// A pair that could be joined when it was queued; by then one of the two may have been joined with another.
struct Proposal {
  std::uint32_t rank = 0;
  std::int32_t position = 0;  // of the left symbol
  std::int32_t id = 0;

  bool operator<(const Proposal& other) const {  // the queue's top is the largest: lowest rank, then leftmost
    return rank != other.rank ? rank > other.rank : position > other.position;
  }
};

Symbol& at(std::vector<Symbol>& symbols, std::int32_t position) { return symbols[static_cast<std::size_t>(position)]; }

// Joins the symbol at `position` with its right neighbour.
void join(std::vector<Symbol>& symbols, std::int32_t position, std::int32_t id) {
  Symbol& left = at(symbols, position);
  Symbol& right = at(symbols, left.next);
  left.id = id;
  left.next = right.next;
  right.alive = false;
  if (left.next != kNone) at(symbols, left.next).previous = position;
}

}  // namespace

BytePairs::BytePairs(const Vocabulary& vocabulary, std::span<const Merge> merges, std::int32_t unknown,
                     std::string_view file) {
  for (const std::string& spelling : byte_spellings()) {
    const auto inner = vocabulary.find(spelling), last = vocabulary.find(spelling + std::string(kWordEnd));
    inner_.push_back(inner == vocabulary.end() ? unknown : inner->second);
    final_.push_back(last == vocabulary.end() ? unknown : last->second);
  }
  const auto id_of = [&](const std::string& token) {
    const auto found = vocabulary.find(token);
    if (found == vocabulary.end())
      fail(ErrorKind::input, "{}: a merge needs the token '{}', which is missing", file, printable(token));
    return found->second;
  };
  merges_.reserve(merges.size());
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left, right] = merges[rank];
    merges_[pair_key(id_of(left), id_of(right))] = {static_cast<std::uint32_t>(rank), id_of(left + right)};
  }
}

const BytePairs::Joined* BytePairs::find(std::int32_t left, std::int32_t right) const {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void BytePairs::encode(std::string_view word, std::vector<std::int32_t>& ids) const {
  std::vector<Symbol> symbols(word.size());
  const auto last = static_cast<std::int32_t>(word.size()) - 1;
  for (std::int32_t i = 0; i <= last; ++i) {
    const auto byte = static_cast<unsigned char>(word[static_cast<std::size_t>(i)]);
    at(symbols, i) = {i == last ? final_[byte] : inner_[byte], i - 1, i == last ? kNone : i + 1, true};
  }
  std::priority_queue<Proposal> proposals;
  const auto propose = [&](std::int32_t left) {
    if (left == kNone || at(symbols, left).next == kNone) return;
    const Joined* joined = find(at(symbols, left).id, at(symbols, at(symbols, left).next).id);
    if (joined != nullptr) proposals.push({joined->rank, left, joined->id});
  };
  for (std::int32_t i = 0; i < last; ++i) propose(i);
  while (!proposals.empty()) {
    const Proposal best = proposals.top();
    proposals.pop();
    const Symbol& left = at(symbols, best.position);
    if (!left.alive || left.next == kNone) continue;
    const Joined* joined = find(left.id, at(symbols, left.next).id);
    if (joined == nullptr || joined->id != best.id) continue;
    join(symbols, best.position, best.id);
    propose(at(symbols, best.position).previous);
    propose(best.position);
  }
  for (const Symbol& symbol : symbols) {
    if (symbol.alive) ids.push_back(symbol.id);
  }
}

}  // namespace duet
