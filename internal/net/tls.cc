#include "net/tls.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <climits>
#include <csignal>
#include <utility>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/threads.h"

namespace encke::net {
namespace {

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using ContextPtr = std::unique_ptr<SSL_CTX, FreeContext>;
using Contexts = std::vector<ContextPtr>;  // one per certificate; the first is the default

// The reason OpenSSL gives, and leaves its queue empty.
std::string WhyNot() {
  std::string text(256, '\0');
  ERR_error_string_n(ERR_peek_last_error(), text.data(), text.size());
  ERR_clear_error();
  text.resize(text.find('\0'));
  return text;
}

Result<ContextPtr> LoadContext(const std::string& cert_file, const std::string& key_file) {
  ContextPtr context(SSL_CTX_new(TLS_server_method()));
  if (context == nullptr) return Error{Errc::kUnavailable, "tls: " + WhyNot()};
  SSL_CTX* raw = context.get();
  SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // Tickets make each handshake dearer, and a client that comes back reaches another comet.  Many
  // clients close without a goodbye; packages have lengths, so a cut is noticed anyway.
  SSL_CTX_set_options(raw, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_num_tickets(raw, 0);
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  if (SSL_CTX_use_certificate_chain_file(raw, cert_file.c_str()) != 1) {
    return Error{Errc::kInvalid, "tls: certificate " + cert_file + ": " + WhyNot()};
  }
  if (SSL_CTX_use_PrivateKey_file(raw, key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(raw) != 1) {
    return Error{Errc::kInvalid, "tls: key " + key_file + ": " + WhyNot()};
  }
  return context;
}

int ChooseByName(SSL* ssl, int*, void* arg) {
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name == nullptr) return SSL_TLSEXT_ERR_NOACK;
  for (const ContextPtr& context : *static_cast<const Contexts*>(arg)) {
    if (X509_check_host(SSL_CTX_get0_certificate(context.get()), name, 0, 0, nullptr) != 1)
      continue;
    SSL_set_SSL_CTX(ssl, context.get());
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;  // the default certificate; the client judges it
}

Result<std::shared_ptr<Contexts>> LoadAll(const TlsFiles& files) {
  if (files.cert_files.empty() || files.cert_files.size() != files.key_files.size()) {
    return Error{Errc::kInvalid, "tls: needs as many key files as certificate files, at least one"};
  }
  auto contexts = std::make_shared<Contexts>();
  for (std::size_t i = 0; i < files.cert_files.size(); ++i) {
    auto context = LoadContext(files.cert_files[i], files.key_files[i]);
    if (!context) return context.error();
    contexts->push_back(std::move(*context));
  }
  SSL_CTX* first = contexts->front().get();
  // What the macro SSL_CTX_set_tlsext_servername_callback does, without its C cast.
  SSL_CTX_callback_ctrl(first, SSL_CTRL_SET_TLSEXT_SERVERNAME_CB,
                        reinterpret_cast<void (*)()>(ChooseByName));
  SSL_CTX_set_tlsext_servername_arg(first, contexts.get());
  return contexts;
}

}  // namespace

struct Tls::Impl {
  TlsFiles files;
  Guarded<std::shared_ptr<Contexts>> contexts;
};

Tls::Tls() : impl_(std::make_unique<Impl>()) {}
Tls::~Tls() = default;

Result<std::unique_ptr<Tls>> Tls::Make(const TlsFiles& files) {
  std::signal(SIGPIPE, [](int) {});  // a write to a peer that has gone is EPIPE, not death
  std::unique_ptr<Tls> tls(new Tls());
  tls->impl_->files = files;
  if (Status loaded = tls->Reload(); !loaded) return loaded.error();
  return tls;
}

Status Tls::Reload() {
  auto loaded = LoadAll(impl_->files);
  if (!loaded) return loaded.error();
  impl_->contexts.With([&](auto& contexts) { contexts.swap(*loaded); });
  return Ok{};
}

std::shared_ptr<SSL_CTX> Tls::Context() const {
  auto contexts = impl_->contexts.With([](const auto& held) { return held; });
  SSL_CTX* first = contexts->front().get();
  return {std::move(contexts), first};  // keeps all of them alive, names the default
}

std::unique_ptr<TlsStream> TlsStream::Accept(std::shared_ptr<SSL_CTX> context, int fd) {
  ERR_clear_error();
  SSL* ssl = SSL_new(context.get());
  if (ssl == nullptr) return nullptr;
  std::unique_ptr<TlsStream> stream(new TlsStream(std::move(context), ssl));
  if (SSL_set_fd(ssl, fd) != 1) return nullptr;
  SSL_set_accept_state(ssl);
  return stream;
}

TlsStream::TlsStream(std::shared_ptr<SSL_CTX> context, SSL* ssl)
    : context_(std::move(context)), ssl_(ssl) {}

TlsStream::~TlsStream() { SSL_free(ssl_); }

ssize_t TlsStream::Receive(char* out, std::size_t size) {
  ERR_clear_error();
  errno = 0;
  return Answer(SSL_read(ssl_, out, static_cast<int>(std::min<std::size_t>(size, INT_MAX))));
}

// SSL_write stops after one record of 16 KiB; a caller that queued the rest would soon call a
// client slow whose socket has room.
ssize_t TlsStream::Send(const char* bytes, std::size_t size) {
  std::size_t gone = 0;
  while (gone < size) {
    ERR_clear_error();
    errno = 0;
    const int most = static_cast<int>(std::min<std::size_t>(size - gone, INT_MAX));
    const ssize_t sent = Answer(SSL_write(ssl_, bytes + gone, most));
    if (sent <= 0) return gone > 0 ? static_cast<ssize_t>(gone) : sent;  // next time it says why
    gone += static_cast<std::size_t>(sent);
  }
  return static_cast<ssize_t>(gone);
}

ssize_t TlsStream::Answer(int result) {
  if (result > 0) return result;
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      errno = EAGAIN;
      return -1;
    case SSL_ERROR_ZERO_RETURN:
      return 0;
    case SSL_ERROR_SYSCALL:
      if (errno == 0 || errno == EAGAIN) errno = ECONNRESET;  // an end without goodbye
      ERR_clear_error();
      return -1;
    default:
      ERR_clear_error();
      errno = EPROTO;
      return -1;
  }
}

void TlsStream::SayGoodbye() {
  ERR_clear_error();
  if (SSL_is_init_finished(ssl_) == 1) SSL_shutdown(ssl_);
  ERR_clear_error();
}

}  // namespace encke::net
