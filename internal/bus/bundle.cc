// Bundles: several pushes in one entry of the push log.
#include <utility>

#include "api/push.pb.h"

#include "bus/push_log.h"

namespace encke::bus {
namespace {

constexpr std::string_view kTag =
    "\xc2\x02";  // field 40, length-delimited: no other push begins so

std::string Seal(PushMsg& bundle) {
  if (bundle.together_size() == 1) return std::move(*bundle.mutable_together(0));
  return bundle.SerializeAsString();
}

}  // namespace

std::vector<std::string> Bundle(std::vector<std::string> pushes) {
  std::vector<std::string> entries;
  PushMsg bundle;
  std::size_t bytes = 0;
  for (std::string& push : pushes) {
    const auto count = static_cast<std::size_t>(bundle.together_size());
    if (count > 0 && (count == kBundlePushesMax || bytes + push.size() > kBundleBytesMax)) {
      entries.push_back(Seal(bundle));
      bundle.Clear();
      bytes = 0;
    }
    bytes += push.size();
    bundle.add_together(std::move(push));
  }
  if (bundle.together_size() > 0) entries.push_back(Seal(bundle));
  return entries;
}

void EachPush(std::uint64_t entry,
              std::string_view payload,
              const std::function<void(std::uint64_t place, std::string_view push)>& visit) {
  PushMsg bundle;
  const bool bundled = payload.starts_with(kTag) &&
                       bundle.ParseFromArray(payload.data(), static_cast<int>(payload.size())) &&
                       static_cast<std::size_t>(bundle.together_size()) <= kBundlePushesMax;
  const int count = bundled ? bundle.together_size() : 0;
  if (count == 0) return visit(LastPlace(entry), payload);
  for (int i = 0; i + 1 < count; ++i)
    visit(entry * kPlaces + static_cast<std::uint64_t>(i), bundle.together(i));
  visit(LastPlace(entry), bundle.together(count - 1));
}

}  // namespace encke::bus
