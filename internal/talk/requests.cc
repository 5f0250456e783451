// What clients of version 2 ask for beside rooms: publish, acknowledge, sync, beat.
#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "talk/talks.h"
#include "wire/op.h"

namespace encke::talk {
namespace {

constexpr double kSecondMs = 1000;

}  // namespace

// ---- publish ------------------------------------------------------------------------------------

bool Talks::MayPublish(Guest& guest) {
  const std::int64_t now = host_.NowMs();
  const double earned =
      static_cast<double>(now - guest.tokens_ms) * options_.publish_rate / kSecondMs;
  guest.tokens = std::min(guest.tokens + earned, options_.publish_burst);
  guest.tokens_ms = now;
  if (guest.tokens < 1) return false;
  guest.tokens -= 1;
  return true;
}

void Talks::OnPublish(hub::Slot slot, const wire::Package& package) {
  client::Publish publish;
  Fault fault = Read(package.body, &publish);
  if (!fault) fault = Check(publish);
  if (!fault && !publish.room().empty() && !hub_.In(slot, publish.room()))
    fault = ErrorOf(client::Error::NOT_JOINED, "room", "is not joined");
  if (!fault && !MayPublish(*host_.GuestOf(slot))) {
    stats_.publishes_rate.Add();
    fault = ErrorOf(client::Error::RATE, "", "too many publishes",
                    static_cast<std::int64_t>(kSecondMs / options_.publish_rate) + 1);
  }
  if (fault) {
    stats_.publishes_refused.Add();
    return Refuse<client::PublishReply>(slot, wire::kOpPublishReply, package.seq, *fault);
  }
  Request request;
  Publish& ask = *request.mutable_publish();
  ask.set_room(publish.room());
  ask.set_to_mid(publish.to_mid());
  // A question may be said twice when a stream breaks: without a name it would be published twice.
  ask.set_client_id(publish.client_id().empty() ? fmt::format("~{:x}.{}.{}", boot_, shard_, asked_)
                                                : publish.client_id());
  ask.set_op(publish.op());
  ask.set_body(std::move(*publish.mutable_body()));
  ask.set_stored(publish.stored());
  Count(slot, true);
  Ask(slot, std::move(request),
      [this, seq = package.seq, id = publish.client_id()](hub::Slot at, const Reply& answer) {
        client::PublishReply reply;
        if (const auto error = ErrorOf(answer)) *reply.mutable_error() = *error;
        (answer.error().empty() ? stats_.publishes : stats_.publishes_refused).Add();
        reply.set_client_id(id);
        reply.set_id(answer.published().push_id());
        reply.set_epoch(answer.published().epoch());
        reply.set_seq(answer.published().seq());
        reply.set_time_us(answer.published().time_us());
        Answer(at, wire::kOpPublishReply, seq, reply);
        Count(at, false);
      });
}

// ---- acknowledge, beat --------------------------------------------------------------------------

void Talks::OnAck(hub::Slot slot, const wire::Package& package) {
  client::Ack ack;
  Fault fault = Read(package.body, &ack);
  if (!fault) fault = Check(ack);
  if (fault) return Refuse<client::AckReply>(slot, wire::kOpAckReply, package.seq, *fault);
  Request request;
  request.mutable_cursor()->set_epoch(ack.epoch());
  request.mutable_cursor()->set_seq(ack.seq());
  Count(slot, true);
  Ask(slot, std::move(request), [this, seq = package.seq](hub::Slot at, const Reply& answer) {
    client::AckReply reply;
    if (const auto error = ErrorOf(answer)) *reply.mutable_error() = *error;
    if (seq != 0) Answer(at, wire::kOpAckReply, seq, reply);
    Count(at, false);
  });
}

void Talks::OnBeat(hub::Slot slot, const wire::Package& package) {
  Count(slot, true);
  AskHeads(slot, std::vector<std::string>(host_.GuestOf(slot)->timelines),
           [this, seq = package.seq](hub::Slot at, const Reply& answer) {
             client::BeatReply reply;
             for (const Head& head : answer.heads().heads()) {
               if (!head.kept()) {
                 std::erase(host_.GuestOf(at)->timelines, head.timeline());
                 continue;
               }
               client::Head& out = *reply.add_heads();
               out.set_room(head.timeline());
               out.set_epoch(head.epoch());
               out.set_seq(head.seq());
             }
             reply.set_time_us(options_.wall_us());
             Answer(at, wire::kOpBeatReply, seq, reply);
             Count(at, false);
           });
}

// ---- sync ---------------------------------------------------------------------------------------

void Talks::OnSync(hub::Slot slot, const wire::Package& package) {
  client::Sync sync;
  Fault fault = Read(package.body, &sync);
  const bool own = sync.room() == InboxOf(host_.MidOf(slot));
  if (!fault && !own) fault = CheckRoom(sync.room(), "room");
  if (!fault && !own && !hub_.In(slot, sync.room()))
    fault = ErrorOf(client::Error::NOT_JOINED, "room", "is not joined");
  if (fault) return Refuse<client::SyncReply>(slot, wire::kOpSyncReply, package.seq, *fault);
  Count(slot, true);
  host_.GuestOf(slot)->syncs.push_back({.seq = package.seq == 0 ? -1 : package.seq,
                                        .room = sync.room(),
                                        .epoch = sync.epoch(),
                                        .after = sync.after(),
                                        .limit = sync.limit()});
  NextSync(slot);
}

// The next answer is only fetched when the client has read the last one.
void Talks::NextSync(hub::Slot slot) {
  Guest& guest = *host_.GuestOf(slot);
  if (guest.fetching || guest.syncs.empty() || host_.Queued(slot) > 0) return;
  const SyncWish wish = std::move(guest.syncs.front());
  guest.syncs.pop_front();
  guest.fetching = true;
  stats_.syncs.Add();
  const auto most = static_cast<std::uint32_t>(options_.sync_pushes_max);
  Request request;
  Fetch& fetch = *request.mutable_fetch();
  fetch.set_timeline(wish.room);
  fetch.set_epoch(wish.epoch);
  fetch.set_after(wish.after);
  fetch.set_limit(wish.limit == 0 ? most : std::min(wish.limit, most));
  Ask(slot, std::move(request),
      [this, wish](hub::Slot at, const Reply& answer) { OnFetched(at, wish, answer); });
}

void Talks::OnFetched(hub::Slot slot, const SyncWish& wish, const Reply& answer) {
  Guest& guest = *host_.GuestOf(slot);
  guest.fetching = false;
  client::SyncReply reply;
  reply.set_room(wish.room);
  if (const auto error = ErrorOf(answer)) {
    *reply.mutable_error() = *error;
  } else {
    const Fetched& fetched = answer.fetched();
    reply.set_epoch(fetched.epoch());
    reply.set_reload(fetched.reload());
    reply.set_newest(fetched.newest());
    reply.set_oldest(fetched.oldest());
    reply.set_through(fetched.reload() ? 0 : wish.after);
    PutFetched(slot, fetched, &reply);
    if (fetched.reload()) stats_.reloads.Add();
  }
  const std::int32_t seq = std::max(wish.seq, 0);
  if (!host_.Say(slot, wire::kOpSyncReply, seq, reply.SerializeAsString())) {
    guest.syncs.push_front(wish);  // again when there is room
    return;
  }
  stats_.synced_pushes.Add(static_cast<std::uint64_t>(reply.pushes_size()));
  if (wish.seq != 0) Count(slot, false);
  NextSync(slot);
}

// Only what was sent moves `through`: a number that came meanwhile is not called done.
void Talks::PutFetched(hub::Slot slot, const Fetched& fetched, client::SyncReply* out) {
  const std::string key = hub_.KeyOf(slot);
  const Listener listener{
      .key = key, .platform = host_.GuestOf(slot)->platform, .mid = host_.MidOf(slot)};
  out->set_more(fetched.more());
  std::size_t bytes = 0;
  PushMsg push;
  for (const std::string& one : fetched.pushes()) {
    if (bytes > 0 && bytes + one.size() > options_.sync_bytes_max) return out->set_more(true);
    bytes += one.size();
    if (!push.ParseFromString(one)) continue;
    out->set_through(std::max(out->through(), push.seq()));
    if (!Withheld(push, listener, options_.wall_us())) Put(push, out->room(), out->add_pushes());
  }
  if (!fetched.reload() || !fetched.pushes().empty()) return;
  const std::uint64_t start = fetched.oldest() > 0 ? fetched.oldest() - 1 : fetched.newest();
  out->set_through(std::max(start, fetched.through()));
}

}  // namespace encke::talk
