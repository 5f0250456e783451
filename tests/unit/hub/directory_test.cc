// Directory against a plain multimap, with hashes of few bits so that everything collides.

#include "hub/directory.h"

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace encke::hub {
namespace {

TEST(Directory, FindsWhatWasPutAndForgetsWhatWasRemoved) {
  Directory directory;
  EXPECT_TRUE(directory.Put("a", {1, 10}).empty());
  EXPECT_TRUE(directory.Put("b", {2, 20}).empty());
  EXPECT_EQ(directory.Find("a"), std::vector<Home>({{1, 10}}));
  EXPECT_EQ(directory.Put("a", {3, 30}), std::vector<Home>({{1, 10}}));  // the older connection
  directory.Remove("a", {1, 10});
  EXPECT_EQ(directory.Find("a"), std::vector<Home>({{3, 30}}));
  directory.Remove("a", {1, 10});  // not there any more
  directory.Remove("a", {3, 30});
  EXPECT_TRUE(directory.Find("a").empty());
  EXPECT_TRUE(directory.Find("never").empty());
  EXPECT_EQ(directory.size(), 1U);
}

TEST(Directory, OneHomeIsThereOnce) {
  Directory directory;
  directory.Put("a", {1, 10});
  EXPECT_TRUE(directory.Put("a", {1, 10}).empty());
  EXPECT_EQ(directory.size(), 1U);
}

// With one hash for all, every Find must answer all homes; with three or eight bits at least those
// of the key.
class Collisions : public testing::TestWithParam<std::uint64_t> {};

TEST_P(Collisions, NothingIsLostOrLeftBehind) {
  std::mt19937 random(7);
  Directory directory(GetParam());
  std::vector<std::pair<std::string, Home>> there;
  for (int step = 0; step < 20'000; ++step) {
    if (there.empty() || random() % 100 < (step < 10'000 ? 52 : 48)) {
      there.emplace_back(
          "key " + std::to_string(random() % 300),
          Home{static_cast<std::uint32_t>(random() % 4), static_cast<std::uint32_t>(step)});
      directory.Put(there.back().first, there.back().second);
    } else {
      std::swap(there[random() % there.size()], there.back());
      directory.Remove(there.back().first, there.back().second);
      there.pop_back();
    }
    ASSERT_EQ(directory.size(), there.size());
    if (step % 50 != 0) continue;
    for (const auto& [key, home] : there) {
      const std::vector<Home> found = directory.Find(key);
      ASSERT_EQ(std::count(found.begin(), found.end(), home), 1) << key << " at step " << step;
      if (GetParam() == 0) {
        ASSERT_EQ(found.size(), there.size());
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Masks, Collisions, testing::Values(0, 7, 255, ~std::uint64_t{0}));

TEST(Directory, TakesLittleMemoryPerKey) {
  Directory directory;
  for (std::uint32_t i = 0; i < 100'000; ++i)
    directory.Put("key number " + std::to_string(i), {0, i});
  EXPECT_EQ(directory.size(), 100'000U);
  EXPECT_LE(directory.BytesUsed(), 100'000U * 45);
}

TEST(Directory, ThreadsDoNotDisturbEachOther) {
  Directory directory;
  std::vector<std::thread> threads;
  for (std::uint32_t shard = 0; shard < 4; ++shard) {
    threads.emplace_back([&directory, shard] {
      const std::string prefix = "shard " + std::to_string(shard) + " ";
      for (std::uint32_t i = 0; i < 2000; ++i)
        directory.Put(prefix + std::to_string(i), {shard, i});
      for (std::uint32_t i = 0; i < 2000; i += 2)
        directory.Remove(prefix + std::to_string(i), {shard, i});
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(directory.size(), 4000U);
  EXPECT_EQ(directory.Find("shard 2 1501"), std::vector<Home>({{2, 1501}}));
  EXPECT_TRUE(directory.Find("shard 2 1500").empty());
}

}  // namespace
}  // namespace encke::hub
