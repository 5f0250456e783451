// Channels of version 2 in the hub: many rooms, timelines, exclusions, what was missed.

#include <map>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "hub/hub.h"
#include "unit/hub/sink.h"

namespace encke::hub {
namespace {

// Room, number and body of every push inside the bytes, by the protobuf rules.
std::string Read(std::string_view bytes) {
  std::string story;
  if (!bytes.empty() && bytes[0] == '\x82') bytes.remove_prefix(bytes[1] < 126 ? 2 : 4);
  while (bytes.size() >= wire::kHeaderBytes) {
    const std::size_t size = GetU32(bytes.data());
    std::string_view body = bytes.substr(wire::kHeaderBytes, size - wire::kHeaderBytes);
    const std::uint32_t op = GetU32(bytes.data() + 8);
    bytes.remove_prefix(size);
    if (op != 32) {
      story += " v1:" + std::string(body);
      continue;
    }
    std::map<int, std::string> fields;
    while (!body.empty()) {
      const int tag = body[0];
      std::size_t value = 0, used = 1;
      for (int shift = 0;; shift += 7) {
        const auto byte = static_cast<unsigned char>(body[used++]);
        value |= static_cast<std::size_t>(byte & 0x7f) << shift;
        if (byte < 0x80) break;
      }
      const bool text = (tag & 7) == 2;
      fields[tag >> 3] = text ? std::string(body.substr(used, value)) : std::to_string(value);
      body.remove_prefix(used + (text ? value : 0));
    }
    story += " " + fields[1] + "@" + fields[2] + "/" + fields[3] + ":" + fields[5];
  }
  return story;
}

class TwoSink final : public Sink {
 public:
  Taken Send(Slot slot,
             const SharedBytes& bytes,
             std::size_t messages,
             const Rule& /*rule*/) override {
    story += std::to_string(slot) + " <-" + Read(*bytes) + "\n";
    delivered += messages;
    return slow.contains(slot) ? Taken::kDropped : Taken::kSent;
  }
  bool Excluded(Slot slot, const Extras& extras) override {
    for (const std::int64_t mid : extras.not_mids)
      if (mid == slot) return true;
    return false;
  }
  void Missed(Slot slot, const Miss& miss) override {
    story += std::to_string(slot) + (miss.why == Miss::Why::kSlow ? " missed " : " spared ") +
             std::string(miss.room) + "@" + std::to_string(miss.epoch) + "/" +
             std::to_string(miss.from) + "-" + std::to_string(miss.to) + " lost " +
             std::to_string(miss.lost) + "\n";
  }
  std::string Story() { return std::exchange(story, {}); }

  std::string story;
  std::size_t delivered = 0;
  std::set<Slot> slow;
};

Push Numbered(std::string_view body, std::uint64_t epoch, std::uint64_t seq) {
  return {.what = {.op = 1000, .body = body, .epoch = epoch, .seq = seq}};
}

struct Two : testing::Test {
  TwoSink sink;
  Hub hub{{}, sink};
  void Enter(Slot slot, Format format) { hub.Enter(slot, format, Key("k"), {1000}); }
  std::string Flushed() {
    while (hub.Flush(1000)) {
    }
    return sink.Story();
  }
};

TEST_F(Two, OneRoomHoldsAllFourFormats) {
  for (Slot slot = 0; slot < 4; ++slot) {
    Enter(slot, static_cast<Format>(slot));
    hub.Join(slot, RoomId("a://1"));
  }
  hub.PushRoom("a://1", Numbered("x", 5, 1));
  hub.PushRoom("a://1", 1000, "y");
  EXPECT_EQ(Flushed(),
            "0 <- v1:x v1:y\n"
            "1 <- v1:" +
                std::string("\0\0\0\x11\0\x10\0\1\0\0\3\xe8\0\0\0\0x", 17) +
                std::string("\0\0\0\x11\0\x10\0\1\0\0\3\xe8\0\0\0\0y", 17) +
                "\n"
                "2 <- a://1@5/1:x a://1@/:y\n"
                "3 <- a://1@5/1:x a://1@/:y\n");
}

TEST_F(Two, AChannelIsInManyRoomsAndLeavesThemOneByOne) {
  Enter(1, Format::kTcp2);
  for (const char* room : {"a", "b", "c"})
    EXPECT_TRUE(hub.Join(1, RoomId(room)).first);
  EXPECT_FALSE(hub.Join(1, RoomId("b")).first);  // already there
  EXPECT_EQ(hub.RoomCount(1), 3U);
  EXPECT_TRUE(hub.LeaveRoom(1, "b"));
  EXPECT_FALSE(hub.LeaveRoom(1, "b"));
  EXPECT_TRUE(hub.In(1, "a"));
  EXPECT_FALSE(hub.In(1, "b"));
  hub.PushRoom("a", 1000, "1");
  EXPECT_EQ(hub.PushRoom("b", 1000, "2"), Pushed::kNobody);
  hub.PushRoom("c", 1000, "3");
  EXPECT_EQ(Flushed(), "1 <- a@/:1\n1 <- c@/:3\n");
  hub.Leave(1);
  EXPECT_EQ(hub.PushRoom("a", 1000, "4"), Pushed::kNobody);
  EXPECT_EQ(hub.rooms(), 0U);
}

TEST_F(Two, ATimelineDropsRepeatsForBothVersions) {
  Enter(1, Format::kTcp);
  Enter(2, Format::kTcp2);
  hub.Join(1, RoomId("r"));
  hub.Join(2, RoomId("r"));
  EXPECT_EQ(hub.PushRoom("r", Numbered("a", 5, 1)), Pushed::kQueued);
  EXPECT_EQ(hub.PushRoom("r", Numbered("b", 5, 2)), Pushed::kQueued);
  EXPECT_EQ(hub.PushRoom("r", Numbered("a", 5, 1)), Pushed::kRepeat);
  EXPECT_EQ(hub.PushRoom("r", Numbered("b", 5, 2)), Pushed::kRepeat);
  EXPECT_EQ(hub.PushRoom("r", Numbered("d", 5, 4)), Pushed::kQueued);  // a hole is job's business
  EXPECT_EQ(hub.PushRoom("r", Numbered("A", 6, 1)), Pushed::kQueued);
  EXPECT_EQ(hub.PushRoom("r", Numbered("e", 5, 5)), Pushed::kRepeat);  // of before the change
  EXPECT_EQ(Flushed(),
            "1 <- v1:a v1:b v1:d\n2 <- r@5/1:a r@5/2:b r@5/4:d\n1 <- v1:A\n2 <- r@6/1:A\n");
  EXPECT_EQ(hub.counts().repeats.value(), 3U);
}

TEST_F(Two, WhoIsLeftOutGetsTheNumbersOnly) {
  for (Slot slot = 1; slot < 5; ++slot) {
    Enter(slot, slot % 2 == 0 ? Format::kTcp2 : Format::kTcp);
    hub.Join(slot, RoomId("r"));
  }
  auto extras = std::make_shared<Extras>();
  extras->not_mids = {1, 2};
  extras->fate = std::make_shared<Fate>();
  hub.PushRoom("r", Numbered("a", 5, 1));
  Push push = Numbered("b", 5, 2);
  push.extras = extras;
  hub.PushRoom("r", push);
  hub.PushRoom("r", Numbered("c", 5, 3));
  EXPECT_EQ(Flushed(),
            "1 <- v1:a\n2 <- r@5/1:a\n3 <- v1:a\n4 <- r@5/1:a\n"
            "2 spared r@5/2-2 lost 1\n3 <- v1:b\n4 <- r@5/2:b\n"
            "1 <- v1:c\n2 <- r@5/3:c\n3 <- v1:c\n4 <- r@5/3:c\n");
  EXPECT_EQ(extras->fate->excluded, 2U);
  EXPECT_EQ(extras->fate->sent, 2U);
}

TEST_F(Two, ASlowChannelHearsWhatItMissed) {
  Enter(1, Format::kTcp);
  Enter(2, Format::kTcp2);
  sink.slow = {1, 2};
  hub.Join(1, RoomId("r"));
  hub.Join(2, RoomId("r"));
  hub.PushRoom("r", Numbered("a", 5, 7));
  hub.PushRoom("r", Numbered("b", 5, 8));
  EXPECT_EQ(Flushed(),
            "1 <- v1:a v1:b\n1 missed r@5/7-8 lost 2\n"
            "2 <- r@5/7:a r@5/8:b\n2 missed r@5/7-8 lost 2\n");
  Push inbox = Numbered("c", 9, 1);
  inbox.what.room = "user://2";
  EXPECT_EQ(hub.PushKey(2, inbox), Pushed::kDropped);
  hub.PushAll(1000, "all", 0, nullptr);
  EXPECT_EQ(Flushed(),
            "2 <- user://2@9/1:c\n2 missed user://2@9/1-1 lost 1\n"
            "1 <- v1:all\n2 <- @/:all\n2 missed @0/0-0 lost 1\n");
}

TEST_F(Two, AnInboxIsNotFilteredForVersionTwo) {
  Enter(1, Format::kTcp);
  Enter(2, Format::kTcp2);
  Push push = Numbered("x", 5, 1);
  push.what.op = 77;
  EXPECT_EQ(hub.PushKey(1, push), Pushed::kFiltered);
  EXPECT_EQ(hub.PushKey(2, push), Pushed::kQueued);
  push.what.seq = 0;
  EXPECT_EQ(hub.PushKey(2, push), Pushed::kFiltered);
}

// Who is busy gets nothing at once.
class BusySink final : public Sink {
 public:
  Taken Send(Slot, const SharedBytes&, std::size_t, const Rule&) override { return Taken::kBusy; }
  Taken Wait(Slot slot, const backlog::ItemPtr& item) override {
    story += std::to_string(slot) + " waits" + Read(item->package) + " " +
             backlog::kPolicyNames[static_cast<int>(item->policy)] + " \"" + item->name + "\" " +
             std::to_string(item->seq) + "\n";
    return refuse ? Taken::kDropped : Taken::kQueued;
  }
  void Missed(Slot slot, const Miss& miss) override {
    story += std::to_string(slot) + " missed " + std::string(miss.room) + "/" +
             std::to_string(miss.from) + "\n";
  }
  std::string Story() { return std::exchange(story, {}); }
  std::string story;
  bool refuse = false;
};

TEST(TwoBusy, ABatchIsTakenApartForWhoCannotTakeIt) {
  HubOptions options;
  options.rules.Set("r", {.policy = Policy::kDropOld, .ops = {{7, Policy::kLatest}}});
  options.rules.Set("user", {.policy = Policy::kLatest});
  BusySink sink;
  Hub hub(options, sink);
  const auto flushed = [&] {
    while (hub.Flush(1000)) {
    }
    return sink.Story();
  };
  hub.Enter(1, Format::kTcp, Key("k"), {1000});
  hub.Enter(2, Format::kWs2, Key("l"), {1000});
  hub.Join(1, RoomId("r://1"));
  hub.PushRoom("r://1", {.what = {.op = 1000, .body = "a", .epoch = 5, .seq = 1}});
  hub.Join(2, RoomId("r://1"));  // came when a batch had begun
  hub.PushRoom("r://1", {.what = {.op = 7, .body = "b", .epoch = 5, .seq = 2}, .conflate = "n"});
  hub.PushRoom("r://1", 1000, "c");
  EXPECT_EQ(flushed(),
            "1 waits v1:a drop_old \"\" 1\n"
            "1 waits v1:b latest \"7 r://1 n\" 2\n"
            "1 waits v1:c drop_old \"\" 0\n"
            "2 waits r://1@5/2:b latest \"7 r://1 n\" 2\n"
            "2 waits r://1@/:c drop_old \"\" 0\n");
  EXPECT_EQ(hub.counts().deliveries.value(), 5U);
  sink.refuse = true;
  hub.PushRoom("r://1", {.what = {.op = 1000, .body = "d", .epoch = 5, .seq = 3}});
  hub.PushRoom("r://1", {.what = {.op = 1000, .body = "e", .epoch = 5, .seq = 4}});
  hub.LeaveRoom(1);
  EXPECT_EQ(flushed(),
            "2 waits r://1@5/3:d drop_old \"\" 3\n2 missed r://1/3\n"
            "2 waits r://1@5/4:e drop_old \"\" 4\n2 missed r://1/4\n");
  EXPECT_EQ(hub.counts().dropped.value(), 2U);
  EXPECT_EQ(hub.PushKey(1, 1000, "f"), Pushed::kDropped);
  EXPECT_EQ(flushed(), "1 waits v1:f latest \"1000 user \" 0\n");
  hub.PushAll(1000, "g", 0, nullptr);
  EXPECT_EQ(flushed(),
            "1 waits v1:g drop_new \"\" 0\n"
            "2 waits @/:g drop_new \"\" 0\n2 missed /0\n");
}

TEST(TwoExpiry, ABroadcastEndsWhenItsTimeIsOver) {
  std::int64_t wall = 100;
  HubOptions options;
  options.now_us = [] { return std::int64_t{0}; };
  options.wall_us = [&wall] { return wall; };
  TwoSink sink;
  Hub hub(options, sink);
  for (Slot slot = 0; slot < 100; ++slot)
    hub.Enter(slot, Format::kTcp2, Key("k"), {1000});
  auto extras = std::make_shared<Extras>();
  extras->fate = std::make_shared<Fate>();
  Push push{.what = {.op = 1000, .body = "x"}, .extras = extras, .expires_us = 150};
  std::size_t reached = 0;
  hub.PushAll(push, 0, [&reached](std::size_t n) { reached = n; });
  hub.Flush(0);
  wall = 200;
  while (hub.Flush(0)) {
  }
  EXPECT_EQ(reached, 32U);
  EXPECT_EQ(sink.delivered, 32U);
  EXPECT_EQ(hub.counts().expired.value(), 1U);
  EXPECT_EQ(extras->fate->expired.load(), 1U);
}

// Members of both versions come and go while messages gather and are walked: each gets exactly what
// was pushed while it was there.
TEST(TwoModel, BothVersionsGetExactlyWhatWasPushedWhileTheyWereThere) {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    std::minstd_rand random(seed);
    TwoSink sink;
    HubOptions options;
    options.now_us = [] { return std::int64_t{0}; };
    options.batch_messages_max = 5;
    options.renumber_at = 40;
    Hub hub(options, sink);
    std::map<Slot, std::string> expect, got;
    const auto take = [&] {
      std::istringstream lines(sink.Story());
      for (std::string line; std::getline(lines, line);) {
        const std::size_t arrow = line.find(" <-");
        got[static_cast<Slot>(std::stoul(line.substr(0, arrow)))] += line.substr(arrow + 3);
      }
    };
    for (int step = 0; step < 400; ++step) {
      const Slot slot = random() % 8;
      const Format format = slot < 4 ? Format::kTcp : Format::kTcp2;
      switch (random() % 4) {
        case 0:
          if (!hub.Has(slot)) {
            hub.Enter(slot, format, Key("k"), {});
            hub.Join(slot, RoomId("r"));
          }
          break;
        case 1:
          // Only when nothing is under way: what still waits for it would be lost to the model.
          if (random() % 3 == 0) {
            while (hub.Flush(0)) {
            }
            take();
            if (hub.Has(slot)) hub.Leave(slot);
          }
          break;
        case 2: {
          const std::string body = std::to_string(step);
          hub.PushRoom("r", 1000, body);
          for (Slot s = 0; s < 8; ++s)
            if (hub.Has(s)) expect[s] += s < 4 ? " v1:" + body : " r@/:" + body;
          break;
        }
        default:
          hub.Flush(0);
      }
    }
    while (hub.Flush(0)) {
    }
    take();
    EXPECT_EQ(got, expect) << "seed " << seed;
  }
}

}  // namespace
}  // namespace encke::hub
