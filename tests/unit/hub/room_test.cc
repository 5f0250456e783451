// Walks of a room while members come and go: slices, fairness, and a brute-force comparison with a
// model that knows no batches.

#include "hub/room.h"

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "unit/hub/sink.h"

namespace encke::hub {
namespace {

// A clock that stands still until told, so that a budget of 0 is one turn of 32 sends.
struct Slices {
  std::int64_t now = 0;
  RecordingSink sink;
  HubOptions Options() {
    HubOptions options;
    options.now_us = [this] { return now; };
    return options;
  }
};

void EnterRoom(Hub* hub, Slot from, Slot count, const std::string& room) {
  for (Slot slot = from; slot < from + count; ++slot) {
    hub->Enter(slot, slot % 3 == 0 ? Format::kWs : Format::kTcp, Key("k"), {1});
    hub->Join(slot, RoomId(room));
  }
}

TEST(RoomSlices, ABigRoomYieldsToSmallOnesAndGoesOnWhereItStopped) {
  Slices slices;
  Hub hub(slices.Options(), slices.sink);
  EnterRoom(&hub, 0, 1000, "big");
  EnterRoom(&hub, 2000, 5, "small");
  EnterRoom(&hub, 3000, 5, "smaller");
  hub.PushRoom("big", 1, "b");
  EXPECT_TRUE(hub.Flush(0));
  EXPECT_EQ(slices.sink.sent.size(), 32U);
  hub.PushRoom("small", 1, "s");
  hub.PushRoom("smaller", 1, "s");
  EXPECT_TRUE(hub.Flush(0));  // the big room was first in the list
  EXPECT_TRUE(hub.Flush(0));
  EXPECT_EQ(slices.sink.sent.size(), 96U);
  for (std::size_t i = 64; i < 74; ++i)
    EXPECT_GE(slices.sink.sent[i].slot, 2000U);
  while (hub.Flush(0)) {
  }
  EXPECT_EQ(slices.sink.sent.size(), 1010U);
}

TEST(RoomSlices, PushesGatherWhileABigRoomIsWalked) {
  Slices slices;
  Hub hub(slices.Options(), slices.sink);
  EnterRoom(&hub, 0, 100, "r");
  hub.PushRoom("r", 1, "first");
  hub.Flush(0);
  hub.PushRoom("r", 1, "second");
  hub.PushRoom("r", 1, "third");
  while (hub.Flush(0)) {
  }
  ASSERT_EQ(slices.sink.sent.size(), 200U);
  for (std::size_t i = 0; i < 200; ++i)
    EXPECT_EQ(slices.sink.sent[i].messages, i < 100 ? 1U : 2U);
}

TEST(RoomSlices, FlushStopsWhenItsBudgetIsUsedUp) {
  Slices slices;
  Hub hub(slices.Options(), slices.sink);
  EnterRoom(&hub, 0, 1000, "r");
  slices.sink.on_send = [&slices](Slot) { slices.now += 10; };
  hub.PushRoom("r", 1, "x");
  EXPECT_TRUE(hub.Flush(1000));
  EXPECT_EQ(slices.sink.sent.size(), 128U);  // 100 sends use it up, noticed at the next turn
}

// Every member expects each push between its join and its leave, once and in order.
class Model {
 public:
  void Join(Slot slot, const std::string& room) {
    Leave(slot);
    room_of_[slot] = room;
  }
  // What was pushed but not yet sent may still come or not: it is taken off at Leave.
  void Leave(Slot slot) {
    room_of_.erase(slot);
    due_[slot].clear();
  }
  void Push(const std::string& room, const std::string& push) {
    for (const auto& [slot, of] : room_of_)
      if (of == room) due_[slot].push_back(push);
  }
  // Empty: as it should be.
  std::string Got(Slot slot, const std::vector<std::string>& pushes) {
    std::vector<std::string>& due = due_[slot];
    for (const std::string& push : pushes) {
      if (due.empty()) return push + " was not due";
      if (due.front() != push) return push + " came instead of " + due.front();
      due.erase(due.begin());
    }
    return "";
  }
  std::string Missing() const {
    for (const auto& [slot, due] : due_)
      if (!due.empty()) return std::to_string(slot) + " misses " + due.front();
    return "";
  }
  bool InARoom(Slot slot) const { return room_of_.contains(slot); }

 private:
  std::map<Slot, std::string> room_of_;
  std::map<Slot, std::vector<std::string>> due_;
};

struct World {
  static constexpr Slot kSlots = 120;

  explicit World(unsigned seed) : random(seed), hub(Options(), sink) {
    sink.on_send = [this](Slot slot) {
      const std::string wrong = model.Got(slot, Pushes(*sink.sent.back().bytes));
      if (!wrong.empty() && broken.empty()) broken = std::to_string(slot) + ": " + wrong;
      if (random() % 50 == 0) Change();  // also from inside a walk
    };
    for (Slot slot = 0; slot < kSlots; ++slot)
      hub.Enter(slot, random() % 2 == 0 ? Format::kWs : Format::kTcp, Key("k"), {});
  }

  HubOptions Options() {
    HubOptions options;
    options.now_us = [] { return 0; };
    options.batch_messages_max = 1 + random() % 6;
    options.renumber_at = random() % 2 == 0 ? 3 : 0x80000000;
    return options;
  }

  std::string AnyRoom() { return "room " + std::to_string(random() % 3); }

  void Change() {
    const Slot slot = static_cast<Slot>(random() % kSlots);
    const auto dice = random() % 10;
    if (dice < 5) {
      const std::string room = AnyRoom();
      if (hub.RoomOf(slot) != room) model.Join(slot, room);
      hub.Join(slot, RoomId(room));
    } else if (dice < 7) {
      model.Leave(slot);
      hub.LeaveRoom(slot);
    } else {
      const std::string room = AnyRoom();
      const std::string body = std::to_string(++pushes);
      if (hub.PushRoom(room, 1, body) == Pushed::kQueued) model.Push(room, "1:" + body);
    }
  }

  std::mt19937 random;
  RecordingSink sink;
  Hub hub;
  Model model;
  int pushes = 0;
  std::string broken;
};

TEST(RoomModel, WhateverHappensEveryMemberGetsWhatIsDueOnceAndInOrder) {
  for (unsigned seed = 1; seed <= 40; ++seed) {
    World world(seed);
    for (int step = 0; step < 3000 && world.broken.empty(); ++step) {
      world.Change();
      if (world.random() % 4 == 0) world.hub.Flush(0);
      world.sink.sent.clear();
    }
    world.sink.on_send = [&world](Slot slot) {
      const std::string wrong = world.model.Got(slot, Pushes(*world.sink.sent.back().bytes));
      if (world.broken.empty()) world.broken = wrong;
    };
    while (world.hub.Flush(0)) {
    }
    ASSERT_EQ(world.broken, "") << "seed " << seed;
    ASSERT_EQ(world.model.Missing(), "") << "seed " << seed;
    ASSERT_GT(world.pushes, 500) << "seed " << seed;
  }
}

// A list of the members is made in pieces, while batches are walked and others come and go.
TEST(RoomMembers, PiecesMissNobodyWhoStays) {
  std::mt19937 random(7);
  Slices slices;
  Hub hub(slices.Options(), slices.sink);
  EnterRoom(&hub, 0, 500, "r");
  Slot next = 1000;
  for (int round = 0; round < 20; ++round) {
    std::set<Slot> stay;
    for (const Slot slot : hub.Members("r"))
      if (slot % 2 == 0) stay.insert(slot);
    std::set<Slot> seen;
    std::size_t end = 1'000'000;
    hub.PushRoom("r", 1, "x");
    for (auto some = hub.Members("r", &end, 16); !some.empty(); some = hub.Members("r", &end, 16)) {
      seen.insert(some.begin(), some.end());
      hub.Flush(0);
      for (const Slot slot : hub.Members("r"))
        if (slot % 2 == 1 && random() % 8 == 0) hub.Leave(slot);
      EnterRoom(&hub, next, 8, "r");
      next += 8;
    }
    for (const Slot slot : stay)
      ASSERT_TRUE(seen.contains(slot)) << slot << " in round " << round;
  }
  std::size_t end = 5;
  EXPECT_TRUE(hub.Members("nowhere", &end, 16).empty());
}

TEST(RoomNumbers, StartAgainWithoutAnybodyNoticing) {
  RecordingSink sink;
  Hub hub({.renumber_at = 2}, sink);
  EnterRoom(&hub, 1, 1, "r");
  for (int i = 0; i < 10; ++i) {
    hub.PushRoom("r", 1, std::to_string(i));
    if (i == 5) EnterRoom(&hub, 2, 1, "r");
    if (i % 2 == 1)
      while (hub.Flush(1'000'000)) {
      }
  }
  EXPECT_EQ(sink.Story(),
            "1 <- 1:0 1:1\n1 <- 1:2 1:3\n1 <- 1:4 1:5\n"
            "1 <- 1:6 1:7\n2 <- 1:6 1:7\n1 <- 1:8 1:9\n2 <- 1:8 1:9\n");
}

}  // namespace
}  // namespace encke::hub
