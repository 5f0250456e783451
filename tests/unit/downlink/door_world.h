#pragma once
// A PushDoor between two fake shards and jobs that the test plays.

#include <atomic>
#include <deque>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "api/push.pb.h"

#include "downlink/push_door.h"
#include "unit/hub/sink.h"

namespace encke::downlink {

class FakeShard final : public ShardPort {
 public:
  bool Post(std::function<void()> task) override {
    if (on_post && !on_post()) return false;
    mailbox.push_back(std::move(task));
    return true;
  }
  hub::Hub& hub() override { return hub_; }
  void FlushSoon() override { ++flushes; }
  void AfterFlush(std::function<void()> task) override { after.push_back(std::move(task)); }
  void Kick(hub::Slot slot, const std::string& reason) override {
    commands += "kick " + std::to_string(slot) + " " + reason + "\n";
  }
  void Join(hub::Slot slot, const std::string& room) override {
    commands += "join " + std::to_string(slot) + " " + room + "\n";
  }
  void Leave(hub::Slot slot, const std::string& room) override {
    commands += "leave " + std::to_string(slot) + " " + room + "\n";
  }

  // Runs what waits; answers what clients got.
  std::string Run() {
    while (!mailbox.empty()) {
      mailbox.front()();
      mailbox.pop_front();
    }
    Flush();
    return sink.Story();
  }
  void Flush() {
    while (hub_.Flush(1'000'000)) {
    }
    for (const auto& task : std::exchange(after, {}))
      task();
  }

  std::function<bool()> on_post;
  std::deque<std::function<void()>> mailbox;
  std::vector<std::function<void()>> after;
  int flushes = 0;
  std::string commands;
  hub::RecordingSink sink;

 private:
  static hub::HubOptions AtTimeZero() {
    hub::HubOptions options;
    options.now_us = [] { return 0; };
    return options;
  }
  hub::Hub hub_{AtTimeZero(), sink};
};

class FakeHandle final : public rpc::StreamHandle {
 public:
  void Kick() override { ++kicks; }
  void Close() override { closed = true; }
  std::atomic<int> kicks{0};
  std::atomic<bool> closed{false};
};

// A message of a job, put together entry by entry.
class Message {
 public:
  Message& Batch(std::uint32_t partition, std::uint64_t fence, std::uint64_t log = 0) {
    batch_ = down_.add_batches();
    batch_->set_partition(partition);
    batch_->set_fence(fence);
    batch_->set_log(log);
    return *this;
  }
  Message& Entry(std::uint64_t seq, const PushMsg& push, double rate = 0) {
    return Raw(seq, push.SerializeAsString(), rate);
  }
  Message& Raw(std::uint64_t seq, const std::string& bytes, double rate = 0) {
    LogEntry* entry = batch_->add_entries();
    entry->set_seq(seq);
    entry->set_push(bytes);
    entry->set_rate(rate);
    return *this;
  }
  const PushDown& down() const { return down_; }

 private:
  PushDown down_;
  PushBatch* batch_ = nullptr;
};

inline PushMsg ToRoom(const std::string& room, const std::string& body) {
  PushMsg push;
  push.set_type(PushMsg::ROOM);
  push.set_room(room);
  push.set_operation(1);
  push.set_msg(body);
  push.set_accepted_us(1);
  return push;
}

inline PushMsg ToKeys(const std::vector<std::string>& keys, const std::string& body, int op = 1) {
  PushMsg push;
  for (const std::string& key : keys)
    push.add_keys(key);
  push.set_operation(op);
  push.set_msg(body);
  return push;
}

inline PushMsg ToAll(const std::string& body) {
  PushMsg push;
  push.set_type(PushMsg::BROADCAST);
  push.set_operation(1);
  push.set_msg(body);
  return push;
}

struct Connected {
  std::shared_ptr<FakeHandle> handle = std::make_shared<FakeHandle>();
  std::shared_ptr<rpc::PushServerUser> user;

  explicit Connected(PushDoor* door) : user(door->Accept(handle)) {}
  ~Connected() {
    if (user != nullptr) user->OnClosed("test over");
  }
  // As rpc does it: what cannot be taken at once is taken where it may wait.
  void Send(const Message& message) const { Send(message.down()); }
  void Send(const PushDown& down) const {
    if (!user->TryMessage(down)) user->OnMessage(down);
  }
  // What goes up now: "c1/5 all +room", "p3/f7=12", "refused p3/f6=9".
  std::string Up() const {
    PushUp up;
    if (!user->Fill(&up)) return "nothing";
    std::string text;
    if (!up.comet().empty()) text += up.comet() + "/" + std::to_string(up.boot()) + " ";
    for (const PushAck& ack : up.acks()) {
      if (ack.refused()) text += "refused ";
      text += "p" + std::to_string(ack.partition()) + "/f" + std::to_string(ack.fence()) + "=" +
              std::to_string(ack.seq()) + " ";
    }
    if (up.interest().snapshot()) text += "all ";
    for (const std::string& room : up.interest().joined())
      text += "+" + room + " ";
    return text;
  }
};

class PushDoorTest : public testing::Test {
 protected:
  void Enter(std::uint32_t shard, hub::Slot slot, const std::string& key, const std::string& room) {
    shards[shard].hub().Enter(slot, hub::Format::kTcp, Key(key), {1});
    if (!room.empty()) shards[shard].hub().Join(slot, RoomId(room));
    directory.Put(key, {shard, slot});
  }

  FakeShard shards[2];
  Interest interest{{}};
  hub::Directory directory;
  PushDoor door{{.mailbox_retry = Duration(0)}, interest, directory,
                {&shards[0], &shards[1]},       "c1",     5};
};

}  // namespace encke::downlink
