#pragma once
// TwoClient: a client of version 2 on a loopback socket, and the logic that answers it.

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "api/client.pb.h"

#include "unit/session/world.h"
#include "wire/op.h"

namespace encke::session {

inline std::string RequestOf(std::int32_t op,
                             std::int32_t seq,
                             const google::protobuf::MessageLite& body) {
  return Packed(op, seq, body.SerializeAsString(), 2);
}

struct Heard {
  std::int32_t op = 0, seq = 0;
  std::string body;
  template <class Message>
  Message As() const {
    Message message;
    if (!message.ParseFromString(body)) message.Clear();
    return message;
  }
};

// What a client does: says requests, hears packages one by one.
class TwoClient {
 public:
  TwoClient(World& world, bool ws = false, int rcvbuf = 0) : world_(world), ws_(ws) {
    client_ = ws ? world.Upgraded() : std::make_unique<Client>(world.tcp, rcvbuf);
  }
  void Say(std::int32_t op, std::int32_t seq, const google::protobuf::MessageLite& body) {
    SayRaw(RequestOf(op, seq, body));
  }
  void SayRaw(const std::string& package) { client_->Say(ws_ ? Framed(package) : package); }

  // The next package; op 0: none came in time, or the connection ended.
  Heard Next() {
    world_.Until([&] { return Read() || client_->Closed(); });
    Read();
    if (heard_.empty()) return {};
    Heard first = std::move(heard_.front());
    heard_.pop_front();
    return first;
  }
  bool Silent() {
    for (int i = 0; i < 3; ++i)
      world_.Turn();
    return !Read();
  }
  bool Closes() { return world_.Closes(*client_); }
  Client& socket() { return *client_; }

 private:
  bool Read() {
    bytes_ += (client_->Hear(), client_->Take());
    while (Unwrap()) {
    }
    while (packages_.size() >= wire::kHeaderBytes) {
      const std::size_t size = GetU32(packages_.data());
      if (packages_.size() < size) break;
      heard_.push_back({static_cast<std::int32_t>(GetU32(packages_.data() + 8)),
                        static_cast<std::int32_t>(GetU32(packages_.data() + 12)),
                        packages_.substr(wire::kHeaderBytes, size - wire::kHeaderBytes)});
      packages_.erase(0, size);
    }
    return !heard_.empty();
  }
  bool Unwrap() {
    if (!ws_) {
      packages_ += std::exchange(bytes_, {});
      return false;
    }
    wire::WsFrame frame;
    std::size_t used = 0;
    if (wire::ParseWsFrame(bytes_.data(), bytes_.size(), 1 << 24, &frame, &used) !=
        wire::WsParsed::kFrame)
      return false;
    if (frame.opcode == wire::WsOpcode::kBinary) packages_ += frame.payload;
    bytes_.erase(0, used);
    return true;
  }

  World& world_;
  const bool ws_;
  std::unique_ptr<Client> client_;
  std::string bytes_, packages_;
  std::deque<Heard> heard_;
};

inline client::Connect ConnectTo(const std::vector<std::string>& rooms) {
  client::Connect connect;
  connect.set_token("{}");
  connect.set_device("d1");
  connect.set_platform("web");
  for (const std::string& room : rooms)
    connect.add_rooms()->set_room(room);
  return connect;
}

struct TwoWorld : World {
  using World::World;

  Request TakeRequest() {
    if (!Until([&] { return !logic.requests.empty(); })) return {};
    Request first = std::move(logic.requests.front());
    logic.requests.erase(logic.requests.begin());
    return first;
  }
  // Every timeline of the request has this head; epoch 0: none is one.
  void AnswerHeads(std::uint64_t epoch, std::uint64_t seq) {
    const Request request = TakeRequest();
    encke::Reply reply;
    reply.set_id(request.id());
    for (const std::string& timeline : request.heads().timelines()) {
      Head& head = *reply.mutable_heads()->add_heads();
      head.set_timeline(timeline);
      head.set_kept(epoch > 0 && !timeline.starts_with("user://"));
      if (!head.kept()) continue;
      head.set_epoch(epoch);
      head.set_seq(seq);
      head.set_oldest(1);
    }
    sessions->Hear(reply);
  }
  bool Admits(const std::string& key, const std::string& room = {}) {
    if (!Until([&] { return !logic.asks.empty(); })) return false;
    last_ask = std::exchange(logic.asks, {}).front();
    sessions->Answer(Welcome(last_ask, key, room));
    return true;
  }
  // A client in these rooms, timelines of epoch 1 and this head.
  std::unique_ptr<TwoClient> Two(const std::string& key,
                                 const std::vector<std::string>& rooms,
                                 std::uint64_t seq = 0,
                                 bool on_ws = false,
                                 int rcvbuf = 0) {
    auto client = std::make_unique<TwoClient>(*this, on_ws, rcvbuf);
    client->Say(wire::kOpConnect, 1, ConnectTo(rooms));
    if (!Admits(key)) return nullptr;
    AnswerHeads(1, seq);
    const Heard reply = client->Next();
    return reply.op == wire::kOpConnectReply && reply.seq == 1 ? std::move(client) : nullptr;
  }
  void Push(const std::string& room, const std::string& body, std::uint64_t seq) {
    sessions->hub().PushRoom(room, {.what = {.op = 1000, .body = body, .epoch = 1, .seq = seq}});
    while (sessions->hub().Flush(1000)) {
    }
  }

  encke::Connect last_ask;
};

}  // namespace encke::session
