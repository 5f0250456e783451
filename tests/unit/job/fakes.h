#pragma once
// Fakes for job's tests: messages, a clock, and comets whose streams the test plays itself.

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "job/comet_link.h"

namespace encke::job {

inline SharedMessage RoomMessage(std::uint64_t seq,
                                 const std::string& room,
                                 int partition = 0,
                                 std::uint64_t fence = 1) {
  auto message = std::make_shared<Message>();
  message->partition = partition;
  message->fence = fence;
  message->seq = seq;
  message->kind = Kind::kRoom;
  message->room = room;
  message->payload = room + "#" + std::to_string(seq);
  return message;
}

inline SharedMessage PushTo(std::uint64_t seq, const std::string& server) {
  auto message = std::make_shared<Message>(*RoomMessage(seq, ""));
  message->kind = Kind::kPush;
  message->server = server;
  message->payload = server + "#" + std::to_string(seq);
  return message;
}

inline SharedMessage Broadcast(std::uint64_t seq, int speed = 0) {
  auto message = std::make_shared<Message>(*RoomMessage(seq, ""));
  message->kind = Kind::kBroadcast;
  message->speed = speed;
  message->payload = "all#" + std::to_string(seq);
  return message;
}

// "p0f1: 7 8 | p1f1: 9": partition, fence and seqs of what is going down.
inline std::string Text(const PushDown& down) {
  std::string out;
  for (const PushBatch& batch : down.batches()) {
    if (!out.empty()) out += " | ";
    out += "p" + std::to_string(batch.partition()) + "f" + std::to_string(batch.fence()) + ":";
    for (const LogEntry& entry : batch.entries())
      out += " " + std::to_string(entry.seq());
  }
  return out;
}

// The outside of links: streams are kept by address, timers run when the test says so.
class FakeWorld {
 public:
  FakeWorld() = default;
  FakeWorld(const FakeWorld&) = delete;
  FakeWorld& operator=(const FakeWorld&) = delete;
  ~FakeWorld() {
    for (const auto& stream : streams)
      stream->user.reset();  // it holds the stream
  }

  class Stream : public rpc::StreamHandle {
   public:
    void Kick() override { ++kicks; }
    void Close() override { closed = true; }
    int kicks = 0;
    bool closed = false;
    std::string address;
    std::shared_ptr<rpc::PushClientUser> user;
  };

  LinkPorts ports() {
    return {
        .open =
            [this](const std::string& address, std::shared_ptr<rpc::PushClientUser> user) {
              auto stream = std::make_shared<Stream>();
              stream->address = address;
              stream->user = std::move(user);
              streams.push_back(stream);
              return stream;
            },
        .later = [this](Duration delay,
                        std::function<void()> act) { timers.emplace_back(delay, std::move(act)); },
        .now_us = [this] { return now_us += step_us; }};
  }

  Stream& stream() { return *streams.back(); }
  void RunTimers() {
    for (auto& [delay, act] : std::exchange(timers, {}))
      act();
  }

  // What the comet at the other end of the newest stream does.
  std::string Receive() {
    PushDown down;
    return stream().user->Fill(&down) ? Text(down) : "";
  }
  PushDown ReceiveAll() {
    PushDown down;
    stream().user->Fill(&down);
    return down;
  }
  void Hello(std::uint64_t boot, const std::vector<std::string>& rooms) {
    PushUp up;
    up.set_comet("c1");
    up.set_boot(boot);
    up.mutable_interest()->set_number(1);
    up.mutable_interest()->set_snapshot(true);
    for (const auto& room : rooms)
      up.mutable_interest()->add_joined(room);
    stream().user->OnMessage(up);
  }
  void Interest(std::uint64_t number,
                const std::vector<std::string>& joined,
                const std::vector<std::string>& left = {}) {
    PushUp up;
    up.mutable_interest()->set_number(number);
    for (const auto& room : joined)
      up.mutable_interest()->add_joined(room);
    for (const auto& room : left)
      up.mutable_interest()->add_left(room);
    stream().user->OnMessage(up);
  }
  void Echo(std::uint64_t tick) {
    PushUp up;
    up.set_tick(tick);
    stream().user->OnMessage(up);
  }
  void Ack(std::uint64_t seq, int partition = 0, std::uint64_t fence = 1, bool refused = false) {
    PushUp up;
    PushAck* ack = up.add_acks();
    ack->set_partition(static_cast<std::uint32_t>(partition));
    ack->set_fence(fence);
    ack->set_seq(seq);
    ack->set_refused(refused);
    stream().user->OnMessage(up);
  }
  void Break() {
    auto user = std::exchange(stream().user, nullptr);
    user->OnClosed("broken by the test");
  }

  std::atomic<std::int64_t> now_us = 1'000'000;  // asked by readers' threads too
  std::int64_t step_us = 0;                      // of the clock, at each look
  std::vector<std::shared_ptr<Stream>> streams;
  std::deque<std::pair<Duration, std::function<void()>>> timers;
};

}  // namespace encke::job
