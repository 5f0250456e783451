#include "hub/batch.h"

#include <algorithm>
#include <utility>

#include "wire/op.h"
#include "wire/package.h"
#include "wire/ws_frame.h"

namespace encke::hub {
namespace {

constexpr std::size_t kWsHeaderMax = 10;  // 2, and 8 for a long length

bool OnWs(Format format) { return format == Format::kWs || format == Format::kWs2; }
Format Bare(Format format) { return IsTwo(format) ? Format::kTcp2 : Format::kTcp; }

SharedBytes Wrap(Format format, std::string_view packages) {
  const bool envelope = format == Format::kWs;
  const std::size_t payload = packages.size() + (envelope ? wire::kHeaderBytes : 0);
  std::string frame;
  frame.reserve(kWsHeaderMax + payload);
  wire::AppendWsHeader(&frame, wire::WsOpcode::kBinary, payload);
  if (envelope) wire::AppendHeader(&frame, 1, wire::kOpRaw, 0, packages.size());
  frame += packages;
  return Share(std::move(frame));
}

std::string_view SkipPackages(std::string_view packages, std::uint32_t count) {
  for (; count > 0; --count)
    packages.remove_prefix(GetU32(packages.data()));
  return packages;
}

template <class Append>
std::size_t AddTo(Lane* lane, bool here, std::uint32_t before, const Append& append) {
  if (!here && !lane->begun) return 0;
  if (!lane->begun) lane->skipped = before;
  lane->begun = true;
  const std::size_t size = lane->packages.size();
  append(&lane->packages);
  return lane->packages.size() - size;
}

template <class Append>
std::string Alone(const Append& append) {
  std::string out;
  append(&out);
  return out;
}

}  // namespace

bool Batch::Fits(const BatchLimits& limits, const Push& push) const {
  if (extras != nullptr || push.extras != nullptr) return false;
  if (push.what.seq != 0 && to != 0 && push.what.epoch != epoch) return false;
  const std::size_t size = std::max(one.packages.size(), two.packages.size());
  return messages < limits.messages_max &&
         size + wire::kHeaderBytes + push.what.body.size() <= limits.bytes_max;
}

std::size_t Batch::Add(const Push& push, bool ones_here, bool twos_here) {
  const std::size_t added =
      AddTo(&one, ones_here, messages,
            [&push](std::string* out) { wire::AppendPush1(out, push.what); }) +
      AddTo(&two, twos_here, messages,
            [&push](std::string* out) { wire::AppendPush2(out, push.what); });
  ++messages;
  extras = push.extras;
  if (push.what.seq == 0) return added;
  epoch = push.what.epoch;
  if (from == 0) from = push.what.seq;
  to = push.what.seq;
  return added;
}

Outgoing::Outgoing(Lane one, Lane two) : skipped_{one.skipped, two.skipped} {
  whole_[static_cast<std::size_t>(Format::kTcp)] = Share(std::move(one.packages));
  whole_[static_cast<std::size_t>(Format::kTcp2)] = Share(std::move(two.packages));
}

Outgoing::Outgoing(const wire::Push& push)
    : Outgoing({.packages = Alone([&push](std::string* out) { wire::AppendPush1(out, push); })},
               {.packages = Alone([&push](std::string* out) { wire::AppendPush2(out, push); })}) {}

const SharedBytes& Outgoing::Make(Format format) {
  SharedBytes& bytes = whole_[static_cast<std::size_t>(format)];
  bytes = Wrap(format, *As(Bare(format)));
  return bytes;
}

const SharedBytes& Outgoing::CutTail(Format format, std::uint32_t skip) {
  const std::uint32_t skipped = skipped_[IsTwo(format) ? 1 : 0];
  if (skip <= skipped) return As(format);
  Cut& cut = tails_[static_cast<std::size_t>(format)];
  if (cut.skip != skip) {
    const std::string_view rest = SkipPackages(*As(Bare(format)), skip - skipped);
    cut.bytes = OnWs(format) ? Wrap(format, rest) : Share(std::string(rest));
    cut.skip = skip;
  }
  return cut.bytes;
}

}  // namespace encke::hub
