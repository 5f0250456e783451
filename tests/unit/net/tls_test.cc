#include "net/tls.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "unit/net/harness.h"

namespace encke::net {
namespace {

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* held) const {
    Free(held);
  }
};
using KeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using CertPtr = std::unique_ptr<X509, Freer<X509_free>>;
using ContextPtr = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;
using FilePtr = std::unique_ptr<FILE, Freer<std::fclose>>;

// A folder of this test with self-signed certificates in it; removed at the end.
class Certificates {
 public:
  Certificates() {
    std::string name = (std::filesystem::temp_directory_path() / "encke_tls_XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  Certificates(const Certificates&) = delete;
  Certificates& operator=(const Certificates&) = delete;
  ~Certificates() { std::filesystem::remove_all(folder_); }

  std::string CertFile(const std::string& host) const {
    return (folder_ / (host + ".pem")).string();
  }
  std::string KeyFile(const std::string& host) const {
    return (folder_ / (host + ".key")).string();
  }

  // Files for `host`; serial tells two certificates of one host apart.
  void Write(const std::string& host, long serial = 1) const {
    const KeyPtr key(EVP_EC_gen("P-256"));
    const CertPtr cert(X509_new());
    X509_set_version(cert.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert.get()), serial);
    X509_gmtime_adj(X509_getm_notBefore(cert.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert.get()), 3600);
    X509_set_pubkey(cert.get(), key.get());
    X509_NAME* name = X509_get_subject_name(cert.get());
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(host.c_str()), -1, -1, 0);
    X509_set_issuer_name(cert.get(), name);
    ASSERT_GT(X509_sign(cert.get(), key.get(), EVP_sha256()), 0);
    const FilePtr cert_file(std::fopen(CertFile(host).c_str(), "w"));
    ASSERT_EQ(PEM_write_X509(cert_file.get(), cert.get()), 1);
    const FilePtr key_file(std::fopen(KeyFile(host).c_str(), "w"));
    ASSERT_EQ(
        PEM_write_PrivateKey(key_file.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr), 1);
  }

  TlsFiles Files(const std::vector<std::string>& hosts) const {
    TlsFiles files;
    for (const std::string& host : hosts) {
      files.cert_files.push_back(CertFile(host));
      files.key_files.push_back(KeyFile(host));
    }
    return files;
  }

 private:
  std::filesystem::path folder_;
};

// OpenSSL's client on a socket that does not block.
class TlsClient {
 public:
  TlsClient(std::uint16_t port, const std::string& host, int version = 0, int rcvbuf_bytes = 0)
      : client_(port, rcvbuf_bytes), context_(SSL_CTX_new(TLS_client_method())) {
    if (version != 0) SSL_CTX_set_max_proto_version(context_.get(), version);
    if (version == TLS1_1_VERSION) {
      SSL_CTX_set_security_level(context_.get(), 0);
      SSL_CTX_set_min_proto_version(context_.get(), version);
    }
    const int flags = ::fcntl(client_.fd(), F_GETFL);
    ::fcntl(client_.fd(), F_SETFL, flags | O_NONBLOCK);
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), client_.fd());
    SSL_set_connect_state(ssl_.get());
    if (!host.empty()) {  // the macro for this has a C cast in it
      std::string name = host;
      SSL_ctrl(ssl_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data());
    }
  }

  // One step of whatever can be done; true when `out` is sent.
  bool Step() {
    if (SSL_is_init_finished(ssl_.get()) == 0) {
      const int done = SSL_do_handshake(ssl_.get());
      if (done != 1) return Note(done);
    }
    while (!out.empty()) {
      const int sent = SSL_write(ssl_.get(), out.data(), static_cast<int>(out.size()));
      if (sent <= 0) return Note(sent);
      out.erase(0, static_cast<std::size_t>(sent));
    }
    return true;
  }
  void Drain() {
    if (!Step() && SSL_is_init_finished(ssl_.get()) == 0) return;
    char buffer[16384];  // NOLINT: filled by SSL_read
    while (true) {
      const int got = SSL_read(ssl_.get(), buffer, sizeof(buffer));
      if (got <= 0) {
        Note(got);
        return;
      }
      seen.append(buffer, static_cast<std::size_t>(got));
    }
  }
  bool ended() const { return ended_; }    // the server said goodbye
  bool failed() const { return failed_; }  // anything worse
  bool Ready() const { return SSL_is_init_finished(ssl_.get()) == 1; }
  std::string Version() const { return SSL_get_version(ssl_.get()); }
  std::string PeerName() const {
    const CertPtr cert(SSL_get1_peer_certificate(ssl_.get()));
    char text[256] = "";
    if (cert) {
      X509_NAME_get_text_by_NID(X509_get_subject_name(cert.get()), NID_commonName, text,
                                sizeof(text));
    }
    return text;
  }
  long PeerSerial() const {
    const CertPtr cert(SSL_get1_peer_certificate(ssl_.get()));
    return cert ? ASN1_INTEGER_get(X509_get0_serialNumber(cert.get())) : 0;
  }
  Client& socket() { return client_; }

  std::string out, seen;

 private:
  bool Note(int result) {
    const int why = SSL_get_error(ssl_.get(), result);
    if (why == SSL_ERROR_ZERO_RETURN) ended_ = true;
    if (why == SSL_ERROR_SSL || why == SSL_ERROR_SYSCALL) failed_ = true;
    return false;
  }

  Client client_;
  ContextPtr context_;
  std::unique_ptr<SSL, Freer<SSL_free>> ssl_;
  bool ended_ = false;
  bool failed_ = false;
};

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
