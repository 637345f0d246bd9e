#include "runtime/cuda/slice_name.h"

#include <charconv>

#include "base/error.h"

namespace duet {
namespace {

constexpr std::string_view kWhole = "auto";
constexpr std::string_view kUnit = "sm";
constexpr int kMostSms = 1024;

}  // namespace

std::string slice_target(int sms) {
  return sms == 0 ? std::string(kWhole) : fmt::format("{}/{}{}", kWhole, sms, kUnit);
}

std::optional<int> parse_slice_target(std::string_view name) {
  if (name == kWhole) return 0;
  if (!name.starts_with(kWhole) || name[kWhole.size()] != '/') return std::nullopt;
  const std::string_view size = name.substr(kWhole.size() + 1);
  int sms = 0;
  const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), sms);
  const std::string_view unit = size.substr(static_cast<std::size_t>(end - size.data()));
  if (error == std::errc() && unit == kUnit && sms >= 1 && sms <= kMostSms) return sms;
  fail(ErrorKind::usage, "target '{}': a slice of the GPU is written auto/<SMs>sm, such as auto/16sm",
       name.substr(0, 64));
}

}  // namespace duet
