#include "auth/jwt.h"

#include <array>
#include <cassert>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

namespace encke::auth {

namespace {

using Json = nlohmann::json;

constexpr std::size_t kTokenBytesMax = 8192;
constexpr std::size_t kSecretBytesMin = 32;
constexpr std::size_t kFileBytesMax = 65'536;
constexpr std::size_t kEs256Bytes = 64;  // r and s

enum class Algorithm : std::uint8_t { kHs256, kRs256, kEs256, kEdDsa };

template <auto free>
struct Freer {
  template <class T>
  void operator()(T* object) const {
    free(object);
  }
};
using PublicKey = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Freer<EVP_MD_CTX_free>>;
using Bio = std::unique_ptr<BIO, Freer<BIO_free>>;
using EcSignature = std::unique_ptr<ECDSA_SIG, Freer<ECDSA_SIG_free>>;

struct VerifyKey {
  std::string id;
  Algorithm algorithm = Algorithm::kHs256;
  std::string secret;    // HS256
  PublicKey public_key;  // the others
};

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// Base64url without padding; bits past the last byte must be zero (one text per value).
std::optional<std::string> Decode64(std::string_view text) {
  std::string out;
  out.reserve(text.size() * 3 / 4);
  std::uint32_t bits = 0;
  int have = 0;
  for (const char c : text) {
    const int value = c >= 'A' && c <= 'Z'   ? c - 'A'
                      : c >= 'a' && c <= 'z' ? c - 'a' + 26
                      : c >= '0' && c <= '9' ? c - '0' + 52
                      : c == '-'             ? 62
                      : c == '_'             ? 63
                                             : -1;
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    have += 6;
    if (have >= 8) {
      have -= 8;
      out += static_cast<char>(bits >> have & 0xff);
    }
  }
  if (text.size() % 4 == 1 || (bits & ((1u << have) - 1)) != 0) return std::nullopt;
  return out;
}

std::optional<Algorithm> AlgorithmNamed(const std::string& name) {
  if (name == "HS256") return Algorithm::kHs256;
  if (name == "RS256") return Algorithm::kRs256;
  if (name == "ES256") return Algorithm::kEs256;
  if (name == "EdDSA") return Algorithm::kEdDsa;
  return std::nullopt;
}

// ---- keys -------------------------------------------------------------------------------------

Result<std::string> ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in.good() && !in.eof()) return Error{Errc::kInvalid, path + ": cannot be read"};
  if (text.empty()) return Error{Errc::kInvalid, path + ": cannot be read, or is empty"};
  if (text.size() > kFileBytesMax) return Error{Errc::kInvalid, path + ": too large for a key"};
  return text;
}

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

std::string KeyIdOf(const std::string& path) {
  std::string name = path.substr(path.rfind('/') + 1);
  const auto dot = name.rfind('.');
  return dot == std::string::npos || dot == 0 ? name : name.substr(0, dot);
}

bool IsP256(const EVP_PKEY* key) {
  char group[32] = {};
  std::size_t length = 0;
  return EVP_PKEY_get_group_name(key, group, sizeof(group), &length) == 1 &&
         std::string_view(group, length) == "prime256v1";
}

std::optional<Algorithm> AlgorithmOf(const EVP_PKEY* key) {
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
      if (EVP_PKEY_get_bits(key) < 2048) return std::nullopt;
      return Algorithm::kRs256;
    case EVP_PKEY_EC:
      if (!IsP256(key)) return std::nullopt;
      return Algorithm::kEs256;
    case EVP_PKEY_ED25519:
      return Algorithm::kEdDsa;
    default:
      return std::nullopt;
  }
}

Result<VerifyKey> LoadKey(const std::string& path) {
  Result<std::string> text = ReadFile(path);
  if (!text) return text.error();
  VerifyKey key;
  key.id = KeyIdOf(path);
  if (EndsWith(path, ".secret")) {
    if (text->size() < kSecretBytesMin) {
      return Error{Errc::kInvalid, path + ": an HS256 secret needs 32 bytes or more"};
    }
    if (text->back() == '\n') {
      return Error{Errc::kInvalid, path + ": ends with a newline; the secret is the raw bytes"};
    }
    key.secret = std::move(*text);
    return key;
  }
  const Bio bio(BIO_new_mem_buf(text->data(), static_cast<int>(text->size())));
  key.public_key.reset(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (!key.public_key) return Error{Errc::kInvalid, path + ": not a PEM \"PUBLIC KEY\""};
  const auto algorithm = AlgorithmOf(key.public_key.get());
  if (!algorithm) {
    return Error{Errc::kInvalid, path + ": only RSA from 2048 bits, EC P-256 and Ed25519"};
  }
  key.algorithm = *algorithm;
  return key;
}

// ---- signatures -------------------------------------------------------------------------------

bool VerifyHmac(const VerifyKey& key, std::string_view text, std::string_view signature) {
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  const unsigned char* made =
      HMAC(EVP_sha256(), key.secret.data(), static_cast<int>(key.secret.size()), Bytes(text),
           text.size(), mac, &length);
  return made != nullptr && signature.size() == length &&
         CRYPTO_memcmp(mac, signature.data(), length) == 0;
}

// JWS carries r and s as 32 bytes each, OpenSSL wants DER.
std::string DerOf(std::string_view signature) {
  if (signature.size() != kEs256Bytes) return {};
  constexpr int kHalf = kEs256Bytes / 2;
  const EcSignature pair(ECDSA_SIG_new());
  BIGNUM* r = BN_bin2bn(Bytes(signature), kHalf, nullptr);
  BIGNUM* s = BN_bin2bn(Bytes(signature) + kHalf, kHalf, nullptr);
  const int set = ECDSA_SIG_set0(pair.get(), r, s);  // takes both
  assert(set == 1);
  unsigned char* der = nullptr;
  const int length = i2d_ECDSA_SIG(pair.get(), &der);
  if (length <= 0) return {};
  std::string out(reinterpret_cast<const char*>(der), static_cast<std::size_t>(length));
  OPENSSL_free(der);
  return out;
}

bool VerifyPublic(const VerifyKey& key, std::string_view text, std::string_view signature) {
  const std::string der = key.algorithm == Algorithm::kEs256 ? DerOf(signature) : std::string();
  const std::string_view given = key.algorithm == Algorithm::kEs256 ? der : signature;
  if (given.empty()) return false;
  const EVP_MD* digest = key.algorithm == Algorithm::kEdDsa ? nullptr : EVP_sha256();
  const DigestContext context(EVP_MD_CTX_new());
  const bool good =
      EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key.public_key.get()) == 1 &&
      EVP_DigestVerify(context.get(), Bytes(given), given.size(), Bytes(text), text.size()) == 1;
  ERR_clear_error();
  return good;
}

bool Verify(const VerifyKey& key, std::string_view text, std::string_view signature) {
  return key.algorithm == Algorithm::kHs256 ? VerifyHmac(key, text, signature)
                                            : VerifyPublic(key, text, signature);
}

// ---- header -----------------------------------------------------------------------------------

struct Header {
  std::optional<Algorithm> algorithm;
  std::optional<std::string> key_id;
};

std::optional<Header> ReadHeader(std::string_view encoded) {
  const auto text = Decode64(encoded);
  if (!text) return std::nullopt;
  const Json json = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || json.contains("crit")) return std::nullopt;
  Header header;
  const auto alg = json.find("alg");
  if (alg == json.end() || !alg->is_string()) return std::nullopt;
  header.algorithm = AlgorithmNamed(alg->get<std::string>());
  const auto kid = json.find("kid");
  if (kid != json.end()) {
    if (!kid->is_string()) return std::nullopt;
    header.key_id = kid->get<std::string>();
  }
  return header;
}

}  // namespace

struct KeyRing::Impl {
  std::vector<VerifyKey> keys;
};

KeyRing::KeyRing() : impl_(std::make_unique<Impl>()) {}
KeyRing::~KeyRing() = default;
std::size_t KeyRing::size() const { return impl_->keys.size(); }

Result<std::shared_ptr<const KeyRing>> KeyRing::Load(const std::vector<std::string>& files) {
  std::shared_ptr<KeyRing> ring(new KeyRing);
  std::set<std::string> ids;
  for (const std::string& file : files) {
    Result<VerifyKey> key = LoadKey(file);
    if (!key) return key.error();
    if (!ids.insert(key->id).second) {
      return Error{Errc::kInvalid, file + ": a second key with the id " + key->id};
    }
    ring->impl_->keys.push_back(std::move(*key));
  }
  return std::shared_ptr<const KeyRing>(std::move(ring));
}

JwtFault KeyRing::Open(std::string_view token, std::string* payload) const {
  if (token.size() > kTokenBytesMax) return JwtFault::kMalformed;
  const auto first = token.find('.');
  const auto last = token.rfind('.');
  if (first == std::string_view::npos || first == last) return JwtFault::kMalformed;
  const std::string_view signed_text = token.substr(0, last);
  const auto header = ReadHeader(token.substr(0, first));
  const auto body = Decode64(token.substr(first + 1, last - first - 1));
  const auto signature = Decode64(token.substr(last + 1));
  if (!header || !body || !signature) return JwtFault::kMalformed;
  if (!header->algorithm) return JwtFault::kAlgorithm;
  bool tried = false;
  for (const VerifyKey& key : impl_->keys) {
    if (header->key_id && *header->key_id != key.id) continue;
    if (header->key_id && key.algorithm != *header->algorithm) return JwtFault::kAlgorithm;
    if (key.algorithm != *header->algorithm) continue;
    tried = true;
    if (!Verify(key, signed_text, *signature)) continue;
    *payload = *body;
    return JwtFault::kNone;
  }
  if (tried) return JwtFault::kSignature;
  return header->key_id ? JwtFault::kUnknownKey : JwtFault::kAlgorithm;
}

}  // namespace encke::auth
