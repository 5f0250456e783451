#pragma once
// Tls: server certificates for listeners (OpenSSL), reloadable.
//
// Owner    main; listeners borrow it.  A connection keeps the SSL_CTX it began with.
// Thread   Reload: any (guarded inside); the rest in each loop.
// Limit    OpenSSL's own.

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

typedef struct ssl_ctx_st SSL_CTX;

namespace encke::net {

struct TlsFiles {
  std::vector<std::string> cert_files;  // PEM chains; several = chosen by SNI
  std::vector<std::string> key_files;   // same number
};

class Tls {
 public:
  static Result<std::unique_ptr<Tls>> Make(const TlsFiles& files);
  ~Tls();
  Status Reload();  // reads the files again; the old context stays on failure
  std::shared_ptr<SSL_CTX> Context() const;

 private:
  struct Impl;
  Tls();
  std::unique_ptr<Impl> impl_;
};

}  // namespace encke::net
