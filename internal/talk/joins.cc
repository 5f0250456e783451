// How clients of version 2 come into rooms and leave them: the first half of what Talks does.
#include <algorithm>
#include <utility>

#include "talk/talks.h"
#include "wire/op.h"

namespace encke::talk {
namespace {

const Head* Find(const Reply& heads, const std::string& timeline) {
  for (const Head& head : heads.heads().heads())
    if (head.timeline() == timeline) return &head;
  return nullptr;
}

bool Has(const std::vector<client::Joined>& rooms, const std::string& room) {
  return std::any_of(rooms.begin(), rooms.end(),
                     [&room](const client::Joined& joined) { return joined.room() == room; });
}

client::Error Full() { return ErrorOf(client::Error::LIMIT, "rooms", "is in as many as it may"); }

// One more room of the entry; a fault refuses it.
void AddRoom(Entry* entry, const client::Cursor& cursor, Fault fault) {
  client::Joined joined;
  joined.set_room(cursor.room());
  if (fault) *joined.mutable_error() = std::move(*fault);
  entry->cursors.push_back(cursor);
  entry->rooms.push_back(std::move(joined));
}

void AddRooms(Entry* entry, const google::protobuf::RepeatedPtrField<client::Cursor>& cursors) {
  for (int i = 0; i < cursors.size(); ++i) {
    if (Has(entry->rooms, cursors[i].room())) continue;
    AddRoom(entry, cursors[i],
            CheckRoom(cursors[i].room(), "rooms[" + std::to_string(i) + "].room"));
  }
}

}  // namespace

// ---- the welcome --------------------------------------------------------------------------------

void Talks::Enter(hub::Slot slot, const ConnectReply& answer) {
  Guest& guest = *host_.GuestOf(slot);
  Entry entry{.seq = guest.connect_seq};
  AddRooms(&entry, guest.connect.rooms());
  for (client::Joined& joined : entry.rooms) {
    const auto& refused = answer.rooms_refused();
    if (std::find(refused.begin(), refused.end(), joined.room()) == refused.end()) continue;
    *joined.mutable_error() = ErrorOf(client::Error::REFUSED, "rooms", "not with this token");
  }
  if (!answer.room().empty() && !Has(entry.rooms, answer.room())) {
    client::Cursor named;
    named.set_room(answer.room());
    AddRoom(&entry, named, std::nullopt);
  }
  Begin(slot, std::move(entry));
}

// Asks the jobs for every room that is not refused; the last one to be known goes on.  Rooms over
// the limit are refused here: what the jobs are asked for costs every one of them something.
void Talks::Begin(hub::Slot slot, Entry entry) {
  Guest& guest = *host_.GuestOf(slot);
  const std::uint32_t number = entry.number = ++guest.entries_made;
  entry.waits = 1;  // ourselves, until all are asked
  std::vector<std::string> rooms;
  std::size_t inside = guest.welcome ? hub_.RoomCount(slot) : 0;
  for (client::Joined& joined : entry.rooms) {
    if (joined.has_error()) continue;
    const bool known = guest.welcome && hub_.In(slot, joined.room());
    if (known || inside++ < options_.rooms_max) {
      rooms.push_back(joined.room());
    } else {
      *joined.mutable_error() = Full();
      stats_.joins_refused.Add();
    }
  }
  entry.waits += rooms.size();
  guest.entries.push_back(std::move(entry));
  for (const std::string& room : rooms)
    host_.AskJobs(slot, room, number);
  Known(slot, number);
}

void Talks::Known(hub::Slot slot, std::uint32_t number) {
  Guest* guest = host_.GuestOf(slot);
  if (guest == nullptr) return;
  const auto entry = std::find_if(guest->entries.begin(), guest->entries.end(),
                                  [number](const Entry& e) { return e.number == number; });
  if (entry == guest->entries.end() || --entry->waits > 0) return;
  if (!guest->welcome) return host_.Admit(slot);
  Entry done = std::move(*entry);
  guest->entries.erase(entry);
  FinishJoin(slot, std::move(done));
}

// From here on pushes reach it.  Heads are asked after the join, so that nothing between is lost.
void Talks::Welcome(hub::Slot slot, const ConnectReply& answer) {
  Guest& guest = *host_.GuestOf(slot);
  stats_.welcomes.Add();
  guest.welcome = true;
  guest.tokens = options_.publish_burst;
  guest.tokens_ms = host_.NowMs();
  Entry entry = std::move(guest.entries.front());
  guest.entries.erase(guest.entries.begin());
  const client::Connect connect = std::exchange(guest.connect, {});
  hub_.Watch(slot, {connect.accepts().begin(), connect.accepts().end()});
  guest.timelines.push_back(InboxOf(answer.mid()));
  EnterRooms(slot, &entry);

  client::ConnectReply reply;
  reply.set_mid(answer.mid());
  reply.set_key(answer.key());
  reply.set_heartbeat_ms(host_.HeartbeatMs(slot));
  reply.set_server(options_.server);
  reply.mutable_inbox()->set_room(InboxOf(answer.mid()));
  client::Limits& limits = *reply.mutable_limits();
  limits.set_rooms(static_cast<std::uint32_t>(options_.rooms_max));
  limits.set_requests(static_cast<std::uint32_t>(options_.requests_max));
  limits.set_body_bytes(wire::kBodyBytesMax);
  limits.set_sync_pushes(static_cast<std::uint32_t>(options_.sync_pushes_max));
  limits.set_publish_rate(static_cast<std::uint32_t>(options_.publish_rate));
  AskHeads(slot, std::vector<std::string>(guest.timelines),
           [this, entry = std::move(entry), reply = std::move(reply), inbox = connect.inbox()](
               hub::Slot at, const Reply& heads) mutable {
             Settle(at, heads, inbox, reply.mutable_inbox());
             for (std::size_t i = 0; i < entry.rooms.size(); ++i) {
               Settle(at, heads, entry.cursors[i], &entry.rooms[i]);
               *reply.add_rooms() = entry.rooms[i];
             }
             reply.set_time_us(options_.wall_us());
             Answer(at, wire::kOpConnectReply, entry.seq, reply);
             NextSync(at);
           });
}

void Talks::EnterRooms(hub::Slot slot, Entry* entry) {
  Guest& guest = *host_.GuestOf(slot);
  for (client::Joined& joined : entry->rooms) {
    if (joined.has_error()) continue;
    const bool inside = hub_.In(slot, joined.room());
    if (!inside && hub_.RoomCount(slot) >= options_.rooms_max) {
      *joined.mutable_error() = Full();  // others were faster
    } else if (!host_.Join(slot, joined.room())) {
      *joined.mutable_error() = ErrorOf(client::Error::UNAVAILABLE, "", "no more rooms here");
    } else {
      stats_.joins.Add();
      const auto& known = guest.timelines;
      if (std::find(known.begin(), known.end(), joined.room()) == known.end())
        guest.timelines.push_back(joined.room());
      continue;
    }
    stats_.joins_refused.Add();
  }
}

// What logic knows of the room; what the client lacks of it follows by itself.
void Talks::Settle(hub::Slot slot,
                   const Reply& heads,
                   const client::Cursor& cursor,
                   client::Joined* in) {
  if (in->has_error()) return;
  const bool inbox = TypeOf(in->room()) == kInboxType;
  if (!inbox && !hub_.In(slot, in->room())) {
    *in->mutable_error() = ErrorOf(client::Error::NOT_JOINED, "rooms", "was left meanwhile");
    return;
  }
  const Head* head = Find(heads, in->room());
  if (head == nullptr) return;
  Guest& guest = *host_.GuestOf(slot);
  in->set_known(true);
  in->set_kept(head->kept());
  if (!head->kept()) return void(std::erase(guest.timelines, in->room()));
  in->set_epoch(head->epoch());
  in->set_seq(head->seq());
  in->set_oldest(head->oldest());
  in->set_cursor(head->cursor());
  SyncWish wish{.room = in->room(), .epoch = cursor.epoch(), .after = cursor.seq()};
  if (inbox && cursor.epoch() == 0) {
    wish.epoch = head->epoch();
    wish.after = head->cursor();
  } else if (cursor.epoch() == 0) {
    return;  // it begins with what comes
  }
  if (wish.epoch == head->epoch() && wish.after >= head->seq()) return;
  in->set_syncing(true);
  stats_.resumes.Add();
  guest.syncs.push_back(std::move(wish));
}

// ---- later --------------------------------------------------------------------------------------

void Talks::OnJoin(hub::Slot slot, const wire::Package& package) {
  client::Join join;
  Fault fault = Read(package.body, &join);
  if (!fault) fault = Check(join);
  if (fault) return Refuse<client::JoinReply>(slot, wire::kOpJoinReply, package.seq, *fault);
  hub_.Watch(slot, {join.accepts().begin(), join.accepts().end()});
  Entry entry{.seq = package.seq};
  AddRooms(&entry, join.rooms());
  Count(slot, true);
  ++host_.GuestOf(slot)->joining;
  Rehold(slot);
  Begin(slot, std::move(entry));
}

void Talks::Join(hub::Slot slot, const std::string& room) {
  Guest* guest = host_.GuestOf(slot);
  if (guest == nullptr || !guest->welcome) return;
  Entry entry{.from_client = false};
  client::Cursor cursor;
  cursor.set_room(room);
  AddRoom(&entry, cursor, std::nullopt);
  Begin(slot, std::move(entry));
}

void Talks::FinishJoin(hub::Slot slot, Entry entry) {
  EnterRooms(slot, &entry);
  if (entry.from_client) --host_.GuestOf(slot)->joining;
  Rehold(slot);
  std::vector<std::string> timelines;
  for (const client::Joined& joined : entry.rooms)
    if (!joined.has_error()) timelines.push_back(joined.room());
  AskHeads(slot, timelines,
           [this, entry = std::move(entry)](hub::Slot at, const Reply& heads) mutable {
             client::JoinReply reply;
             for (std::size_t i = 0; i < entry.rooms.size(); ++i) {
               Settle(at, heads, entry.cursors[i], &entry.rooms[i]);
               *reply.add_rooms() = entry.rooms[i];
             }
             Answer(at, wire::kOpJoinReply, entry.seq, reply);
             if (entry.from_client) Count(at, false);
             NextSync(at);
           });
}

void Talks::OnLeave(hub::Slot slot, const wire::Package& package) {
  client::Leave leave;
  Fault fault = Read(package.body, &leave);
  if (!fault) fault = Check(leave);
  if (fault) return Refuse<client::LeaveReply>(slot, wire::kOpLeaveReply, package.seq, *fault);
  hub_.Unwatch(slot, {leave.accepts().begin(), leave.accepts().end()});
  client::LeaveReply reply;
  for (const std::string& room : leave.rooms()) {
    Forget(slot, room);
    reply.add_rooms(room);
  }
  Answer(slot, wire::kOpLeaveReply, package.seq, reply);
}

void Talks::Leave(hub::Slot slot, const std::string& room) {
  Guest* guest = host_.GuestOf(slot);
  if (guest == nullptr || !guest->welcome) return;
  // A backend's join that waits for the jobs is called off; its client has not heard of it.
  std::erase_if(guest->entries, [&room](const Entry& entry) {
    return !entry.from_client && entry.rooms[0].room() == room;
  });
  if (!hub_.In(slot, room)) return;
  Forget(slot, room);
  client::LeaveReply reply;
  reply.add_rooms(room);
  Answer(slot, wire::kOpLeaveReply, 0, reply);
}

void Talks::Forget(hub::Slot slot, const std::string& room) {
  if (!hub_.In(slot, room)) return;
  host_.LeaveRoom(slot, room);
  stats_.leaves.Add();
  Guest& guest = *host_.GuestOf(slot);
  std::erase(guest.timelines, room);
  guest.gaps.erase(room);
  std::erase_if(guest.syncs,
                [&room](const SyncWish& wish) { return wish.seq == 0 && wish.room == room; });
}

}  // namespace encke::talk
