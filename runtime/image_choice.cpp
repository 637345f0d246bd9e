#include "runtime/image_choice.h"

#include <charconv>
#include <optional>
#include <string>
#include <utility>

#include "base/error.h"

namespace duet {
namespace {

struct Arch {
  int number = 0;         // 87
  bool specific = false;  // sm_90a, sm_110f: features outside the common ladder
};

std::optional<Arch> parse_arch(std::string_view text) {
  if (!text.starts_with("sm_")) return std::nullopt;
  text.remove_prefix(3);
  Arch arch;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), arch.number);
  if (error != std::errc() || arch.number < 10 || arch.number > 999) return std::nullopt;
  const std::string_view suffix(end, text.data() + text.size());
  if (!suffix.empty() && suffix != "a" && suffix != "f") return std::nullopt;
  arch.specific = !suffix.empty();
  return arch;
}

// How well an image suits the device: the number of its architecture, then its compiler's CUDA; none when it does not
// run there.
std::optional<std::pair<int, int>> suitability(const KernelImage& image, Arch device, int cuda_major) {
  const std::optional<Arch> made_for = parse_arch(image.arch);
  if (!made_for || image.cuda_major > cuda_major) return std::nullopt;
  const bool compatible =
      !made_for->specific && made_for->number / 10 == device.number / 10 && made_for->number < device.number;
  if (made_for->number != device.number && !compatible) return std::nullopt;
  return std::pair(made_for->number, image.cuda_major);
}

std::string list_images(const PlanKernel& kernel) {
  std::string text;
  for (const KernelImage& image : kernel.images) {
    if (!text.empty()) text += ", ";
    text += fmt::format("{} (CUDA {})", image.arch, image.cuda_major);
  }
  return text.empty() ? "none" : text;
}

}  // namespace

const KernelImage& choose_image(const PlanKernel& kernel, std::string_view arch, int cuda_major) {
  const std::optional<Arch> device = parse_arch(arch);
  const KernelImage* best = nullptr;
  std::optional<std::pair<int, int>> best_suits;
  for (const KernelImage& image : kernel.images) {
    const auto suits = device ? suitability(image, *device, cuda_major) : std::nullopt;
    if (suits > best_suits) {  // none is less than any
      best = &image;
      best_suits = suits;
    }
  }
  if (best != nullptr) return *best;
  fail(ErrorKind::missing, "kernel {} has no image for {} with a CUDA {} driver; there are: {}; tune for this device",
       kernel.entry, arch, cuda_major, list_images(kernel));
}

}  // namespace duet
