#include "net/tls.h"

#include <csignal>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "unit/net/harness.h"
#include "unit/net/tls_peer.h"

namespace encke::net {
namespace {

class TlsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { std::signal(SIGPIPE, SIG_DFL); }

  void Start(const std::vector<std::string>& hosts, const ConnectionsOptions& options = {}) {
    for (const std::string& host : hosts)
      certificates.Write(host);
    auto made = Tls::Make(certificates.Files(hosts));
    ASSERT_TRUE(made) << made.error().text;
    tls = std::move(*made);
    h = std::make_unique<Harness>(options, tls.get());
  }

  Certificates certificates;
  std::unique_ptr<Tls> tls;
  std::unique_ptr<Harness> h;
};

TEST_F(TlsTest, RoundTripsWithBothVersions) {
  Start({"a.example"});
  h->recorder.on_bytes = [&](Slot slot, std::string_view bytes) {
    h->connections->Send(slot, "you said " + std::string(bytes));
    return bytes.size();
  };
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient client(h->port, "", version);
    client.out = "hello";
    ASSERT_TRUE(h->Until([&] {
      client.Drain();
      return client.seen == "you said hello" || client.failed();
    }));
    EXPECT_FALSE(client.failed());
    EXPECT_EQ(client.Version(), version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
    client.out = "again";
    ASSERT_TRUE(h->Until([&] {
      client.Drain();
      return client.seen == "you said helloyou said again";
    }));
  }
  ASSERT_TRUE(h->Until([&] { return h->recorder.closes == 2; }));
  EXPECT_EQ(h->recorder.story.find("error"), std::string::npos) << h->recorder.story;
}

TEST_F(TlsTest, OldVersionsAreRefused) {
  Start({"a.example"});
  TlsClient client(h->port, "", TLS1_1_VERSION);
  ASSERT_TRUE(h->Until([&] {
    client.Drain();
    return client.failed() && h->recorder.closes == 1;
  }));
  EXPECT_EQ(h->recorder.story, "open 7\nclose error\n");
}

TEST_F(TlsTest, ServerMaySpeakFirst) {
  Start({"a.example"});
  h->recorder.on_open = [&](Slot slot) {
    EXPECT_EQ(h->connections->Send(slot, std::string_view("welcome ")), Sent::kQueued);
    EXPECT_EQ(h->connections->Send(slot, std::string_view("here")), Sent::kQueued);
  };
  TlsClient client(h->port, "");
  ASSERT_TRUE(h->Until([&] {
    client.Drain();
    return client.seen == "welcome here";
  }));
  EXPECT_EQ(h->recorder.drained, 1);
}

TEST_F(TlsTest, ChoosesTheCertificateByName) {
  Start({"a.example", "b.example"});
  const std::pair<const char*, const char*> cases[] = {{"a.example", "a.example"},
                                                       {"b.example", "b.example"},
                                                       {"B.Example", "b.example"},
                                                       {"c.example", "a.example"},
                                                       {"", "a.example"}};
  for (const auto& [asked, given] : cases) {
    TlsClient client(h->port, asked);
    ASSERT_TRUE(h->Until([&] {
      client.Drain();
      return client.Ready();
    }));
    EXPECT_EQ(client.PeerName(), given) << asked;
  }
}

TEST_F(TlsTest, ReloadIsForNewConnectionsAndKeepsTheOldOnFailure) {
  Start({"a.example"});
  const auto serial = [&] {
    TlsClient client(h->port, "");
    EXPECT_TRUE(h->Until([&] {
      client.Drain();
      return client.Ready();
    }));
    return client.PeerSerial();
  };
  EXPECT_EQ(serial(), 1);
  TlsClient old(h->port, "");
  ASSERT_TRUE(h->Until([&] {
    old.Drain();
    return old.Ready();
  }));
  const Slot slot = h->recorder.last_opened;

  std::ofstream(certificates.CertFile("a.example")) << "not a certificate";
  const Status failed = tls->Reload();
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().text.find(certificates.CertFile("a.example")), std::string::npos);
  EXPECT_EQ(serial(), 1);

  certificates.Write("a.example", 2);
  ASSERT_TRUE(tls->Reload());
  EXPECT_EQ(serial(), 2);
  h->connections->Send(slot, std::string_view("still"));
  ASSERT_TRUE(h->Until([&] {
    old.Drain();
    return old.seen == "still";
  }));
}

TEST_F(TlsTest, FilesThatDoNotFitAreNamed) {
  certificates.Write("a.example");
  certificates.Write("b.example");
  TlsFiles files = certificates.Files({"a.example"});
  files.key_files[0] = certificates.KeyFile("b.example");
  const auto mixed = Tls::Make(files);
  ASSERT_FALSE(mixed);
  EXPECT_NE(mixed.error().text.find(files.key_files[0]), std::string::npos) << mixed.error().text;
  EXPECT_FALSE(Tls::Make({}));
  files.key_files.clear();
  EXPECT_FALSE(Tls::Make(files));
  const auto absent = Tls::Make(certificates.Files({"nobody"}));
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, Errc::kInvalid);
}

TEST_F(TlsTest, AStalledReaderGetsEverythingInOrder) {
  ConnectionsOptions options;
  options.sndbuf_bytes = 4096;
  options.outbox_bytes_max = 8 << 20;
  Start({"a.example"}, options);
  TlsClient client(h->port, "", 0, 4096);
  ASSERT_TRUE(h->Until([&] {
    client.Drain();
    return client.Ready() && h->recorder.opened == 1;
  }));
  std::string sent;
  for (int i = 0; i < 300; ++i) {
    const std::string piece(10'000 + static_cast<std::size_t>(i), static_cast<char>('a' + i % 26));
    ASSERT_NE(h->connections->Send(h->recorder.last_opened, piece), Sent::kFull);
    sent += piece;
    if (i % 50 == 0) h->Turns(2);
  }
  EXPECT_GT(h->connections->Queued(h->recorder.last_opened), 1'000'000u);
  ASSERT_TRUE(h->Until([&] {
    client.Drain();
    return client.seen.size() >= sent.size() || client.failed();
  }));
  EXPECT_TRUE(client.seen == sent);
  EXPECT_EQ(h->recorder.drained, 1);
}

// OpenSSL stops after each record though the socket has room: nothing may wait for that in the
// outbox, where it would make a client slow that is not.
TEST_F(TlsTest, AMessageOfManyRecordsGoesAtOnce) {
  Start({"a.example"});
  TlsClient client(h->port, "");
  ASSERT_TRUE(h->Until([&] {
    client.Drain();
    return client.Ready() && h->recorder.opened == 1;
  }));
  h->Turns(5);
  const std::string large(60'000, 'm');  // four records
  ASSERT_EQ(h->connections->Send(h->recorder.last_opened, large), Sent::kSent);
  ASSERT_TRUE(h->Until([&] {
    client.Drain();
    return client.seen.size() == large.size();
  }));
}

TEST_F(TlsTest, LargeInputInBothDirectionsAtOnce) {
  Start({"a.example"});
  h->recorder.on_bytes = [&](Slot slot, std::string_view bytes) -> std::size_t {
    const Sent answer = h->connections->Send(slot, bytes);
    return answer == Sent::kFull ? 0 : bytes.size();  // not now: OnDrained would resume
  };
  TlsClient client(h->port, "");
  std::string sent;
  for (int i = 0; sent.size() < 500'000; ++i)
    sent += "line " + std::to_string(i) + "\n";
  client.out = sent;
  ASSERT_TRUE(h->Until([&] {
    client.Drain();
    if (h->recorder.opened == 1) h->connections->Resume(h->recorder.last_opened);
    return client.seen.size() >= sent.size() || client.failed();
  }));
  EXPECT_TRUE(client.seen == sent);
}

TEST_F(TlsTest, CloseAfterFlushSaysGoodbye) {
  Start({"a.example"});
  h->recorder.on_bytes = [&](Slot slot, std::string_view bytes) {
    h->connections->Send(slot, std::string_view("bye"));
    h->connections->CloseAfterFlush(slot, Duration(60'000));
    return bytes.size();
  };
  TlsClient client(h->port, "");
  client.out = "quit";
  ASSERT_TRUE(h->Until([&] {
    client.Drain();
    return client.ended() || client.failed();
  }));
  EXPECT_FALSE(client.failed());
  EXPECT_EQ(client.seen, "bye");
  client.socket().Close();
  ASSERT_TRUE(h->Until([&] { return h->recorder.closes == 1; }));
  EXPECT_EQ(h->recorder.story, "open 7\nclose local\n");
}

TEST_F(TlsTest, PlainTextOnATlsPortIsAnError) {
  Start({"a.example"});
  Client client(h->port);
  client.Send("GET / HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(h->Until([&] { return h->recorder.closes == 1; }));
  EXPECT_EQ(h->recorder.shown, 0);
  EXPECT_EQ(h->recorder.story, "open 7\nclose error\n");
}

TEST_F(TlsTest, APeerThatVanishesIsNoErrorAndNoSignal) {
  Start({"a.example"});
  auto client = std::make_unique<TlsClient>(h->port, "");
  ASSERT_TRUE(h->Until([&] {
    client->Drain();
    return client->Ready() && h->recorder.opened == 1;
  }));
  h->Turns(3);
  client->socket().Reset();
  for (int i = 0; i < 5; ++i)  // would die of SIGPIPE
    h->connections->Send(h->recorder.last_opened, std::string_view("hello?"));
  ASSERT_TRUE(h->Until([&] { return h->recorder.closes == 1; }));
  EXPECT_EQ(h->recorder.story, "open 7\nclose peer\n");

  auto cut = std::make_unique<Client>(h->port);  // in the middle of the handshake
  ASSERT_TRUE(h->Until([&] { return h->recorder.opened == 2; }));
  cut->Send(std::string("\x16\x03\x01\x02", 4));
  h->Turns(3);
  cut->Close();
  ASSERT_TRUE(h->Until([&] { return h->recorder.closes == 2; }));
}

}  // namespace
}  // namespace encke::net
