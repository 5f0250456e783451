#pragma once
// TlsPeer: self-signed certificates in a folder of the test, and OpenSSL's client to try them.
//
// Owner    the test; the folder is removed with Certificates.
// Thread   the test's.
// Limit    none.

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "net/tls.h"
#include "unit/net/harness.h"

namespace encke::net {

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

}  // namespace encke::net
