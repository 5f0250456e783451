// Reading and writing: partial sends, full outboxes, paused input.

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "unit/net/harness.h"

namespace encke::net {
namespace {

std::string Pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i)
    text[i] = static_cast<char>(i * 31 + (i >> 8));
  return text;
}

ConnectionsOptions SmallBuffers() {
  ConnectionsOptions options;
  options.sndbuf_bytes = 4096;
  return options;
}

// Sends 1 KiB after 1 KiB to a client that does not read, until something must wait.
std::string FillUp(Harness* h, Slot slot) {
  std::string sent;
  for (int i = 0; i < 100'000; ++i) {
    const std::string piece = Pattern(1024 + static_cast<std::size_t>(i % 7));
    const Sent answer = h->connections->Send(slot, piece);
    if (answer == Sent::kFull || answer == Sent::kGone) return "unexpected";
    sent += piece;
    if (answer == Sent::kQueued) return sent;
  }
  return "never stalled";
}

TEST(Traffic, SendsStraightWhileTheKernelTakesIt) {
  Harness h;
  auto client = h.Connect();
  const Slot slot = h.recorder.last_opened;
  EXPECT_EQ(h.connections->Send(slot, std::string_view("one ")), Sent::kSent);
  EXPECT_EQ(h.connections->Send(slot, Share("two")), Sent::kSent);
  EXPECT_EQ(h.connections->Send(slot, std::string_view("")), Sent::kSent);
  EXPECT_EQ(h.connections->Queued(slot), 0u);
  ASSERT_TRUE(h.Until([&] {
    client->Drain();
    return client->seen.size() == 7;
  }));
  EXPECT_EQ(client->seen, "one two");
  h.Turns(1);
  EXPECT_EQ(h.connections->counts().sends.value(), 2u);
  EXPECT_EQ(h.connections->counts().bytes_out.value(), 7u);
  EXPECT_EQ(h.recorder.drained, 0);
}

TEST(Traffic, WhatTheKernelRefusesWaitsAndArrivesInOrder) {
  Harness h(SmallBuffers());
  auto client = h.Connect(4096);
  const Slot slot = h.recorder.last_opened;
  std::string sent = FillUp(&h, slot);
  for (int i = 0; i < 20; ++i) {
    const SharedBytes more = Share(Pattern(500 + static_cast<std::size_t>(i)));
    ASSERT_EQ(h.connections->Send(slot, more), Sent::kQueued);
    sent += *more;
  }
  EXPECT_GE(h.connections->Queued(slot), 20u * 500u);
  EXPECT_GE(h.connections->BytesUsed(), h.connections->Queued(slot));
  h.Turns(20);
  EXPECT_EQ(h.recorder.drained, 0);

  ASSERT_TRUE(h.Until([&] {
    client->Drain();
    return client->seen.size() >= sent.size();
  }));
  EXPECT_EQ(client->seen, sent);
  EXPECT_EQ(h.recorder.drained, 1);
  EXPECT_EQ(h.connections->Queued(slot), 0u);
  EXPECT_GE(h.connections->counts().sends_partial.value(), 1u);
  EXPECT_EQ(h.connections->counts().bytes_out.value(), sent.size());
  EXPECT_EQ(h.connections->Send(slot, std::string_view("x")), Sent::kSent);
}

TEST(Traffic, QueuedBytesAreSharedNotCopied) {
  Harness h(SmallBuffers());
  auto client = h.Connect(4096);
  const Slot slot = h.recorder.last_opened;
  FillUp(&h, slot);
  const SharedBytes bytes = Share(Pattern(1000));
  ASSERT_EQ(h.connections->Send(slot, bytes), Sent::kQueued);
  EXPECT_EQ(bytes.use_count(), 2);
  ASSERT_TRUE(h.Until([&] {
    client->Drain();
    return h.recorder.drained == 1;
  }));
  EXPECT_EQ(bytes.use_count(), 1);
}

TEST(Traffic, AFullOutboxTakesNothing) {
  ConnectionsOptions options = SmallBuffers();
  options.outbox_bytes_max = 8192;
  Harness h(options);
  auto client = h.Connect(4096);
  const Slot slot = h.recorder.last_opened;
  std::string sent = FillUp(&h, slot);
  const std::size_t room = 8192 - h.connections->Queued(slot);
  EXPECT_EQ(h.connections->Send(slot, std::string(room + 1, 'x')), Sent::kFull);
  EXPECT_EQ(h.connections->Send(slot, std::string(room, 'y')), Sent::kQueued);
  EXPECT_EQ(h.connections->Send(slot, std::string_view("z")), Sent::kFull);
  EXPECT_EQ(h.connections->Queued(slot), 8192u);
  sent += std::string(room, 'y');
  ASSERT_TRUE(h.Until([&] {
    client->Drain();
    return client->seen.size() >= sent.size();
  }));
  h.Turns(3);
  EXPECT_EQ(client->seen, sent);  // nothing of what was refused
  EXPECT_EQ(h.connections->counts().refused_full.value(), 2u);
  EXPECT_TRUE(h.connections->Alive(slot));
}

TEST(Traffic, WhoMustBeFirstIsNotTakenBehindOthers) {
  Harness h(SmallBuffers());
  auto client = h.Connect(4096);
  const Slot slot = h.recorder.last_opened;
  EXPECT_EQ(h.connections->SendFirst(slot, Share("first")), Sent::kSent);
  std::string sent = "first" + FillUp(&h, slot);
  const std::size_t queued = h.connections->Queued(slot);
  EXPECT_EQ(h.connections->SendFirst(slot, Share("x")), Sent::kBusy);
  EXPECT_EQ(h.connections->Queued(slot), queued);
  ASSERT_TRUE(h.Until([&] {
    client->Drain();
    return client->seen.size() >= sent.size() && h.connections->Queued(slot) == 0;
  }));
  EXPECT_EQ(h.connections->SendFirst(slot, Share("y")), Sent::kSent);
  sent += "y";
  ASSERT_TRUE(h.Until([&] {
    client->Drain();
    return client->seen.size() >= sent.size();
  }));
  EXPECT_EQ(client->seen, sent);
}

TEST(Traffic, AnEmptyOutboxTakesOneMessageOfAnySize) {
  ConnectionsOptions options = SmallBuffers();
  options.outbox_bytes_max = 1024;
  Harness h(options);
  auto client = h.Connect(4096);
  const Slot slot = h.recorder.last_opened;
  const std::string large = Pattern(3'000'000);
  ASSERT_EQ(h.connections->Send(slot, large), Sent::kQueued);
  EXPECT_EQ(h.connections->Send(slot, std::string_view("x")), Sent::kFull);
  ASSERT_TRUE(h.Until([&] {
    client->Drain();
    return client->seen.size() == large.size();
  }));
  EXPECT_EQ(client->seen, large);
}

TEST(Traffic, SendingToOneWhoHasGoneClosesOnceAndLater) {
  Harness h;
  auto client = h.Connect();
  const Slot slot = h.recorder.last_opened;
  client->Reset();
  EXPECT_EQ(h.connections->Send(slot, std::string_view("x")), Sent::kGone);
  EXPECT_EQ(h.connections->Send(slot, std::string_view("x")), Sent::kGone);
  EXPECT_EQ(h.recorder.closes, 0);  // never inside Send
  ASSERT_TRUE(h.Until([&] { return h.recorder.closes == 1; }));
  h.Turns(5);
  EXPECT_EQ(h.recorder.story, "open 7\nclose peer\n");
  EXPECT_EQ(h.connections->Send(slot, std::string_view("x")), Sent::kGone);
  EXPECT_EQ(h.connections->Send(12345, std::string_view("x")), Sent::kGone);
}

TEST(Traffic, KeepsWhatIsNotConsumedAndShowsItAgain) {
  Harness h;
  std::vector<std::string> shown;
  h.recorder.on_bytes = [&](Slot, std::string_view bytes) {
    shown.emplace_back(bytes);
    return bytes.size() / 4 * 4;  // four bytes at a time, like packages
  };
  auto client = h.Connect();
  client->Send("abcdef");
  ASSERT_TRUE(h.Until([&] { return shown.size() == 1; }));
  EXPECT_GT(h.connections->BytesUsed(), 0u);
  client->Send("gh");
  ASSERT_TRUE(h.Until([&] { return shown.size() == 2; }));
  client->Send("ijk");
  ASSERT_TRUE(h.Until([&] { return shown.size() == 3; }));
  EXPECT_EQ(shown, (std::vector<std::string>{"abcdef", "efgh", "ijk"}));
}

// A thousand requests in one segment, a handler that takes seven at a time and then has to wait.
TEST(Traffic, AThousandPipelinedPackagesAreAllTaken) {
  ConnectionsOptions options;
  options.input_bytes_max = 1024;
  Harness h(options);
  std::string sent;
  for (int i = 0; i < 1000; ++i) {
    std::string package = "package " + std::to_string(i);
    package.resize(16, '.');
    sent += package;
  }
  std::string taken;
  bool busy = false;
  std::size_t most_shown = 0;
  h.recorder.on_bytes = [&](Slot, std::string_view bytes) -> std::size_t {
    most_shown = std::max(most_shown, bytes.size());
    if (busy) return 0;
    const std::size_t size = std::min<std::size_t>(bytes.size() / 16, 7) * 16;
    taken.append(bytes.substr(0, size));
    busy = true;
    return size;
  };
  auto client = h.Connect();
  ASSERT_EQ(client->Send(sent), sent.size());
  for (int rounds = 0; rounds < 1000 && taken.size() < sent.size(); ++rounds) {
    h.Turns(3);
    busy = false;
    h.connections->Resume(h.recorder.last_opened);
  }
  EXPECT_EQ(taken, sent);
  EXPECT_LE(most_shown, 1024u);
}

TEST(Traffic, PausedInputIsReadNoFurtherUntilResume) {
  ConnectionsOptions options;
  options.input_bytes_max = 1000;
  Harness h(options);
  std::size_t most = 0;
  bool take = false;
  h.recorder.on_bytes = [&](Slot, std::string_view bytes) {
    most = std::max(most, bytes.size());
    return take ? bytes.size() : 0;
  };
  auto client = h.Connect();
  const std::string sent = Pattern(50'000);
  std::size_t went = client->Send(sent);
  h.Turns(20);
  EXPECT_EQ(most, 1000u);
  const int shown = h.recorder.shown;
  h.Turns(20);
  EXPECT_EQ(h.recorder.shown, shown);  // nothing is shown over and over
  EXPECT_EQ(h.connections->counts().bytes_in.value(), 1000u);

  take = true;
  h.connections->Resume(h.recorder.last_opened);
  ASSERT_TRUE(h.Until([&] { return h.connections->counts().bytes_in.value() == went; }));
  client->Send("after");
  ASSERT_TRUE(h.Until([&] { return h.connections->counts().bytes_in.value() == went + 5; }));
}

TEST(Traffic, APausedClientThatHangsUpIsNoticed) {
  ConnectionsOptions options;
  options.input_bytes_max = 16;
  Harness h(options);
  h.recorder.on_bytes = [&](Slot, std::string_view) { return std::size_t{0}; };
  auto client = h.Connect();
  client->Send(Pattern(1000));
  h.Turns(5);
  client->Reset();
  ASSERT_TRUE(h.Until([&] { return h.recorder.closes == 1; }));
}

TEST(Traffic, LargeInputArrivesWholeThoughTheEdgeComesOnce) {
  Harness h;
  auto client = h.Connect();
  const std::string sent = Pattern(2'000'000);
  std::size_t went = 0;
  ASSERT_TRUE(h.Until([&] {
    went += client->Send(std::string_view(sent).substr(went));
    return h.recorder.input[h.recorder.last_opened].size() == sent.size();
  }));
  EXPECT_EQ(h.recorder.input[h.recorder.last_opened], sent);
}

TEST(Traffic, OneWhoFloodsDoesNotHoldTheTurn) {
  Harness h;
  std::map<Slot, std::size_t> got;
  h.recorder.on_bytes = [&](Slot slot, std::string_view bytes) {
    got[slot] += bytes.size();
    return bytes.size();
  };
  auto flood = h.Connect();
  const Slot flooding = h.recorder.last_opened;
  auto quiet = h.Connect();
  const Slot asking = h.recorder.last_opened;
  const std::string much = Pattern(1'000'000);
  for (int i = 0; i < 50; ++i)
    flood->Send(much);  // as much as the kernel takes
  quiet->Send("hello");
  h.loop->Turn(1000);
  EXPECT_EQ(got[asking], 5u);
  EXPECT_LE(got[flooding], 8u * 64 * 1024);  // four receives, and four more at the turn's end
}

TEST(Traffic, TheEndBehindTheLastBytesIsSeen) {
  Harness h;
  auto client = h.Connect();
  client->Send("last words");
  client->EndSending();
  ASSERT_TRUE(h.Until([&] { return h.recorder.closes == 1; }));
  EXPECT_EQ(h.recorder.input[h.recorder.last_opened], "last words");
  EXPECT_EQ(h.recorder.story, "open 7\nclose peer\n");
}

TEST(Traffic, BytesMayBeChangedInPlace) {
  Harness h;
  std::string taken;
  class Changer : public Recorder {
   public:
    std::size_t OnBytes(Slot, char* bytes, std::size_t size) override {
      for (std::size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<char>(bytes[i] ^ 1);
      seen.append(bytes, size);
      return size;
    }
    std::string seen;
  } changer;
  Connections connections(*h.loop, {}, changer);
  Client client(*connections.Listen({}));
  client.Send("@@@");
  ASSERT_TRUE(h.Until([&] { return changer.seen == "AAA"; }));
}

}  // namespace
}  // namespace encke::net
