#include "presence/nodes.h"

#include <gtest/gtest.h>

namespace encke::presence {
namespace {

Instance Comet(const std::string& id,
               std::int64_t weight,
               std::int64_t connections,
               const std::string& region = "",
               std::int64_t updated = 1) {
  Instance comet;
  comet.set_id(id);
  comet.set_weight(weight);
  comet.set_conn_count(connections);
  comet.set_region(region);
  comet.set_updated_ns(updated);
  return comet;
}

std::string Names(const std::vector<Instance>& comets) {
  std::string names;
  for (const Instance& comet : comets)
    names += comet.id();
  return names;
}

TEST(Balancer, PrefersWeightAndFewConnections) {
  Balancer balancer(1.6);
  balancer.Update({Comet("a", 10, 1000), Comet("b", 10, 0), Comet("c", 10, 500)}, 0);
  EXPECT_EQ(Names(balancer.Pick("", 5)), "bca");
  balancer.Update({Comet("a", 100, 10), Comet("b", 10, 10), Comet("c", 50, 10)}, 0);
  EXPECT_EQ(Names(balancer.Pick("", 5)), "acb");
}

// b in its region: W' = 25.6, T = 36 + 25 - 16 = 45, ratio 25.6/45 - 1/4, times 60 = 19.1: 44.
// a outside: 20/36 - 1/4, times 60 = 18.3: 38.  Without gain b is 16 + 12 = 28.
TEST(Balancer, GivesTheGainToTheRegionOfTheCaller) {
  Balancer balancer(1.6);
  balancer.Update({Comet("a", 20, 30, "sh"), Comet("b", 16, 30, "bj")}, 0);
  EXPECT_EQ(Names(balancer.Pick("", 5)), "ab");
  EXPECT_EQ(Names(balancer.Pick("bj", 5)), "ba");
  EXPECT_EQ(Names(balancer.Pick("sh", 5)), "ab");
}

TEST(Balancer, SpreadsEqualCometsEvenly) {
  Balancer balancer(1.6);
  balancer.Update({Comet("a", 10, 0), Comet("b", 10, 0), Comet("c", 10, 0)}, 0);
  std::map<std::string, int> first;
  for (int i = 0; i < 300; ++i)
    ++first[balancer.Pick("", 1).at(0).id()];
  EXPECT_NEAR(first["a"], 100, 10);
  EXPECT_NEAR(first["b"], 100, 10);
  EXPECT_NEAR(first["c"], 100, 10);
}

TEST(Balancer, NamesAtMostTheLimit) {
  Balancer balancer(1.6);
  std::vector<Instance> many;
  for (int i = 0; i < 9; ++i)
    many.push_back(Comet(std::to_string(i), 10, i));
  balancer.Update(many, 0);
  EXPECT_EQ(balancer.Pick("", 5).size(), 5u);
  Balancer nobody(1.6);
  EXPECT_TRUE(nobody.Pick("", 5).empty());
}

TEST(Balancer, KeepsItsOwnCountUntilTheCometSpeaksAnew) {
  Balancer balancer(1.6);
  const auto first = [&] { return balancer.Pick("", 1).at(0).id(); };
  balancer.Update({Comet("a", 10, 100), Comet("b", 10, 104)}, 0);
  for (int i = 0; i < 10; ++i)
    first();  // they catch up with each other
  balancer.Update({Comet("a", 10, 100, "", 1), Comet("b", 10, 50, "", 2)}, 1000);
  EXPECT_EQ(first(), "b");
  balancer.Update({Comet("a", 10, 0, "", 1), Comet("b", 10, 50, "", 2)}, 2000);
  EXPECT_EQ(first(), "b");  // a did not speak: its old count holds
  balancer.Update({Comet("a", 10, 0, "", 3), Comet("b", 10, 50, "", 2)}, 3000);
  EXPECT_EQ(first(), "a");
}

TEST(Balancer, DistrustsASuddenLoss) {
  Balancer balancer(1.6);
  const std::vector<Instance> five = {Comet("a", 1, 0), Comet("b", 1, 0), Comet("c", 1, 0),
                                      Comet("d", 1, 0), Comet("e", 1, 0)};
  const std::vector<Instance> two = {five[0], five[1]};
  balancer.Update(five, 0);
  balancer.Update({}, 1000);
  balancer.Update(two, 1000);
  EXPECT_EQ(balancer.Pick("", 9).size(), 5u);
  balancer.Update(two, 120'000);
  EXPECT_EQ(balancer.Pick("", 9).size(), 5u);
  balancer.Update(two, 121'000);
  EXPECT_EQ(balancer.Pick("", 9).size(), 2u);
  balancer.Update({}, 9'000'000);
  EXPECT_EQ(balancer.Pick("", 9).size(), 2u);
  balancer.Update({five[4]}, 9'000'000);  // exactly half
  EXPECT_EQ(Names(balancer.Pick("", 9)), "e");
}

TEST(Balancer, LeavesOutWhoTakesNoNewClients) {
  Balancer balancer(1.6);
  Instance drained = Comet("a", 100, 0);
  drained.set_offline(true);
  balancer.Update({drained, Comet("b", 1, 0)}, 0);
  EXPECT_EQ(Names(balancer.Pick("", 5)), "b");
}

TEST(AddressesOf, DependOnThePlatform) {
  NodesOptions options;
  options.host_domain = ".example.org";
  options.default_domain = "conn.example.org";
  Instance comet = Comet("c1", 1, 0);
  using Names = std::vector<std::string>;
  EXPECT_EQ(AddressesOf({comet}, "ios", options), Names{"conn.example.org"});
  comet.add_addrs("192.0.2.1");
  comet.add_addrs("192.0.2.2");
  EXPECT_EQ(AddressesOf({comet}, "", options), (Names{"192.0.2.1", "192.0.2.2"}));
  EXPECT_EQ(AddressesOf({comet}, "web", options), Names{"c1.example.org"});
  EXPECT_EQ(AddressesOf({}, "web", options), Names{"conn.example.org"});
}

TEST(RegionTable, FindsTheLongestBlock) {
  const auto table = *RegionTable::Make({{"eu", {"10.0.0.0/8", "2001:db8::/32"}},
                                         {"bj", {"10.1.0.0/16", "192.0.2.7"}},
                                         {"odd", {"172.16.0.0/12"}}});
  EXPECT_EQ(table.Find("10.2.3.4"), "eu");
  EXPECT_EQ(table.Find("10.1.3.4"), "bj");
  EXPECT_EQ(table.Find("::ffff:10.1.3.4"), "bj");
  EXPECT_EQ(table.Find("192.0.2.7"), "bj");
  EXPECT_EQ(table.Find("192.0.2.8"), "");
  EXPECT_EQ(table.Find("172.31.255.255"), "odd");
  EXPECT_EQ(table.Find("172.32.0.0"), "");
  EXPECT_EQ(table.Find("2001:db8:ffff::1"), "eu");
  EXPECT_EQ(table.Find("2001:db9::1"), "");
  for (const char* text : {"", "x", "10.1", "10.1.1.1, 10.2.2.2", "10.1.1.1:80"})
    EXPECT_EQ(table.Find(text), "") << text;
  EXPECT_EQ(RegionTable::Make({{"all", {"0.0.0.0/0"}}})->Find("8.8.8.8"), "all");
  EXPECT_EQ(RegionTable::Make({{"all", {"0.0.0.0/0"}}})->Find("2001:db8::1"), "");
}

TEST(RegionTable, RefusesWhatIsNoBlock) {
  for (const char* text : {"", "x", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x",
                           "10.0.0/8", "::/129", "/8"}) {
    EXPECT_FALSE(RegionTable::Make({{"r", {text}}})) << text;
  }
}

}  // namespace
}  // namespace encke::presence
