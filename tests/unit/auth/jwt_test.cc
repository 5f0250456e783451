#include "auth/jwt.h"

#include <gtest/gtest.h>

#include "unit/auth/signer.h"

namespace encke::auth {
namespace {

constexpr std::int64_t kNow = 1'800'000'000;
const std::string kSecret(32, '\x9c');

std::shared_ptr<const KeyRing> Ring(const std::vector<std::string>& files) {
  auto ring = KeyRing::Load(files);
  EXPECT_TRUE(ring) << (ring ? "" : ring.error().text);
  return *ring;
}

struct Issuers {  // making an RSA key takes a while: once for all tests
  KeyFolder folder;
  Signer rsa = Signer::Rsa(), ec = Signer::P256(), ed = Signer::Ed25519(),
         hmac = Signer::Hmac(kSecret);
  std::shared_ptr<const KeyRing> ring =
      Ring({folder.Put("rsa.pem", rsa.PublicPem()), folder.Put("ec.pem", ec.PublicPem()),
            folder.Put("ed.pem", ed.PublicPem()), folder.Put("hmac.secret", kSecret)});
};

struct AllKinds : public ::testing::Test {
  static const Issuers& All() {
    static const Issuers issuers;
    return issuers;
  }
  const Signer &rsa = All().rsa, &ec = All().ec, &ed = All().ed, &hmac = All().hmac;
  const KeyRing* ring = All().ring.get();

  JwtFault Open(const std::string& token) const {
    std::string payload;
    return ring->Open(token, &payload);
  }
};

TEST_F(AllKinds, OpenWhatTheirIssuerSigned) {
  for (const auto& [signer, kid] : std::vector<std::pair<Signer, std::string>>{
           {rsa, "rsa"}, {ec, "ec"}, {ed, "ed"}, {hmac, "hmac"}}) {
    for (const std::string& id : {kid, std::string()}) {
      std::string payload;
      EXPECT_EQ(ring->Open(signer.Token("{\"sub\":\"1\"}", id), &payload), JwtFault::kNone) << kid;
      EXPECT_EQ(payload, "{\"sub\":\"1\"}");
    }
  }
}

TEST_F(AllKinds, RefuseASignatureOfSomebodyElse) {
  for (const Signer& stranger :
       {Signer::Rsa(), Signer::P256(), Signer::Ed25519(), Signer::Hmac(std::string(32, 'x'))}) {
    EXPECT_EQ(Open(stranger.Token("{}")), JwtFault::kSignature);
  }
}

TEST_F(AllKinds, RefuseEveryChangedCharacter) {
  for (const Signer& signer : {rsa, ec, ed, hmac}) {
    const std::string token = signer.Token("{\"sub\":\"1\"}");
    for (std::size_t i = 0; i < token.size(); i += 3) {
      std::string changed = token;
      changed[i] = changed[i] == 'A' ? 'B' : 'A';
      EXPECT_NE(Open(changed), JwtFault::kNone) << i << " " << changed;
    }
  }
}

TEST_F(AllKinds, RefuseNoneAndUnknownAlgorithms) {
  for (const char* alg : {"none", "None", "HS512", "RS512", "hs256", "", "ES384"}) {
    const std::string header = std::string("{\"alg\":\"") + alg + "\"}";
    EXPECT_EQ(Open(hmac.Raw(header, "{}")), JwtFault::kAlgorithm) << alg;
    EXPECT_EQ(Open(Encode64(header) + "." + Encode64("{}") + "."), JwtFault::kAlgorithm) << alg;
  }
}

// The classic: the attacker signs with HMAC, the public key's text being the secret.
TEST_F(AllKinds, RefuseAPublicKeyUsedAsSecret) {
  const Signer attacker = Signer::Hmac(rsa.PublicPem());
  EXPECT_EQ(Open(attacker.Token("{}", "rsa")), JwtFault::kAlgorithm);
  EXPECT_EQ(Open(attacker.Token("{}")), JwtFault::kSignature);
}

TEST_F(AllKinds, RefuseAnAlgorithmThatIsNotTheKeys) {
  EXPECT_EQ(Open(ec.Token("{}", "rsa")), JwtFault::kAlgorithm);
  EXPECT_EQ(Open(rsa.Token("{}", "hmac")), JwtFault::kAlgorithm);
  EXPECT_EQ(Open(rsa.Token("{}", "nobody")), JwtFault::kUnknownKey);
  EXPECT_EQ(Open(rsa.Token("{}", "../rsa")), JwtFault::kUnknownKey);
}

TEST_F(AllKinds, RefuseDerWhereRawIsDue) {
  // 64 zero bytes, an empty signature, and one of another length.
  const std::string text = Encode64("{\"alg\":\"ES256\"}") + "." + Encode64("{}");
  EXPECT_EQ(Open(text + "." + Encode64(std::string(64, '\0'))), JwtFault::kSignature);
  EXPECT_EQ(Open(text + "."), JwtFault::kSignature);
  EXPECT_EQ(Open(text + "." + Encode64(std::string(70, '\x30'))), JwtFault::kSignature);
}

TEST_F(AllKinds, RefuseOtherShapes) {
  const std::string good = hmac.Token("{}");
  const std::string two = good.substr(0, good.rfind('.'));
  for (const std::string& token :
       {std::string(), std::string("."), std::string(".."), two, good + ".", "." + good, good + "=",
        good + "\n", " " + good, hmac.Raw("[]", "{}"), hmac.Raw("{", "{}"),
        hmac.Raw("{\"alg\":1}", "{}"), hmac.Raw("{}", "{}"),
        hmac.Raw("{\"alg\":\"HS256\",\"kid\":1}", "{}"),
        hmac.Raw("{\"alg\":\"HS256\",\"crit\":[\"b64\"]}", "{}"), std::string(9000, 'A')}) {
    EXPECT_EQ(Open(token), JwtFault::kMalformed) << token;
  }
}

TEST(KeyRing, SaysWhatIsWrongWithAFile) {
  KeyFolder folder;
  const std::string pem = Signer::P256().PublicPem();
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong = {
      {{folder.Put("short.secret", "0123456789")}, "32 bytes"},
      {{folder.Put("line.secret", kSecret + "\n")}, "newline"},
      {{folder.Put("text.pem", "hello")}, "PUBLIC KEY"},
      {{folder.Put("weak.pem", Signer::Rsa(1024).PublicPem())}, "2048"},
      {{folder.Put("curve.pem", Signer::P384().PublicPem())}, "P-256"},
      {{folder.Put("empty.pem", "")}, "empty"},
      {{"/nowhere/x.pem"}, "cannot be read"},
      {{folder.Put("a.pem", pem), folder.Put("a.txt", pem)}, "second key"},
  };
  for (const auto& [files, words] : wrong) {
    const auto ring = KeyRing::Load(files);
    ASSERT_FALSE(ring) << words;
    EXPECT_NE(ring.error().text.find(words), std::string::npos) << ring.error().text;
  }
}

JwtFault Judge(const JwtOptions& options, std::string_view payload, JwtClaims* out = nullptr) {
  JwtClaims claims;
  return ReadClaims(options, payload, kNow, out != nullptr ? out : &claims);
}

TEST(JwtClaims, EnforceTime) {
  JwtOptions options;
  options.leeway = Duration(10'000);
  EXPECT_EQ(Judge(options, R"({"exp":1800000001})"), JwtFault::kNone);
  EXPECT_EQ(Judge(options, R"({"exp":1799999991})"), JwtFault::kNone);
  EXPECT_EQ(Judge(options, R"({"exp":1799999990})"), JwtFault::kExpired);
  EXPECT_EQ(Judge(options, R"({"exp":1799999990.5})"), JwtFault::kNone);
  EXPECT_EQ(Judge(options, R"({"exp":-1})"), JwtFault::kExpired);
  EXPECT_EQ(Judge(options, R"({"exp":"1900000000"})"), JwtFault::kClaims);
  EXPECT_EQ(Judge(options, R"({"exp":null})"), JwtFault::kClaims);
  EXPECT_EQ(Judge(options, R"({"exp":1900000000,"nbf":1800000010})"), JwtFault::kNone);
  EXPECT_EQ(Judge(options, R"({"exp":1900000000,"nbf":1800000011})"), JwtFault::kEarly);
  EXPECT_EQ(Judge(options, R"({"exp":1900000000,"nbf":true})"), JwtFault::kClaims);
  EXPECT_EQ(Judge(options, "{}"), JwtFault::kClaims);
  options.require_exp = false;
  EXPECT_EQ(Judge(options, "{}"), JwtFault::kNone);
}

TEST(JwtClaims, EnforceOrigin) {
  JwtOptions options;
  options.require_exp = false;
  options.issuer = "me";
  options.audience = "chat";
  EXPECT_EQ(Judge(options, R"({"iss":"me","aud":"chat"})"), JwtFault::kNone);
  EXPECT_EQ(Judge(options, R"({"iss":"me","aud":["x","chat"]})"), JwtFault::kNone);
  for (const char* payload :
       {R"({})", R"({"iss":"me"})", R"({"aud":"chat"})", R"({"iss":"you","aud":"chat"})",
        R"({"iss":"me","aud":["x"]})", R"({"iss":"me","aud":{"chat":1}})",
        R"({"iss":["me"],"aud":"chat"})"}) {
    EXPECT_EQ(Judge(options, payload), JwtFault::kClaims) << payload;
  }
}

TEST(JwtClaims, ReadWhoItIs) {
  JwtOptions options;
  options.require_exp = false;
  JwtClaims claims;
  ASSERT_EQ(Judge(options, R"({"sub":"42","key":"k","room":"live://1","accepts":[7,-1]})", &claims),
            JwtFault::kNone);
  EXPECT_EQ(claims.mid, 42);
  EXPECT_EQ(claims.key, "k");
  EXPECT_EQ(claims.room, "live://1");
  EXPECT_EQ(claims.accepts, (std::vector<std::int32_t>{7, -1}));
  ASSERT_EQ(Judge(options, R"({"sub":7,"room_id":"r"})", &claims), JwtFault::kNone);
  EXPECT_EQ(claims.mid, 7);
  EXPECT_EQ(claims.room, "r");
  for (const char* payload :
       {R"({"sub":"alice"})", R"({"sub":""})", R"({"sub":"1 "})", R"({"sub":"0x1"})",
        R"({"sub":1.5})", R"({"sub":null})", R"({"sub":18446744073709551615})",
        R"({"sub":"9223372036854775808"})", R"({"key":1})", R"({"room":[]})", R"({"accepts":1})",
        R"({"accepts":[2147483648]})", R"({"accepts":[18446744073709551615]})",
        R"({"accepts":["1"]})"}) {
    EXPECT_EQ(Judge(options, payload), JwtFault::kClaims) << payload;
  }
  EXPECT_EQ(Judge(options, R"({"key":")" + std::string(257, 'k') + R"("})"), JwtFault::kClaims);
  EXPECT_EQ(Judge(options, "[]"), JwtFault::kMalformed);
  EXPECT_EQ(Judge(options, "{"), JwtFault::kMalformed);
}

}  // namespace
}  // namespace encke::auth
