#include "base/config.h"

#include <cstdlib>

#include <gtest/gtest.h>

namespace encke {
namespace {

using std::chrono::milliseconds;

struct Toy {
  bool on = false;
  std::string name = "x";
  std::vector<std::string> list;
  std::map<std::string, std::vector<std::string>> regions;
  double factor = 1.5;
  std::size_t bytes = 10;
  milliseconds wait{100};
};

Status Read(std::string_view text, Toy* toy) {
  ConfigReader in;
  if (auto opened = in.OpenText(text); !opened) return opened;
  in.Key("on", &toy->on);
  in.Key("a.name", &toy->name);
  in.Key("a.list", &toy->list);
  in.Key("regions", &toy->regions);
  in.Key("factor", &toy->factor, 1, 2);
  in.Key("a.bytes", &toy->bytes, 1, 1 << 20);
  in.Key("a.wait", &toy->wait, milliseconds(1), milliseconds(60'000));
  in.Choice("a.kind", &toy->name, {"red", "blue"});
  return in.Finish();
}

std::string Refusal(std::string_view text) {
  Toy toy;
  const Status status = Read(text, &toy);
  return status ? "" : status.error().text;
}

TEST(Config, ReadsEveryKind) {
  Toy toy;
  ASSERT_TRUE(
      Read("on: true\na: {name: n, list: [p, q], bytes: 64k, wait: 2s}\n"
           "regions: {bj: [10.0.0.0/8]}\nfactor: 1.25\n",
           &toy));
  EXPECT_TRUE(toy.on);
  EXPECT_EQ(toy.name, "n");
  EXPECT_EQ(toy.list, (std::vector<std::string>{"p", "q"}));
  EXPECT_EQ(toy.regions["bj"][0], "10.0.0.0/8");
  EXPECT_EQ(toy.factor, 1.25);
  EXPECT_EQ(toy.bytes, 65536U);
  EXPECT_EQ(toy.wait, milliseconds(2000));
}

TEST(Config, AbsentKeysKeepDefaults) {
  Toy toy;
  ASSERT_TRUE(Read("", &toy));
  EXPECT_EQ(toy.wait, milliseconds(100));
}

TEST(Config, RefusalsNameLineKeyValueAndRange) {
  EXPECT_EQ(Refusal("on: true\nfoo: 1\n"), "config:2: foo: unknown key");
  EXPECT_EQ(Refusal("a:\n  nam: x\n"), "config:2: a.nam: unknown key");
  EXPECT_EQ(Refusal("on: yes\n"), "config:1: on: \"yes\" is not true or false");
  EXPECT_EQ(Refusal("a: {bytes: 0}\n"),
            "config:1: a.bytes: \"0\" is not a whole number from 1 to 1048576");
  EXPECT_EQ(Refusal("a: {wait: 2}\n"),
            "config:1: a.wait: \"2\" is not a time from 1ms to 1m (write 250ms, 8s, 4m, 2h, 14d)");
  EXPECT_EQ(Refusal("a: {kind: green}\n"), "config:1: a.kind: \"green\" is not one of: red, blue");
  EXPECT_EQ(Refusal("factor: 3\n"), "config:1: factor: \"3\" is not a number from 1 to 2");
  EXPECT_EQ(Refusal("on: true\non: false\n"), "config:2: on: given twice");
  EXPECT_EQ(Refusal("a: {list: x}\n"), "config:1: a.list: \"\" must be a list: [a, b]");
  EXPECT_NE(Refusal("a: [\n"), "");
  EXPECT_NE(Refusal("- a\n"), "");
}

TEST(Config, EnvironmentWins) {
  setenv("ENCKE_A_BYTES", "7", 1);
  setenv("ENCKE_A_LIST", "u,v", 1);
  Toy toy;
  const bool fine = Read("a: {bytes: 9}\n", &toy).has_value();
  setenv("ENCKE_A_BYTES", "none", 1);
  const std::string refusal = Refusal("a: {bytes: 9}\n");
  unsetenv("ENCKE_A_BYTES");
  unsetenv("ENCKE_A_LIST");
  EXPECT_TRUE(fine);
  EXPECT_EQ(toy.bytes, 7U);
  EXPECT_EQ(toy.list, (std::vector<std::string>{"u", "v"}));
  EXPECT_EQ(refusal,
            "ENCKE_A_BYTES (for a.bytes): \"none\" is not a whole number from 1 to 1048576");
}

}  // namespace
}  // namespace encke
