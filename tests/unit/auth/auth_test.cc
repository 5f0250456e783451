#include "auth/auth.h"

#include <gtest/gtest.h>

#include "auth/goim_token.h"
#include "unit/auth/signer.h"

namespace encke::auth {
namespace {

// "mid|key|room|a,b" or "refused".
std::string Read(std::string_view body) {
  const auto token = ParseGoimToken(body, /*with_token=*/false);
  if (!token) return "refused";
  std::string accepts;
  for (const std::int32_t op : token->accepts)
    accepts += (accepts.empty() ? "" : ",") + std::to_string(op);
  return std::to_string(token->mid) + "|" + token->key + "|" + token->room + "|" + accepts;
}

TEST(GoimToken, ReadsWhatStockClientsSend) {
  EXPECT_EQ(
      Read(R"({"mid":123, "room_id":"live://1000", "platform":"web", "accepts":[1000,1001]})"),
      "123||live://1000|1000,1001");
  EXPECT_EQ(Read(R"({"mid":1,"key":"","room_id":"test://1","platform":"ios","accepts":[1000]})"),
            "1||test://1|1000");
}

TEST(GoimToken, IsAsLenientAsGo) {
  EXPECT_EQ(Read("{}"), "0|||");
  EXPECT_EQ(Read("null"), "0|||");
  EXPECT_EQ(Read(" \t\r\n{ } \n"), "0|||");
  EXPECT_EQ(Read(R"({"MID":5,"Key":"k","ROOM_ID":"r","Accepts":[1]})"), "5|k|r|1");
  EXPECT_EQ(Read(R"({"mid":1,"MID":2})"), "2|||");
  EXPECT_EQ(Read(R"({"MID":2,"mid":1,"mid":null})"), "1|||");
  EXPECT_EQ(Read(R"({"mid":null,"key":null,"room_id":null,"accepts":null,"platform":null})"),
            "0|||");
  EXPECT_EQ(Read(R"({"accepts":[1,2],"accepts":null})"), "0|||");
  EXPECT_EQ(Read(R"({"accepts":[1,2],"accepts":[3]})"), "0|||3");
  EXPECT_EQ(Read(R"({"accepts":[1,null,-2]})"), "0|||1,0,-2");
  EXPECT_EQ(Read(R"({"x":{"mid":"no","accepts":7},"y":[[1.5,{}]],"z":true,"mid":4})"), "4|||");
  EXPECT_EQ(Read(R"({"token":5,"mid":4})"), "4|||");
  EXPECT_EQ(Read(R"({"mid":-1})"), "-1|||");
  EXPECT_EQ(Read(R"({"mid":-0})"), "0|||");
  EXPECT_EQ(Read(R"({"mid":9223372036854775807})"), "9223372036854775807|||");
  EXPECT_EQ(Read(R"({"mid":-9223372036854775808})"), "-9223372036854775808|||");
  EXPECT_EQ(Read("{\"\xe2\x84\xaa"
                 "ey\":\"kelvin\",\"accept\xc5\xbf\":[3]}"),
            "0|kelvin||3");
}

TEST(GoimToken, RefusesWhatGoRefuses) {
  for (const char* body : {"",
                           " ",
                           "1,424",
                           "[]",
                           "1",
                           "\"x\"",
                           "true",
                           "{",
                           "{}x",
                           "{} {}",
                           "{\"mid\":1",
                           "{\"mid\":\"1\"}",
                           "{\"mid\":1.5}",
                           "{\"mid\":1.0}",
                           "{\"mid\":1e3}",
                           "{\"mid\":true}",
                           "{\"mid\":[]}",
                           "{\"mid\":{}}",
                           "{\"mid\":9223372036854775808}",
                           "{\"mid\":-9223372036854775809}",
                           "{\"mid\":99999999999999999999}",
                           "{\"mid\":01}",
                           "{\"key\":1}",
                           "{\"key\":[]}",
                           "{\"room_id\":1}",
                           "{\"platform\":1}",
                           "{\"accepts\":\"1000\"}",
                           "{\"accepts\":1}",
                           "{\"accepts\":{}}",
                           "{\"accepts\":[1.5]}",
                           "{\"accepts\":[\"1\"]}",
                           "{\"accepts\":[[1]]}",
                           "{\"accepts\":[{}]}",
                           "{\"accepts\":[true]}",
                           "{\"accepts\":[2147483648]}",
                           "{\"accepts\":[-2147483649]}",
                           "{'mid':1}",
                           "{mid:1}",
                           "{\"mid\":1,}",
                           "{\"accepts\":[1,]}",
                           "{\"key\":\"\n\"}",
                           "\xef\xbb\xbf{}",
                           "// x\n{}",
                           "nullx",
                           "{\"key\":\"\\x\"}",
                           "{\"key\":\"\\u12\"}"}) {
    EXPECT_EQ(Read(body), "refused") << body;
  }
  EXPECT_EQ(Read(std::string_view("{}\0", 3)), "refused");
  EXPECT_EQ(Read(std::string_view("{}\0{", 4)), "refused");
}

TEST(GoimToken, ReplacesWhatIsNoCharacterAsGoDoes) {
  EXPECT_EQ(Read("{\"key\":\"a\xff\xfe"
                 "b\"}"),
            "0|a\xef\xbf\xbd\xef\xbf\xbd"
            "b||");
  EXPECT_EQ(Read("{\"key\":\"\xed\xa0\x80\"}"), "0|\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd||");
  EXPECT_EQ(Read("{\"key\":\"\xe2\x82\"}"), "0|\xef\xbf\xbd\xef\xbf\xbd||");
  EXPECT_EQ(Read(R"({"key":"\ud800"})"), "0|\xef\xbf\xbd||");
  EXPECT_EQ(Read(R"({"key":"\ud800\u0041"})"),
            "0|\xef\xbf\xbd"
            "A||");
  EXPECT_EQ(Read(R"({"key":"\udc00\ud83d\ude00"})"), "0|\xef\xbf\xbd\xf0\x9f\x98\x80||");
  EXPECT_EQ(Read(R"({"key":"\\ud800"})"), "0|\\ud800||");
  EXPECT_EQ(Read("\xff{}"), "refused");
}

TEST(GoimToken, HasLimits) {
  const auto body = [](const char* name, std::size_t n) {
    return "{\"" + std::string(name) + "\":\"" + std::string(n, 'x') + "\"}";
  };
  for (const char* name : {"key", "room_id"}) {
    EXPECT_NE(Read(body(name, 256)), "refused");
    const auto refused = ParseGoimToken(body(name, 257), false);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::kOverloaded);
  }
  std::string many = "{\"accepts\":[1";
  for (int i = 1; i < 1024; ++i)
    many += ",1";
  EXPECT_TRUE(ParseGoimToken(many + "]}", false));
  EXPECT_EQ(ParseGoimToken(many + ",1]}", false).error().code, Errc::kOverloaded);
}

TEST(GoimToken, SurvivesDeepNesting) {
  EXPECT_EQ(Read("{\"x\":" + std::string(5000, '[') + std::string(5000, ']') + "}"), "0|||");
  EXPECT_EQ(Read(std::string(100'000, '[')), "refused");
}

TEST(Auth, OpenModeBelievesAndNamesTheNameless) {
  auto auth = std::move(*Auth::Make(AuthOptions{}));
  Identity a, b;
  EXPECT_EQ(auth->Check(R"({"mid":7,"room_id":"r","accepts":[1]})", "", "", &a), AuthVerdict::kOk);
  EXPECT_EQ(a.mid.value(), 7);
  EXPECT_EQ(a.room.value(), "r");
  EXPECT_EQ(a.key.value().size(), 36u);
  EXPECT_EQ(auth->Check("{}", "", "", &b), AuthVerdict::kOk);
  EXPECT_NE(a.key, b.key);
  EXPECT_EQ(auth->Check("1,424", "", "", &b), AuthVerdict::kMalformed);
  EXPECT_EQ(auth->verdicts(AuthVerdict::kOk).value(), 2u);
  EXPECT_EQ(auth->verdicts(AuthVerdict::kMalformed).value(), 1u);
}

class JwtMode : public ::testing::Test {
 protected:
  JwtMode() {
    AuthOptions options;
    options.mode = "jwt";
    options.jwt.require_exp = false;
    options.jwt.keys = files_ = {folder_.Put("one.pem", signer_.PublicPem())};
    auth_ = std::move(*Auth::Make(options));
  }
  AuthVerdict Check(const std::string& body) {
    who_ = Identity();
    return auth_->Check(body, "", "", &who_);
  }
  std::string InJson(const std::string& payload, const std::string& beside = "") const {
    return "{\"token\":\"" + signer_.Token(payload) + "\"" + beside + "}";
  }

  KeyFolder folder_;
  Signer signer_ = Signer::Ed25519();
  std::vector<std::string> files_;
  std::unique_ptr<Auth> auth_;
  Identity who_;
};

TEST_F(JwtMode, TakesTheTokenBareOrInJson) {
  EXPECT_EQ(Check(signer_.Token(R"({"sub":"5","key":"k"})")), AuthVerdict::kOk);
  EXPECT_EQ(who_.mid.value(), 5);
  EXPECT_EQ(who_.key.value(), "k");
  EXPECT_EQ(Check(InJson(R"({"sub":"6"})")), AuthVerdict::kOk);
  EXPECT_EQ(who_.mid.value(), 6);
  EXPECT_EQ(who_.key.value().size(), 36u);
}

TEST_F(JwtMode, FieldsBesideTheTokenCountOnlyWhereItIsSilent) {
  const std::string beside = R"(,"mid":1,"key":"mine","room_id":"mine","accepts":[1])";
  EXPECT_EQ(Check(InJson(R"({"sub":"6"})", beside)), AuthVerdict::kOk);
  EXPECT_EQ(who_.mid.value(), 6);
  EXPECT_EQ(who_.key.value(), "mine");
  EXPECT_TRUE(who_.key_is_a_wish);
  EXPECT_EQ(who_.room.value(), "mine");
  EXPECT_EQ(who_.accepts, std::vector<std::int32_t>{1});
  EXPECT_EQ(Check(InJson(R"({"sub":"6","key":"k","room":"r","accepts":[]})", beside)),
            AuthVerdict::kOk);
  EXPECT_EQ(who_.key.value(), "k");
  EXPECT_FALSE(who_.key_is_a_wish);
  EXPECT_EQ(who_.room.value(), "r");
  EXPECT_TRUE(who_.accepts.empty());
  EXPECT_EQ(Check(InJson("{}", beside)), AuthVerdict::kOk);
  EXPECT_EQ(who_.mid.value(), 0);
}

TEST_F(JwtMode, CountsWhyNot) {
  EXPECT_EQ(Check(R"({"mid":1})"), AuthVerdict::kNoToken);
  EXPECT_EQ(Check("null"), AuthVerdict::kNoToken);
  EXPECT_EQ(Check(""), AuthVerdict::kMalformed);
  EXPECT_EQ(Check(R"({"token":"x.y"})"), AuthVerdict::kMalformed);
  EXPECT_EQ(Check(InJson(R"({"exp":1})")), AuthVerdict::kExpired);
  EXPECT_EQ(Check(InJson(R"({"nbf":99999999999})")), AuthVerdict::kEarly);
  EXPECT_EQ(Check(InJson(R"({"sub":"alice"})")), AuthVerdict::kClaims);
  EXPECT_EQ(Check(Signer::Ed25519().Token("{}")), AuthVerdict::kSignature);
  EXPECT_EQ(Check(Signer::P256().Token("{}")), AuthVerdict::kAlgorithm);
  EXPECT_EQ(Check(signer_.Token("{}", "two")), AuthVerdict::kUnknownKey);
  EXPECT_EQ(auth_->verdicts(AuthVerdict::kNoToken).value(), 2u);
}

TEST_F(JwtMode, ReloadsKeysAndKeepsTheOldOnesOnError) {
  const Signer next = Signer::Ed25519();
  folder_.Put("one.pem", "broken");
  EXPECT_FALSE(auth_->Reload(files_));
  EXPECT_FALSE(auth_->Reload({}));
  EXPECT_EQ(Check(signer_.Token("{}")), AuthVerdict::kOk);
  folder_.Put("one.pem", next.PublicPem());
  EXPECT_TRUE(auth_->Reload(files_));
  EXPECT_EQ(Check(signer_.Token("{}")), AuthVerdict::kSignature);
  EXPECT_EQ(Check(next.Token("{}")), AuthVerdict::kOk);
}

TEST(Auth, JwtModeNeedsAKey) {
  AuthOptions options;
  options.mode = "jwt";
  EXPECT_FALSE(Auth::Make(options));
}

}  // namespace
}  // namespace encke::auth
