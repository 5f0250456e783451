#include "timeline/archive.h"

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "api/push.pb.h"

namespace encke::timeline {
namespace {

// One timeline, epoch 7, entries by number.
struct Kept {
  std::map<std::uint64_t, std::string> entries;
  std::vector<std::uint64_t> blocks_read;
  std::uint64_t purged_epoch = 0;

  void Put(std::uint64_t seq) {
    PushMsg push;
    push.set_epoch(7);
    push.set_seq(seq);
    push.set_accepted_us(static_cast<std::int64_t>(seq) * 1'000'000);
    entries[seq] = push.SerializeAsString();
  }
  ArchivePorts Ports() {
    ArchivePorts ports;
    ports.read = [this](const auto&, auto, auto seq) -> Result<std::vector<std::string>> {
      blocks_read.push_back(seq / Archive::kBlock);
      std::vector<std::string> found;
      for (const auto& [number, payload] : entries)
        if (number / Archive::kBlock == seq / Archive::kBlock) found.push_back(payload);
      return found;
    };
    ports.newest = [this](const auto&, auto, auto, auto) { return Ask(entries.rbegin()->first); };
    ports.oldest = [this](const auto&, auto) {
      return Ask(entries.empty() ? 0 : entries.begin()->first);
    };
    ports.purge = [this](const auto&, auto epoch, auto) {
      purged_epoch = epoch;
      return Ok{};
    };
    return ports;
  }
  Result<std::string> Ask(std::uint64_t seq) const {
    const auto found = entries.find(seq);
    if (found == entries.end()) return Error{Errc::kNotFound, "nothing"};
    return found->second;
  }
};

std::string Numbers(const Result<std::vector<store::TimelineEntry>>& entries) {
  std::string out;
  if (!entries) return entries.error().text;
  for (const store::TimelineEntry& entry : *entries)
    out += std::to_string(entry.seq) + " ";
  return out;
}

TEST(Archive, BlocksThatAreGoneAreNotAskedFor) {
  Kept kept;
  for (const std::uint64_t seq : {899'999, 900'000, 900'001})
    kept.Put(seq);
  const Archive archive(kept.Ports());
  EXPECT_EQ(Numbers(archive.Read("a", {{7}}, 1, 900'001, 2)), "899999 900000 ");
  EXPECT_LE(kept.blocks_read.size(), 3U);
  kept.blocks_read.clear();
  EXPECT_EQ(Numbers(archive.Read("a", {{7}}, 900'001, 1, 100)), "900001 900000 899999 ");
  EXPECT_LE(kept.blocks_read.size(), 3U);
  kept.blocks_read.clear();
  EXPECT_EQ(Numbers(archive.Read("a", {{7}}, 1, 500, 100)), "");
  EXPECT_EQ(Numbers(archive.Read("a", {{7}}, 500, 1, 100)), "");
  EXPECT_TRUE(kept.blocks_read.empty());
}

TEST(Archive, AnEntryOfARaceMayStandBehindALaterOne) {
  Kept kept;
  kept.Put(99);
  kept.Put(100);
  ArchivePorts ports = kept.Ports();
  ports.oldest = [&kept](const auto&, auto) { return kept.Ask(100); };
  EXPECT_EQ(Numbers(Archive(ports).Read("a", {{7}}, 1, 100, 10)), "99 100 ");
}

TEST(Archive, TheLastPutNeedNotBeTheNewest) {
  Kept kept;
  for (const std::uint64_t seq : {98, 99, 100})
    kept.Put(seq);
  ArchivePorts ports = kept.Ports();
  ports.newest = [&kept](const auto&, auto, auto, auto) { return kept.Ask(98); };
  const Archive archive(std::move(ports));
  EXPECT_EQ(archive.FindNewest("a", 0)->seq, 100u);
}

TEST(Archive, WhatRedisHasForgottenIsPurgedInItsNewestEpoch) {
  Kept kept;
  kept.Put(3);
  const Archive archive(kept.Ports());
  EXPECT_TRUE(archive.Purge("a", {{0}}, 2));
  EXPECT_EQ(kept.purged_epoch, 7U);
  EXPECT_TRUE(archive.Purge("a", {{5}}, 2));
  EXPECT_EQ(kept.purged_epoch, 5U);
}

// Epochs 7 (up to 3), 8 (up to 5) and 9 are one timeline; the tails of 7 and 8 were lost.
struct KeptInThree {
  std::map<std::uint64_t, Kept> epochs;
  std::map<std::uint64_t, std::uint64_t> purged;

  KeptInThree() {
    for (const std::uint64_t seq : {1, 2, 3, 4})
      epochs[7].Put(seq);
    for (const std::uint64_t seq : {4, 5, 6})
      epochs[8].Put(seq);
    for (const std::uint64_t seq : {3, 6, 7})  // 3 was asked for again
      epochs[9].Put(seq);
  }
  ArchivePorts Ports() {
    ArchivePorts ports;
    ports.read = [this](const auto& name, auto epoch, auto seq) {
      return epochs[epoch].Ports().read(name, epoch, seq);
    };
    ports.newest = [this](const auto&, auto, auto epoch, auto) {
      return epochs[epoch].Ask(epochs[epoch].entries.rbegin()->first);
    };
    ports.oldest = [this](const auto& name, auto epoch) {
      return epochs[epoch].Ports().oldest(name, epoch);
    };
    ports.purge = [this](const auto&, auto epoch, auto seq) {
      purged[epoch] = seq;
      return Ok{};
    };
    return ports;
  }
};

Archive::Spans Three() {
  store::TimelineHead head;
  head.epoch = 9;
  head.shared = "8:5 7:3 ";
  return Archive::SpansOf(head);
}

TEST(Archive, ATimelineGoesOnOverItsEpochs) {
  KeptInThree kept;
  const Archive archive(kept.Ports());
  EXPECT_EQ(Numbers(archive.Read("a", Three(), 1, 7, 10)), "1 2 3 4 5 6 7 ");
  EXPECT_EQ(Numbers(archive.Read("a", Three(), 7, 1, 10)), "7 6 5 4 3 2 1 ");
  EXPECT_EQ(Numbers(archive.Read("a", {{7}}, 1, 7, 10)), "1 2 3 4 ");
  EXPECT_EQ(*archive.FindTime("a", Three(), 7, 5'000), 4U);
  EXPECT_EQ(*archive.FindTime("a", Three(), 7, 9'000), 7U);
  EXPECT_EQ(*archive.FindTime("a", {{8, 5}}, 5, 6'000), 5U);
}

TEST(Archive, APurgeReachesOlderEpochsAsFarAsTheyCount) {
  KeptInThree kept;
  EXPECT_TRUE(Archive(kept.Ports()).Purge("a", Three(), 4));
  EXPECT_EQ(kept.purged, (std::map<std::uint64_t, std::uint64_t>{{9, 4}, {8, 4}, {7, 3}}));
}

}  // namespace
}  // namespace encke::timeline
