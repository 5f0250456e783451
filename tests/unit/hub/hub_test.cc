// What channels see of pushes: to rooms, to keys, in both formats, with filters and slow clients.

#include "hub/hub.h"

#include <gtest/gtest.h>

#include "unit/hub/sink.h"

namespace encke::hub {
namespace {

constexpr std::int64_t kLong = 1'000'000'000;

class HubTest : public testing::Test {
 protected:
  void Enter(Slot slot, const std::string& key, Format format = Format::kTcp) {
    hub.Enter(slot, format, Key(key), {1000, 1001});
  }
  void EnterRoom(Slot slot, const std::string& room, Format format = Format::kTcp) {
    Enter(slot, "k" + std::to_string(slot), format);
    hub.Join(slot, RoomId(room));
  }
  std::string Flush() {
    while (hub.Flush(kLong)) {
    }
    return sink.Story();
  }

  RecordingSink sink;
  Hub hub{{}, sink};
};

TEST_F(HubTest, EveryMemberGetsARoomsPushesInOrderAndInOneSend) {
  EnterRoom(1, "live://7");
  EnterRoom(2, "live://7");
  EnterRoom(3, "live://8");
  EXPECT_EQ(hub.PushRoom("live://7", 1000, "a"), Pushed::kQueued);
  EXPECT_EQ(hub.PushRoom("live://7", 1001, "b"), Pushed::kQueued);
  EXPECT_EQ(hub.PushRoom("live://9", 1000, "c"), Pushed::kNobody);
  EXPECT_EQ(Flush(), "1 <- 1000:a 1001:b\n2 <- 1000:a 1001:b\n");
  EXPECT_EQ(Flush(), "");
  EXPECT_EQ(hub.counts().deliveries.value(), 4U);
  EXPECT_EQ(hub.counts().batches.value(), 1U);
}

// The vectors of goim: the same push on TCP and on WebSocket, and two pushes in one batch.
TEST_F(HubTest, BytesAreGoims) {
  EnterRoom(1, "r", Format::kTcp);
  EnterRoom(2, "r", Format::kWs);
  hub.PushRoom("r", 1000, "hi");
  hub.Flush(kLong);
  ASSERT_EQ(sink.sent.size(), 2U);
  EXPECT_EQ(Hex(*sink.sent[0].bytes), "0000001200100001000003e8000000006869");
  EXPECT_EQ(Hex(*sink.sent[1].bytes),
            "822200000022001000010000000900000000"
            "0000001200100001000003e8000000006869");
  sink.sent.clear();
  hub.PushRoom("r", 1000, "hi");
  hub.PushRoom("r", 1001, "");
  hub.Flush(kLong);
  ASSERT_EQ(sink.sent.size(), 2U);
  EXPECT_EQ(Hex(*sink.sent[1].bytes),
            "823200000032001000010000000900000000"
            "0000001200100001000003e8000000006869"
            "0000001000100001000003e900000000");
  EXPECT_EQ(sink.sent[1].messages, 2U);
  sink.sent.clear();
  hub.PushKey(2, 1000, "hi");
  EXPECT_EQ(Hex(*sink.sent[0].bytes),
            "822200000022001000010000000900000000"
            "0000001200100001000003e8000000006869");
}

TEST_F(HubTest, MembersOfOneFormatShareTheSameBytes) {
  for (Slot slot = 0; slot < 4; ++slot)
    EnterRoom(slot, "r", slot % 2 == 0 ? Format::kTcp : Format::kWs);
  hub.PushRoom("r", 1000, "x");
  hub.Flush(kLong);
  ASSERT_EQ(sink.sent.size(), 4U);
  EXPECT_EQ(sink.sent[0].bytes, sink.sent[2].bytes);
  EXPECT_EQ(sink.sent[1].bytes, sink.sent[3].bytes);
  EXPECT_NE(sink.sent[0].bytes, sink.sent[1].bytes);
}

TEST_F(HubTest, FiltersConcernKeysAndBroadcastsButNotRooms) {
  EnterRoom(1, "r");
  EXPECT_EQ(hub.PushKey(1, 999, "no"), Pushed::kFiltered);
  EXPECT_EQ(hub.PushKey(1, 1001, "yes"), Pushed::kQueued);
  EXPECT_EQ(sink.Story(), "1 <- 1001:yes\n");
  hub.PushRoom("r", 999, "room");
  hub.PushAll(999, "all", 0, nullptr);
  EXPECT_EQ(Flush(), "1 <- 999:room\n");

  hub.Watch(1, {999, 999, 5});
  hub.Unwatch(1, {1001, 7});
  EXPECT_EQ(hub.PushKey(1, 999, "now"), Pushed::kQueued);
  EXPECT_EQ(hub.PushKey(1, 1001, "never"), Pushed::kFiltered);
  EXPECT_EQ(hub.PushKey(1, 1000, "still"), Pushed::kQueued);
  EXPECT_EQ(sink.Story(), "1 <- 999:now\n1 <- 1000:still\n");
}

TEST_F(HubTest, ChannelsThatShareAcceptsAreIndependent) {
  Enter(1, "a");
  Enter(2, "b");
  hub.Watch(1, {5});
  EXPECT_EQ(hub.PushKey(2, 5, "x"), Pushed::kFiltered);
  hub.Unwatch(1, {5});
  hub.Leave(1);
  EXPECT_EQ(hub.PushKey(2, 1000, "x"), Pushed::kQueued);
}

TEST_F(HubTest, ASlowChannelIsCountedAndDelaysNobody) {
  for (Slot slot = 1; slot <= 3; ++slot)
    EnterRoom(slot, "r");
  sink.slow = {2};
  hub.PushRoom("r", 1000, "a");
  hub.PushRoom("r", 1000, "b");
  EXPECT_EQ(Flush(), "1 <- 1000:a 1000:b\n2 <- 1000:a 1000:b\n3 <- 1000:a 1000:b\n");
  EXPECT_EQ(hub.PushKey(2, 1000, "c"), Pushed::kDropped);
  EXPECT_EQ(hub.counts().deliveries.value(), 4U);
  EXPECT_EQ(hub.counts().dropped.value(), 3U);
}

TEST_F(HubTest, ANewcomerSeesOnlyWhatWasPushedAfterItsJoin) {
  EnterRoom(1, "r");
  hub.PushRoom("r", 1000, "before");
  EnterRoom(2, "r", Format::kWs);
  hub.PushRoom("r", 1000, "between");
  EnterRoom(3, "r");
  EnterRoom(4, "r");
  hub.PushRoom("r", 1000, "after");
  EnterRoom(5, "r");
  EXPECT_EQ(Flush(),
            "1 <- 1000:before 1000:between 1000:after\n"
            "2 <- 1000:between 1000:after\n"
            "3 <- 1000:after\n"
            "4 <- 1000:after\n");
}

TEST_F(HubTest, JoinTwiceIsNothingAndAnotherRoomIsAMove) {
  std::string story;
  hub.on_presence = [&story](std::string_view room, bool present) {
    story += (present ? "+" : "-") + std::string(room) + " ";
  };
  Enter(1, "a");
  EXPECT_TRUE(hub.Join(1, RoomId("x")).first);
  EXPECT_FALSE(hub.Join(1, RoomId("x")).first);
  Enter(2, "b");
  EXPECT_FALSE(hub.Join(2, RoomId("x")).first);
  hub.Join(2, RoomId("y"));
  EXPECT_EQ(hub.RoomOf(2), "y");
  EXPECT_EQ(hub.MembersHere("x"), 1U);
  EXPECT_TRUE(hub.LeaveRoom(1));
  EXPECT_FALSE(hub.LeaveRoom(1));
  hub.Leave(2);
  EXPECT_EQ(story, "+x +y -x -y ");
  EXPECT_EQ(hub.rooms(), 0U);
  EXPECT_EQ(hub.size(), 1U);
}

TEST_F(HubTest, ARoomThatEmptiedForgetsWhatWaited) {
  EnterRoom(1, "r");
  hub.PushRoom("r", 1000, "lost with its only reader");
  hub.Leave(1);
  EXPECT_EQ(hub.PushRoom("r", 1000, "nobody"), Pushed::kNobody);
  EnterRoom(2, "r");
  hub.PushRoom("r", 1000, "for two");
  EXPECT_EQ(Flush(), "2 <- 1000:for two\n");
  hub.Leave(2);
  EXPECT_EQ(hub.rooms(), 0U);
}

TEST_F(HubTest, KeysComeBackAsTheyWere) {
  const std::vector<std::string> keys = {"",
                                         "k",
                                         "sixteen letters!",
                                         "seventeen letters",
                                         "0b9d1c52-7f3e-4a11-8c0d-5e2f7a9b3c41",
                                         "0B9D1C52-7F3E-4A11-8C0D-5E2F7A9B3C41",
                                         "0b9d1c52-7f3e-4a11-8c0d-5e2f7a9b3c4x",
                                         "0b9d1c52x7f3e-4a11-8c0d-5e2f7a9b3c41",
                                         std::string(500, 'z')};
  for (Slot slot = 0; slot < keys.size(); ++slot)
    hub.Enter(slot, Format::kTcp, Key(keys[slot]), {});
  for (Slot slot = 0; slot < keys.size(); ++slot) {
    EXPECT_EQ(hub.KeyOf(slot), keys[slot]);
    for (Slot other = 0; other < keys.size(); ++other)
      EXPECT_EQ(hub.Is(slot, keys[other]), slot == other);
  }
  hub.Leave(8);
  EXPECT_FALSE(hub.Is(8, keys[8]));
  EXPECT_FALSE(hub.Has(8));
  EXPECT_FALSE(hub.Has(1'000'000));
  EXPECT_EQ(hub.PushKey(8, 1000, "x"), Pushed::kNobody);
}

TEST_F(HubTest, MemoryIsGivenBack) {
  const auto round = [this](Slot channels) {
    for (Slot slot = 0; slot < channels; ++slot) {
      hub.Enter(slot, Format::kTcp, Key(std::string(100, 'k')), {static_cast<int>(slot)});
      hub.Join(slot, RoomId("a room with a long name " + std::to_string(slot / 10)));
    }
    hub.PushRoom("a room with a long name 3", 1, "x");
    const std::size_t used = hub.BytesUsed();
    for (Slot slot = 0; slot < channels; ++slot)
      hub.Leave(slot);
    Flush();
    return used;
  };
  round(1000);  // lists of what is free grow once
  const std::size_t full = round(1000);
  const std::size_t empty = hub.BytesUsed();
  EXPECT_GT(full, empty + 1000 * 100);
  EXPECT_EQ(round(1000), full);
  EXPECT_EQ(hub.BytesUsed(), empty);
}

TEST_F(HubTest, ASinkMayCloseChannelsWhileItIsCalled) {
  for (Slot slot = 0; slot < 6; ++slot)
    EnterRoom(slot, "r");
  sink.on_send = [this](Slot slot) {
    if (slot == 0) hub.Leave(0);                // itself
    if (slot == 1 && hub.Has(2)) hub.Leave(2);  // one that is still to come
    if (slot == 3 && !hub.Has(9)) {
      hub.PushRoom("r", 1000, "echo");
      EnterRoom(9, "r");
    }
  };
  hub.PushRoom("r", 1000, "x");
  EXPECT_EQ(Flush(),
            "0 <- 1000:x\n5 <- 1000:x\n1 <- 1000:x\n4 <- 1000:x\n3 <- 1000:x\n"
            "5 <- 1000:echo\n1 <- 1000:echo\n4 <- 1000:echo\n3 <- 1000:echo\n");
}

TEST_F(HubTest, ASinkMayCloseEverybodyOfARoom) {
  for (Slot slot = 0; slot < 3; ++slot)
    EnterRoom(slot, "r");
  sink.on_send = [this](Slot) {
    for (Slot slot = 0; slot < 3; ++slot)
      if (hub.Has(slot)) hub.Leave(slot);
  };
  hub.PushRoom("r", 1000, "x");
  hub.PushRoom("r", 1000, "y");
  EXPECT_EQ(Flush(), "0 <- 1000:x 1000:y\n");
  EXPECT_EQ(hub.rooms(), 0U);
}

TEST(HubLimits, BatchesAreCutByBytesAndByMessages) {
  RecordingSink sink;
  Hub hub({.batch_bytes_max = 2 * (16 + 4), .batch_messages_max = 3}, sink);
  hub.Enter(1, Format::kTcp, Key("a"), {});
  hub.Join(1, RoomId("r"));
  for (const char* body :
       {"aaaa", "bbbb", "cccc", "much longer than one batch may be", "", "", "", ""})
    EXPECT_EQ(hub.PushRoom("r", 1, body), Pushed::kQueued);
  while (hub.Flush(kLong)) {
  }
  EXPECT_EQ(sink.Story(),
            "1 <- 1:aaaa 1:bbbb\n1 <- 1:cccc\n1 <- 1:much longer than one batch may be\n"
            "1 <- 1: 1:\n1 <- 1: 1:\n");
}

TEST(HubLimits, PendingBytesAreBoundedAndComeBack) {
  RecordingSink sink;
  Hub hub({.pending_bytes_max = 100}, sink);
  hub.Enter(1, Format::kTcp, Key("a"), {});
  hub.Join(1, RoomId("r"));
  EXPECT_EQ(hub.PushRoom("r", 1, std::string(50, 'x')), Pushed::kQueued);
  EXPECT_EQ(hub.PushRoom("r", 1, std::string(50, 'y')), Pushed::kDropped);
  hub.Flush(kLong);
  EXPECT_EQ(hub.PushRoom("r", 1, std::string(84, 'z')), Pushed::kQueued);
  EXPECT_EQ(hub.PushRoom("r", 1, ""), Pushed::kDropped);
  hub.LeaveRoom(1);  // what waits for a room that emptied is given back too
  hub.Flush(kLong);
  hub.Join(1, RoomId("r"));
  EXPECT_EQ(hub.PushRoom("r", 1, std::string(84, 'z')), Pushed::kQueued);
}

// Ten members, 100 bytes a push with its header, 10,000 bytes a second: a batch costs 100 ms.
class HotRooms : public testing::Test {
 protected:
  HotRooms() {
    for (Slot slot = 1; slot <= 20; ++slot) {
      hub.Enter(slot, Format::kTcp, Key("k" + std::to_string(slot)), {});
      hub.Join(slot, RoomId(slot <= 10 ? "live://1" : "chat://1"));
    }
  }
  void Push(const std::string& room, char name) {
    EXPECT_EQ(hub.PushRoom(room, 1, std::string(84, name)), Pushed::kQueued);
  }
  std::size_t Flush() {
    const std::size_t before = sink.sent.size();
    while (hub.Flush(1)) {
    }
    return sink.sent.size() - before;
  }

  std::int64_t now_us = 1'000'000;
  RecordingSink sink;
  Hub hub{{.batch_messages_max = 5,
           .hot_bytes_per_s = 10'000,
           .hot_windows = {{"live", Duration(80)}},
           .now_us = [this] { return now_us; }},
          sink};
};

TEST_F(HotRooms, GatherUntilTheirBudgetHasPaidAtMostTheirWindow) {
  Push("live://1", 'a');
  EXPECT_EQ(Flush(), 10U);  // a lone one leaves at once
  EXPECT_EQ(hub.NextPaceMs(now_us / 1000), -1);
  Push("live://1", 'b');
  now_us += 30'000;
  Push("live://1", 'c');
  EXPECT_EQ(Flush(), 0U);
  EXPECT_EQ(hub.counts().widened.value(), 1U);
  EXPECT_EQ(hub.NextPaceMs(now_us / 1000), 50);
  now_us += 50'000;
  EXPECT_EQ(Flush(), 10U);
  EXPECT_EQ(sink.sent.back().messages, 2U);
  now_us += 80'000;
  Push("live://1", 'd');  // paid
  EXPECT_EQ(Flush(), 10U);
}

TEST_F(HotRooms, OfAnotherTypeNeverWait) {
  for (int i = 0; i < 3; ++i) {
    Push("chat://1", 'a');
    EXPECT_EQ(Flush(), 10U);
  }
  EXPECT_EQ(hub.counts().widened.value(), 0U);
}

TEST_F(HotRooms, AWholeBatchWaitsForNothing) {
  Push("live://1", 'a');
  EXPECT_EQ(Flush(), 10U);
  for (int i = 0; i < 5; ++i)
    Push("live://1", 'b');
  EXPECT_EQ(Flush(), 0U);
  Push("live://1", 'c');
  EXPECT_EQ(Flush(), 10U);
  EXPECT_EQ(sink.sent.back().messages, 5U);
}

TEST_F(HotRooms, OneThatEmptiesWhileItIsHeldIsForgotten) {
  Push("live://1", 'a');
  EXPECT_EQ(Flush(), 10U);
  Push("live://1", 'b');
  EXPECT_EQ(Flush(), 0U);
  for (Slot slot = 1; slot <= 10; ++slot)
    hub.Leave(slot);
  now_us += 80'000;
  EXPECT_EQ(Flush(), 0U);
  EXPECT_EQ(hub.rooms(), 1U);
  EXPECT_EQ(hub.NextPaceMs(now_us / 1000), -1);
}

TEST(HubLimits, RoomsAndAcceptsAreBounded) {
  RecordingSink sink;
  Hub hub({.rooms_max = 1, .accepts_max = 2}, sink);
  hub.Enter(1, Format::kTcp, Key("a"), {3, 2, 1});
  EXPECT_EQ(hub.PushKey(1, 2, ""), Pushed::kQueued);
  EXPECT_EQ(hub.PushKey(1, 3, ""), Pushed::kFiltered);
  EXPECT_FALSE(hub.Join(1, RoomId("r")).refused);
  EXPECT_TRUE(hub.Join(1, RoomId("s")).refused);
  EXPECT_EQ(hub.RoomOf(1), "r");
  hub.LeaveRoom(1);
  EXPECT_FALSE(hub.Join(1, RoomId("s")).refused);
}

}  // namespace
}  // namespace encke::hub
