// The life of connections: opening, deadlines, closing, slots.

#include "net/connections.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "unit/net/harness.h"

namespace encke::net {
namespace {

TEST(Connections, TellsWhoCameThroughWhichDoor) {
  Harness h;
  auto client = h.Connect();
  EXPECT_EQ(h.recorder.story, "open 7\n");
  EXPECT_STREQ(h.recorder.last_peer.ip, "127.0.0.1");
  sockaddr_in own{};
  socklen_t size = sizeof(own);
  ASSERT_EQ(::getsockname(client->fd(), reinterpret_cast<sockaddr*>(&own), &size), 0);
  EXPECT_EQ(h.recorder.last_peer.port, ntohs(own.sin_port));
  EXPECT_EQ(h.connections->size(), 1u);
  EXPECT_EQ(h.connections->counts().accepted.value(), 1u);
}

TEST(Connections, APeerThatLeavesIsReportedOnce) {
  Harness h;
  auto client = h.Connect();
  const Slot slot = h.recorder.last_opened;
  EXPECT_TRUE(h.connections->Alive(slot));
  client->Close();
  ASSERT_TRUE(h.Until([&] { return h.recorder.closes == 1; }));
  h.Turns(5);
  EXPECT_EQ(h.recorder.story, "open 7\nclose peer\n");
  EXPECT_FALSE(h.connections->Alive(slot));
  EXPECT_EQ(h.connections->size(), 0u);
}

TEST(Connections, CloseInsideOnBytesWaitsForTheEndOfTheTurn) {
  Harness h;
  h.recorder.on_bytes = [&](Slot slot, std::string_view bytes) {
    h.connections->Close(slot);
    h.connections->Close(slot);
    EXPECT_EQ(h.recorder.closes, 0);
    EXPECT_FALSE(h.connections->Alive(slot));
    EXPECT_EQ(h.connections->Send(slot, std::string_view("x")), Sent::kGone);
    return bytes.size() / 2;
  };
  auto client = h.Connect();
  client->Send("something");
  ASSERT_TRUE(h.Until([&] { return h.recorder.closes > 0; }));
  h.Turns(5);
  EXPECT_EQ(h.recorder.story, "open 7\nclose local\n");
  EXPECT_EQ(h.recorder.shown, 1);
  ASSERT_TRUE(h.Until([&] {
    client->Drain();
    return client->ended() || client->broken();
  }));
}

TEST(Connections, CloseInsideOnOpen) {
  Harness h;
  h.recorder.on_open = [&](Slot slot) { h.connections->Close(slot); };
  auto client = h.Connect();
  ASSERT_TRUE(h.Until([&] { return h.recorder.closes == 1; }));
  EXPECT_EQ(h.recorder.story, "open 7\nclose local\n");
}

TEST(Connections, OnCloseMayCloseOthers) {
  Harness h;
  auto one = h.Connect();
  const Slot first = h.recorder.last_opened;
  auto two = h.Connect();
  const Slot second = h.recorder.last_opened;
  h.recorder.on_close = [&](Slot slot) {
    h.connections->Close(slot == first ? second : first);
    h.connections->Close(slot);  // itself: nothing more happens
  };
  h.connections->Close(first);
  h.loop->Turn(0);
  EXPECT_EQ(h.recorder.closed[first], 1);
  EXPECT_EQ(h.recorder.closed[second], 1);
  h.Turns(5);
  EXPECT_EQ(h.recorder.closes, 2);
}

TEST(Connections, WhenAllCloseAtOnceTheOthersHaveTheirTurns) {
  Harness h;
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 300; ++i)
    clients.push_back(h.Connect());
  for (Slot slot = 0; slot < 299; ++slot)
    h.connections->SetDeadline(slot, h.loop->now_ms() + 1);
  h.recorder.on_deadline = [&](Slot slot) { h.connections->Close(slot); };
  ASSERT_TRUE(h.Until([&] { return h.recorder.closes > 0; }));
  EXPECT_LT(h.recorder.closes, 200);
  clients[299]->Send("still here");
  ASSERT_TRUE(h.Until([&] { return !h.recorder.input[299].empty(); }));
  EXPECT_LT(h.recorder.closes, 299);
  ASSERT_TRUE(h.Until([&] { return h.recorder.closes == 299; }));
  EXPECT_EQ(h.connections->size(), 1u);
}

TEST(Connections, ASlotComesBackNextTurnWithANewSerial) {
  Harness h;
  auto one = h.Connect();
  const Slot slot = h.recorder.last_opened;
  const std::uint32_t serial = h.connections->Serial(slot);
  h.recorder.on_close = [&](Slot) { EXPECT_EQ(h.connections->Serial(slot), serial); };
  h.connections->SetDeadline(slot, h.loop->now_ms() + 1);
  h.connections->Close(slot);
  h.loop->Turn(0);
  EXPECT_NE(h.connections->Serial(slot), serial);

  auto two = h.Connect();
  EXPECT_EQ(h.recorder.last_opened, slot);
  EXPECT_EQ(h.connections->slots(), 1u);
  EXPECT_NE(h.connections->Serial(slot), serial);
  EXPECT_TRUE(h.connections->Alive(slot));
  EXPECT_EQ(h.connections->Queued(slot), 0u);
  // The deadline of the former life is gone with it.
  const std::int64_t later = h.loop->now_ms() + 300;
  ASSERT_TRUE(h.Until([&] { return h.loop->now_ms() > later; }));
  EXPECT_EQ(h.recorder.deadlines, 0);
}

TEST(Connections, WhatAFormerLifeLeftUnreadIsNotShownToTheNext) {
  Harness h;
  h.recorder.on_bytes = [&](Slot, std::string_view) { return std::size_t{0}; };
  auto one = h.Connect();
  one->Send("secret of the first");
  ASSERT_TRUE(h.Until([&] { return h.recorder.shown > 0; }));
  one->Close();
  ASSERT_TRUE(h.Until([&] { return h.recorder.closes == 1; }));
  std::string seen;
  h.recorder.on_bytes = [&](Slot, std::string_view bytes) {
    seen += bytes;
    return bytes.size();
  };
  auto two = h.Connect();
  two->Send("hello");
  ASSERT_TRUE(h.Until([&] { return !seen.empty(); }));
  EXPECT_EQ(seen, "hello");
}

TEST(Connections, ADeadlineFiresOnceAndCanBeArmedAgain) {
  Harness h;
  auto client = h.Connect();
  const Slot slot = h.recorder.last_opened;
  std::vector<std::int64_t> early;
  std::int64_t at = h.loop->now_ms() + 20;
  h.recorder.on_deadline = [&](Slot fired) {
    EXPECT_EQ(fired, slot);
    if (h.loop->now_ms() < at) early.push_back(at);
    at = h.loop->now_ms() + 20;
    if (h.recorder.deadlines == 1) h.connections->SetDeadline(slot, at);
  };
  h.connections->SetDeadline(slot, at);
  ASSERT_TRUE(h.Until([&] { return h.recorder.deadlines == 2; }));
  EXPECT_TRUE(early.empty());
  const std::int64_t later = h.loop->now_ms() + 300;
  ASSERT_TRUE(h.Until([&] { return h.loop->now_ms() > later; }));
  EXPECT_EQ(h.recorder.deadlines, 2);
}

TEST(Connections, ADeadlineWakesABlockedLoop) {
  Harness h;
  auto client = h.Connect();
  h.connections->SetDeadline(h.recorder.last_opened, h.loop->now_ms() + 10);
  for (int turns = 0; turns < 100 && h.recorder.deadlines == 0; ++turns)
    h.loop->Turn(-1);
  EXPECT_EQ(h.recorder.deadlines, 1);
}

TEST(Connections, ADeadlineIsReplacedAndCleared) {
  Harness h;
  auto client = h.Connect();
  const Slot slot = h.recorder.last_opened;
  h.connections->SetDeadline(slot, h.loop->now_ms() + 10);
  h.connections->SetDeadline(slot, h.loop->now_ms() + 600'000);
  const std::int64_t later = h.loop->now_ms() + 200;
  ASSERT_TRUE(h.Until([&] { return h.loop->now_ms() > later; }));
  EXPECT_EQ(h.recorder.deadlines, 0);
  h.connections->SetDeadline(slot, h.loop->now_ms() + 10);
  h.connections->SetDeadline(slot, 0);
  const std::int64_t end = h.loop->now_ms() + 200;
  ASSERT_TRUE(h.Until([&] { return h.loop->now_ms() > end; }));
  EXPECT_EQ(h.recorder.deadlines, 0);
}

TEST(Connections, CloseAfterFlushDeliversTheLastBytes) {
  ConnectionsOptions options;
  options.sndbuf_bytes = 4096;
  Harness h(options);
  auto client = h.Connect(4096);
  const Slot slot = h.recorder.last_opened;
  const std::string goodbye(1'000'000, 'g');
  ASSERT_EQ(h.connections->Send(slot, goodbye), Sent::kQueued);
  h.connections->CloseAfterFlush(slot, Duration(60'000));
  EXPECT_FALSE(h.connections->Alive(slot));
  EXPECT_EQ(h.connections->Send(slot, std::string_view("more")), Sent::kGone);
  client->Send("noise that nobody reads any more");
  h.Turns(10);
  EXPECT_EQ(h.recorder.closes, 0);
  ASSERT_TRUE(h.Until([&] {
    client->Drain();
    return client->ended();
  }));
  EXPECT_EQ(client->seen.size(), goodbye.size());
  EXPECT_FALSE(client->broken());
  EXPECT_EQ(h.recorder.shown, 0);
  EXPECT_EQ(h.recorder.drained, 0);
  EXPECT_EQ(h.recorder.closes, 0);  // it waits for the peer's half
  client->Close();
  ASSERT_TRUE(h.Until([&] { return h.recorder.closes == 1; }));
  EXPECT_EQ(h.recorder.story, "open 7\nclose local\n");
}

TEST(Connections, CloseAfterFlushWithNothingToFlush) {
  Harness h;
  h.recorder.on_bytes = [&](Slot slot, std::string_view bytes) {
    h.connections->Send(slot, std::string_view("bye"));
    h.connections->CloseAfterFlush(slot, Duration(60'000));
    return bytes.size() - 1;
  };
  auto client = h.Connect();
  client->Send("quit");
  ASSERT_TRUE(h.Until([&] {
    client->Drain();
    return client->ended();
  }));
  EXPECT_EQ(client->seen, "bye");
  client->EndSending();
  ASSERT_TRUE(h.Until([&] { return h.recorder.closes == 1; }));
  EXPECT_EQ(h.recorder.shown, 1);
}

TEST(Connections, CloseAfterFlushEndsWithTheLinger) {
  ConnectionsOptions options;
  options.sndbuf_bytes = 4096;
  Harness h(options);
  auto stalled = h.Connect(4096);
  const Slot slot = h.recorder.last_opened;
  h.connections->SetDeadline(slot, h.loop->now_ms() + 600'000);  // the linger comes before it
  ASSERT_EQ(h.connections->Send(slot, std::string(1'000'000, 'g')), Sent::kQueued);
  h.connections->CloseAfterFlush(slot, Duration(50));
  h.connections->SetDeadline(slot, 0);  // does not save it
  ASSERT_TRUE(h.Until([&] { return h.recorder.closes == 1; }));
  EXPECT_EQ(h.recorder.deadlines, 0);
  EXPECT_EQ(h.recorder.story, "open 7\nclose local\n");
}

TEST(Connections, CloseAfterFlushUnpausesAndThrowsInputAway) {
  ConnectionsOptions options;
  options.input_bytes_max = 100;
  Harness h(options);
  h.recorder.on_bytes = [&](Slot, std::string_view) { return std::size_t{0}; };
  auto client = h.Connect();
  client->Send(std::string(10'000, 'x'));
  h.Turns(5);
  h.connections->CloseAfterFlush(h.recorder.last_opened, Duration(60'000));
  ASSERT_TRUE(h.Until([&] {
    client->Drain();
    return client->ended();
  }));
  client->Close();
  ASSERT_TRUE(h.Until([&] { return h.recorder.closes == 1; }));
  EXPECT_EQ(h.connections->counts().bytes_in.value(), 10'000u);
}

TEST(Connections, CloseAfterFlushForAPeerThatHasEnded) {
  ConnectionsOptions options;
  options.sndbuf_bytes = 4096;
  Harness h(options);
  auto client = h.Connect(4096);
  const Slot slot = h.recorder.last_opened;
  const std::string goodbye(500'000, 'g');
  ASSERT_EQ(h.connections->Send(slot, goodbye), Sent::kQueued);
  h.connections->CloseAfterFlush(slot, Duration(60'000));
  client->EndSending();
  h.Turns(10);
  EXPECT_EQ(h.recorder.closes, 0);
  ASSERT_TRUE(h.Until([&] {
    client->Drain();
    return client->ended();
  }));
  EXPECT_EQ(client->seen.size(), goodbye.size());
  ASSERT_TRUE(h.Until([&] { return h.recorder.closes == 1; }));
}

TEST(Connections, CloseCutsALingerShort) {
  Harness h;
  auto client = h.Connect();
  h.connections->CloseAfterFlush(h.recorder.last_opened, Duration(600'000));
  h.Turns(3);
  EXPECT_EQ(h.recorder.closes, 0);
  h.connections->Close(h.recorder.last_opened);
  h.Turns(2);
  EXPECT_EQ(h.recorder.story, "open 7\nclose local\n");
}

TEST(Connections, PastTheMaximumIsClosedAndCounted) {
  ConnectionsOptions options;
  options.connections_max = 2;
  Harness h(options);
  auto one = h.Connect();
  auto two = h.Connect();
  Client three(h.port);
  ASSERT_TRUE(h.Until([&] {
    three.Drain();
    return three.ended() || three.broken();
  }));
  EXPECT_EQ(h.recorder.opened, 2);
  EXPECT_EQ(h.connections->counts().refused_limit.value(), 1u);
  one->Close();
  ASSERT_TRUE(h.Until([&] { return h.recorder.closes == 1; }));
  auto four = h.Connect();
  EXPECT_EQ(h.connections->size(), 2u);
}

TEST(Connections, ManyComeAndGo) {
  Harness h;
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 300; ++i)
    clients.push_back(std::make_unique<Client>(h.port));
  ASSERT_TRUE(h.Until([&] { return h.recorder.opened == 300; }));
  for (std::size_t i = 0; i < clients.size(); i += 2)
    clients[i]->Close();
  ASSERT_TRUE(h.Until([&] { return h.recorder.closes == 150; }));
  EXPECT_EQ(h.connections->size(), 150u);
  for (std::size_t i = 1; i < clients.size(); i += 2)
    clients[i]->Send("here");
  ASSERT_TRUE(h.Until([&] { return h.connections->counts().bytes_in.value() == 600; }));
  for (int i = 0; i < 150; ++i)
    clients.push_back(std::make_unique<Client>(h.port));
  ASSERT_TRUE(h.Until([&] { return h.connections->size() == 300; }));
  EXPECT_EQ(h.connections->slots(), 300u);  // the free ones were used first
  for (const auto& [slot, closes] : h.recorder.closed)
    EXPECT_EQ(closes, 1) << slot;
}

TEST(Connections, IdleOnesCostLittle) {
  Harness h;
  const std::size_t before = h.connections->BytesUsed();
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(h.Connect());
    h.connections->SetDeadline(h.recorder.last_opened, h.loop->now_ms() + 480'000);
    clients.back()->Send("hello");
  }
  ASSERT_TRUE(h.Until([&] { return h.connections->counts().bytes_in.value() == 500; }));
  EXPECT_LE(h.connections->BytesUsed() - before, 100u * 80u);
}

TEST(Connections, StopListeningKeepsWhoIsHere) {
  Harness h;
  auto client = h.Connect();
  h.connections->StopListening();
  Client late(h.port);
  EXPECT_FALSE(late.connected());
  client->Send("still here");
  ASSERT_TRUE(h.Until([&] { return h.recorder.input[h.recorder.last_opened] == "still here"; }));
}

TEST(Connections, EndsWithItsSocketsClosedAndNobodyCalled) {
  Harness h;
  auto client = h.Connect();
  h.connections.reset();
  h.Turns(3);
  ASSERT_TRUE(h.Until([&] {
    client->Drain();
    return client->ended() || client->broken();
  }));
  EXPECT_EQ(h.recorder.closes, 0);
}

}  // namespace
}  // namespace encke::net
