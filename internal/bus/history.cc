#include "bus/history.h"

#include <utility>

#include <fmt/format.h>

#include "api/push.pb.h"

#include "base/bytes.h"
#include "bus/kv.h"

namespace encke::bus {

namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::size_t kTokenMax = 128;

std::string StreamOf(const std::string& type) { return "ENCKE_HISTORY_" + type; }

std::string Prefix(const HistoryLog::Place& place) {
  return "encke.history." + place.type + "." + HistoryToken(place.id) + ".";
}

std::string EpochOf(const HistoryLog::Place& place) {
  return fmt::format("{}{}.*", Prefix(place), place.epoch);
}

std::string SubjectOf(const HistoryLog::Place& place) {
  return fmt::format("{}{}.{}", Prefix(place), place.epoch, place.seq / HistoryLog::kBlock);
}

struct Found {
  std::uint64_t stream_seq = 0;
  std::string payload;
};

Result<Found> Get(const Nats& nats, const std::string& stream, jsDirectGetMsgOptions& which) {
  natsMsg* raw = nullptr;
  const natsStatus status =
      js_DirectGetMsg(&raw, NatsHandles::Js(nats), stream.c_str(), nullptr, &which);
  const MsgHandle msg(raw);
  if (status == NATS_NOT_FOUND) return Error{Errc::kNotFound, "no such entry"};
  if (status != NATS_OK) return NatsError(status, "reading history");
  return Found{natsMsg_GetSequence(raw), std::string(DataOf(raw))};
}

// The first entry of the subject from this sequence of the stream on.
Result<Found> GetNext(const Nats& nats,
                      const std::string& stream,
                      const std::string& subject,
                      std::uint64_t from) {
  jsDirectGetMsgOptions which;
  jsDirectGetMsgOptions_Init(&which);
  which.Sequence = from;
  which.NextBySubject = subject.c_str();
  return Get(nats, stream, which);
}

Status MakeStream(jsCtx* js, const HistoryOptions& options, Existing existing) {
  const std::string stream = StreamOf(options.type);
  const std::string subject = "encke.history." + options.type + ".>";
  const char* subjects[] = {subject.c_str()};
  jsStreamConfig config =
      FileStream(stream, subjects, options.replicas, options.max_age, options.max_bytes);
  config.Discard = js_DiscardOld;
  config.AllowDirect = true;
  config.Duplicates = std::int64_t{120'000} * kNsPerMs;
  return EnsureStream(js, config, existing);
}

}  // namespace

std::string HistoryToken(std::string_view id) {
  constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuv";
  std::string token;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : id) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    for (count += 8; count >= 5; count -= 5)
      token += kDigits[bits >> (count - 5) & 31];
  }
  if (count > 0) token += kDigits[bits << (5 - count) & 31];
  if (token.size() <= kTokenMax) return token;
  return fmt::format("z{:016x}", Fnv1a(id));  // no digit of base32hex
}

Status HistoryLog::Ensure(const HistoryOptions& options) const {
  if (!nats_.connected()) return Error{Errc::kUnavailable, "nats is away"};
  auto made = MakeStream(NatsHandles::Js(nats_), options, Existing::kChange);
  if (made) {
    NatsHandles::KeepMade(
        nats_, [options](jsCtx* js) { return MakeStream(js, options, Existing::kLeave); });
  }
  return made;
}

void HistoryLog::Put(const Place& place, std::string payload, std::function<void(Status)> done) {
  const std::string subject = SubjectOf(place);
  publisher_.PublishTo(subject, subject + "." + std::to_string(place.seq), std::move(payload),
                       [done = std::move(done)](const Result<std::uint64_t>& stored) {
                         done(stored ? Status(Ok{}) : Status(stored.error()));
                       });
}

Result<std::vector<std::string>> HistoryLog::ReadBlock(const Place& place) const {
  const std::string subject = SubjectOf(place);
  std::vector<std::string> payloads;
  std::uint64_t next = 1;
  while (payloads.size() < 2 * kBlock) {  // a number may be there twice, never often
    auto found = GetNext(nats_, StreamOf(place.type), subject, next);
    if (!found && found.error().code == Errc::kNotFound) break;
    if (!found) return found.error();
    next = found->stream_seq + 1;
    payloads.push_back(std::move(found->payload));
  }
  return payloads;
}

Result<std::string> HistoryLog::Newest(const Place& place, Scope scope) const {
  const std::string subject = scope == Scope::kAll     ? Prefix(place) + ">"
                              : scope == Scope::kEpoch ? EpochOf(place)
                                                       : SubjectOf(place);
  jsDirectGetMsgOptions which;
  jsDirectGetMsgOptions_Init(&which);
  which.LastBySubject = subject.c_str();
  auto found = Get(nats_, StreamOf(place.type), which);
  if (!found) return found.error();
  return std::move(found->payload);
}

Result<std::string> HistoryLog::Oldest(const Place& place) const {
  auto found = GetNext(nats_, StreamOf(place.type), EpochOf(place), 1);
  if (!found) return found.error();
  return std::move(found->payload);
}

Status HistoryLog::PurgeSubject(const Place& place, const std::string& subject) const {
  jsOptions options;
  jsOptions_Init(&options);
  options.Stream.Purge.Subject = subject.c_str();
  jsErrCode code{};
  const natsStatus status =
      js_PurgeStream(NatsHandles::Js(nats_), StreamOf(place.type).c_str(), &options, &code);
  if (status != NATS_OK) return NatsError(status, "purging history", code);
  return Ok{};
}

// Whole blocks by their subject, the last one entry by entry.
Status HistoryLog::Purge(const Place& place) const {
  if (place.seq == 0) return PurgeSubject(place, Prefix(place) + ">");
  Place block = place;
  for (block.seq = 0; block.seq / kBlock < place.seq / kBlock; block.seq += kBlock)
    if (auto purged = PurgeSubject(block, SubjectOf(block)); !purged) return purged;
  const std::string stream = StreamOf(place.type);
  const std::string subject = SubjectOf(place);
  for (std::uint64_t next = 1;;) {
    const auto found = GetNext(nats_, stream, subject, next);
    if (!found && found.error().code == Errc::kNotFound) return Ok{};
    if (!found) return found.error();
    next = found->stream_seq + 1;
    PushMsg push;
    if (!push.ParseFromString(found->payload) || push.seq() > place.seq) continue;
    jsErrCode code{};
    const natsStatus status =
        js_DeleteMsg(NatsHandles::Js(nats_), stream.c_str(), found->stream_seq, nullptr, &code);
    if (status != NATS_OK) return NatsError(status, "purging history", code);
  }
}

}  // namespace encke::bus
