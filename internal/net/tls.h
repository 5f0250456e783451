#pragma once
// Tls: server certificates for listeners (OpenSSL), reloadable; and one connection's TLS.
//
// Owner    main owns Tls, listeners borrow it; a Connection owns its TlsStream, which keeps the
//          certificates it began with.
// Thread   Reload, Context: any (guarded inside); a TlsStream is its loop's.
// Limit    about 14 KB per connection, nearly all of it OpenSSL's.

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/result.h"

using SSL_CTX = struct ssl_ctx_st;
using SSL = struct ssl_st;

namespace encke::net {

struct TlsFiles {
  std::vector<std::string> cert_files;  // PEM chains; several = chosen by SNI, the first by default
  std::vector<std::string> key_files;   // same number
};

class Tls {
 public:
  // TLS 1.2 and later.  Ignores SIGPIPE in this process, because OpenSSL writes without
  // MSG_NOSIGNAL.
  static Result<std::unique_ptr<Tls>> Make(const TlsFiles& files);
  ~Tls();
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;
  Status Reload();  // reads the files again; the old context stays on failure
  std::shared_ptr<SSL_CTX> Context() const;

 private:
  struct Impl;
  Tls();
  std::unique_ptr<Impl> impl_;
};

// The server side of TLS on a non-blocking socket, with the answers of recv and send: bytes, 0 at
// the end, or -1 and errno (EAGAIN: later; EPROTO: not TLS, or broken).  The handshake happens
// inside the first calls.  After Send said EAGAIN, the next Send must begin with the same bytes.
class TlsStream {
 public:
  static std::unique_ptr<TlsStream> Accept(std::shared_ptr<SSL_CTX> context, int fd);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  ssize_t Receive(char* out, std::size_t size);
  ssize_t Send(const char* bytes, std::size_t size);
  void SayGoodbye();  // close_notify, if the socket takes it

 private:
  TlsStream(std::shared_ptr<SSL_CTX> context, SSL* ssl);
  ssize_t Answer(int result);

  std::shared_ptr<SSL_CTX> context_;  // with all certificates that SNI may choose
  SSL* ssl_;
};

}  // namespace encke::net
