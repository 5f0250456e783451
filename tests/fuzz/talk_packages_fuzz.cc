// Fuzz: a client of version 2 that says anything, and a logic that answers anything.
//
//   input := step ...      step := what u8 | length u8 | bytes

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "talk/talks.h"
#include "wire/op.h"

namespace {

using namespace encke;

void Require(bool holds) {
  if (!holds) std::abort();
}

struct Logic final : uplink::LogicPort {
  std::vector<Request> requests;
  bool Arrive(Connect) override { return true; }
  bool Ask(Request request) override {
    requests.push_back(std::move(request));
    return requests.size() < 100;
  }
  bool Renew(Renewal) override { return true; }
  void Depart(Disconnect) override {}
  bool Receive(Upstream) override { return true; }
};

struct NoSink final : hub::Sink {
  hub::Taken Send(hub::Slot, const SharedBytes&, std::size_t, const hub::Rule&) override {
    return hub::Taken::kSent;
  }
};

struct OneClient final : talk::Host {
  NoSink sink;
  hub::Hub hub{{}, sink};
  Logic logic;
  talk::Guest guest;
  talk::Talks talks{{.rooms_max = 5, .requests_max = 3, .server = "c"}, 0, *this, hub, logic};
  std::vector<std::uint32_t> joins;
  ConnectReply answer;
  bool ended = false;

  bool Alive(hub::Slot, std::uint32_t) const override { return !ended; }
  std::uint32_t SerialOf(hub::Slot) const override { return 1; }
  talk::Guest* GuestOf(hub::Slot) override { return &guest; }
  std::int64_t MidOf(hub::Slot) const override { return 7; }
  std::int64_t HeartbeatMs(hub::Slot) const override { return 1000; }
  std::int64_t NowMs() const override { return 5; }
  std::size_t Queued(hub::Slot) const override { return 0; }
  bool Say(hub::Slot, std::int32_t op, std::int32_t, std::string_view body) override {
    Require(op > wire::kOpConnect && op <= wire::kOpError);
    if (op == wire::kOpSyncReply) Require(client::SyncReply().ParseFromString(std::string(body)));
    if (op == wire::kOpJoinReply) Require(client::JoinReply().ParseFromString(std::string(body)));
    return true;
  }
  void Beat(hub::Slot) override {}
  void Hold(hub::Slot, bool) override {}
  void AskJobs(hub::Slot, const std::string&, std::uint32_t entry) override {
    joins.push_back(entry);
  }
  void Admit(hub::Slot slot) override {
    hub.Enter(slot, hub::Format::kTcp2, Key("k"), {});
    talks.Welcome(slot, answer);
  }
  bool Join(hub::Slot slot, const std::string& room) override {
    return !hub.Join(slot, RoomId(room)).refused;
  }
  void LeaveRoom(hub::Slot slot, const std::string& room) override { hub.LeaveRoom(slot, room); }
  void End(hub::Slot, talk::Ending) override { ended = true; }

  void AnswerOne(std::string_view bytes) {
    if (logic.requests.empty()) return;
    Reply reply;
    if (!reply.ParseFromString(std::string(bytes))) reply.Clear();
    reply.set_id(logic.requests.front().id());
    logic.requests.erase(logic.requests.begin());
    talks.OnReply(reply);
  }
  void KnowOne() {
    if (joins.empty()) return;
    const std::uint32_t entry = joins.front();
    joins.erase(joins.begin());
    talks.Known(0, entry);
  }
  void Step(std::uint8_t what, std::string_view bytes) {
    if (what == 0) return AnswerOne(bytes);
    if (what == 1) return KnowOne();
    // A real one is not read while it is held.
    if (!guest.welcome || guest.joining > 0 || guest.asked >= 3) return;
    talks.OnPackage(0, {.ver = 2, .op = 16 + what % 24, .seq = what % 3, .body = bytes});
    Require(hub.RoomCount(0) <= 5);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view in(reinterpret_cast<const char*>(data), size);
  OneClient one;
  one.answer.set_mid(7);
  one.answer.set_key("k");
  const std::size_t connect = in.empty() ? 0 : std::min<std::size_t>(in.size(), in[0] & 0x7f);
  if (talk::Read(in.substr(0, connect), &one.guest.connect)) one.guest.connect.Clear();
  if (talk::Check(one.guest.connect)) return 0;
  in.remove_prefix(connect);
  one.talks.Enter(0, one.answer);
  while (in.size() >= 2 && !one.ended) {
    const auto what = static_cast<std::uint8_t>(in[0]);
    const std::size_t length =
        std::min<std::size_t>(static_cast<std::uint8_t>(in[1]), in.size() - 2);
    one.Step(what, in.substr(2, length));
    in.remove_prefix(2 + length);
  }
  return 0;
}
