// What one thread has asked for and will wait for, cp.async copies or warpgroup products: an open group, and committed
// groups in the order they will be waited for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace duet::emulator {

struct Copy {
  std::uint32_t destination = 0;
  std::uint32_t bytes = 0;
  const void* source = nullptr;  // null: zeros
};

template <typename Item>
class GroupQueue {
 public:
  void clear() {
    items_.clear();
    group_ends_.clear();
    landed_ = waited_groups_ = 0;
  }
  void issue(const Item& item) { items_.push_back(item); }
  void commit() { group_ends_.push_back(items_.size()); }

  // Calls land(item) for the oldest groups until at most `pending` committed ones are left.
  template <typename Land>
  void wait(std::size_t pending, Land land) {
    while (group_ends_.size() - waited_groups_ > pending) {
      const std::size_t end = group_ends_[waited_groups_++];
      while (landed_ < end) land(items_[landed_++]);
    }
    if (waited_groups_ == group_ends_.size() && landed_ == items_.size()) clear();
    if (waited_groups_ >= kCompactAt) compact();
  }

 private:
  static constexpr std::size_t kCompactAt = 64;

  void compact() {
    items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(landed_));
    group_ends_.erase(group_ends_.begin(), group_ends_.begin() + static_cast<std::ptrdiff_t>(waited_groups_));
    for (std::size_t& end : group_ends_) end -= landed_;
    landed_ = waited_groups_ = 0;
  }

  std::vector<Item> items_;
  std::vector<std::size_t> group_ends_;
  std::size_t landed_ = 0;
  std::size_t waited_groups_ = 0;
};

}  // namespace duet::emulator
