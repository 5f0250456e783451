#pragma once
// Signer: makes keys and tokens as an issuer would, for the tests of Jwt and Auth.
//
// Owner    the test; the folder with its key files goes with KeyFolder.
// Thread   one.
// Limit    none.

#include <cassert>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

namespace encke::auth {

class KeyFolder {
 public:
  KeyFolder() {
    char name[] = "/tmp/encke-keys-XXXXXX";
    path_ = mkdtemp(name);
  }
  ~KeyFolder() { std::filesystem::remove_all(path_); }
  KeyFolder(const KeyFolder&) = delete;
  KeyFolder& operator=(const KeyFolder&) = delete;

  std::string Put(const std::string& name, std::string_view text) const {
    const std::string file = path_ + "/" + name;
    std::ofstream(file, std::ios::binary) << text;
    return file;
  }

 private:
  std::string path_;
};

inline std::string Encode64(std::string_view bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  unsigned bits = 0;
  int have = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    for (have += 8; have >= 6; have -= 6)
      out += kDigits[bits >> (have - 6) & 63];
  }
  if (have > 0) out += kDigits[bits << (6 - have) & 63];
  return out;
}

class Signer {
 public:
  static Signer Rsa(unsigned bits = 2048) { return Signer("RS256", EVP_RSA_gen(bits)); }
  static Signer P256() { return Signer("ES256", EVP_EC_gen("P-256")); }
  static Signer P384() { return Signer("ES256", EVP_EC_gen("P-384")); }
  static Signer Ed25519() {
    return Signer("EdDSA", EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  }
  static Signer Hmac(std::string secret) {
    Signer signer("HS256", nullptr);
    signer.secret_ = std::move(secret);
    return signer;
  }

  std::string PublicPem() const {
    BIO* bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PUBKEY(bio, key_.get());
    char* data = nullptr;
    const long length = BIO_get_mem_data(bio, &data);
    std::string pem(data, static_cast<std::size_t>(length));
    BIO_free(bio);
    return pem;
  }

  // kid "" = none in the header.
  std::string Token(std::string_view payload, const std::string& kid = "") const {
    const std::string key_id = kid.empty() ? "" : ",\"kid\":\"" + kid + "\"";
    return Raw("{\"alg\":\"" + alg_ + "\",\"typ\":\"JWT\"" + key_id + "}", payload);
  }
  std::string Raw(std::string_view header, std::string_view payload) const {
    const std::string text = Encode64(header) + "." + Encode64(payload);
    return text + "." + Encode64(Sign(text));
  }

 private:
  Signer(std::string alg, EVP_PKEY* key) : alg_(std::move(alg)), key_(key, EVP_PKEY_free) {}

  std::string Sign(const std::string& text) const {
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    if (!key_) {
      unsigned char mac[32];
      HMAC(EVP_sha256(), secret_.data(), static_cast<int>(secret_.size()), bytes, text.size(), mac,
           nullptr);
      return {reinterpret_cast<const char*>(mac), sizeof(mac)};
    }
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    EVP_DigestSignInit(context, nullptr, alg_ == "EdDSA" ? nullptr : EVP_sha256(), nullptr,
                       key_.get());
    std::string signature(1024, '\0');
    std::size_t length = signature.size();
    const int made = EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()),
                                    &length, bytes, text.size());
    assert(made == 1);
    EVP_MD_CTX_free(context);
    signature.resize(length);
    return alg_ == "ES256" ? RawPair(signature) : signature;
  }

  static std::string RawPair(const std::string& der) {
    const auto* in = reinterpret_cast<const unsigned char*>(der.data());
    ECDSA_SIG* pair = d2i_ECDSA_SIG(nullptr, &in, static_cast<long>(der.size()));
    unsigned char out[64] = {};
    if (BN_num_bytes(ECDSA_SIG_get0_r(pair)) <= 32) {  // else: not P-256, and no raw form of ours
      BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, 32);
      BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + 32, 32);
    }
    ECDSA_SIG_free(pair);
    return {reinterpret_cast<const char*>(out), sizeof(out)};
  }

  std::string alg_;
  std::shared_ptr<EVP_PKEY> key_;
  std::string secret_;
};

}  // namespace encke::auth
