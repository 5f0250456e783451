#include "hub/batch.h"

#include <algorithm>
#include <cassert>
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

Label LabelOf(const Push& push) {
  return {.op = push.what.op, .seq = push.what.seq, .conflate = std::string(push.conflate)};
}

Origin OriginOf(const Push& push, const Rules& rules, std::string_view type) {
  Origin origin{.rule = &rules.Of(type)};
  if (!rules.apart()) return origin;
  origin.scope = type;
  origin.room = push.what.room;
  origin.epoch = push.what.epoch;
  if (push.extras != nullptr) origin.fate = push.extras->fate;
  origin.labels.push_back(LabelOf(push));
  return origin;
}

Outgoing::Outgoing(Lane one, Lane two, Origin origin)
    : skipped_{one.skipped, two.skipped}, origin_(std::move(origin)) {
  whole_[static_cast<std::size_t>(Format::kTcp)] = Share(std::move(one.packages));
  whole_[static_cast<std::size_t>(Format::kTcp2)] = Share(std::move(two.packages));
}

Outgoing::Outgoing(const wire::Push& push, Origin origin)
    : Outgoing({.packages = Alone([&push](std::string* out) { wire::AppendPush1(out, push); })},
               {.packages = Alone([&push](std::string* out) { wire::AppendPush2(out, push); })},
               std::move(origin)) {}

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

// ---- for who is slow ----------------------------------------------------------------------------

std::span<const backlog::ItemPtr> Outgoing::Apart(Format format, std::uint32_t skip) {
  const std::size_t version = IsTwo(format) ? 1 : 0;
  const std::uint32_t skipped = skipped_[version];
  std::vector<backlog::ItemPtr>& items = apart_[version];
  if (items.empty()) {
    std::string_view rest = *As(Bare(format));
    for (std::size_t i = skipped; !rest.empty(); ++i) {
      assert(i < origin_.labels.size());
      const std::size_t size = GetU32(rest.data());
      items.push_back(ItemOf(origin_.labels[i], rest.substr(0, size)));
      rest.remove_prefix(size);
    }
  }
  return std::span(items).subspan(skip > skipped ? skip - skipped : 0);
}

backlog::ItemPtr Outgoing::ItemOf(const Label& label, std::string_view package) const {
  backlog::Item item{.package = std::string(package),
                     .policy = origin_.rule->Of(label.op),
                     .room = origin_.room,
                     .epoch = label.seq > 0 ? origin_.epoch : 0,
                     .seq = label.seq,
                     .fate = origin_.fate};
  if (item.policy == Policy::kLatest)
    item.name = std::to_string(label.op) + " " + origin_.scope + " " + label.conflate;
  return std::make_shared<const backlog::Item>(std::move(item));
}

SharedBytes Framed(Format format, std::string packages) {
  return OnWs(format) ? Wrap(format, packages) : Share(std::move(packages));
}

Taken SendAlone(Sink& sink, Slot slot, Format format, Outgoing& push) {
  const Taken taken = sink.Send(slot, push.As(format), 1, push.rule());
  return taken == Taken::kBusy ? sink.Wait(slot, push.Apart(format, 0).front()) : taken;
}

Miss MissOf(const Push& push, Miss::Why why) {
  return {.room = push.what.room,
          .epoch = push.what.epoch,
          .from = push.what.seq,
          .to = push.what.seq,
          .lost = 1,
          .why = why};
}

Miss MissOf(const backlog::Item& item) {
  return {.room = item.room, .epoch = item.epoch, .from = item.seq, .to = item.seq, .lost = 1};
}

}  // namespace encke::hub
