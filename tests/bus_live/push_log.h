#pragma once
// What the live tests of the push log share: what a publisher was answered, what a reader was
// given.
//
// Owner    each test.
// Thread   any.
// Limit    none.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/threads.h"
#include "bus/push_log.h"
#include "bus_live/live.h"

namespace encke::bus {

// Answers of a publisher, by push id.
class Answers {
 public:
  std::function<void(Result<std::uint64_t>)> For(const std::string& id) {
    return [this, id](const Result<std::uint64_t>& answer) {
      all_.With([&](auto& all) { all[id].push_back(answer); });
    };
  }
  std::size_t count() const {
    return all_.With([](const auto& all) {
      std::size_t n = 0;
      for (const auto& [id, answers] : all)
        n += answers.size();
      return n;
    });
  }
  std::map<std::string, std::vector<Result<std::uint64_t>>> Take() {
    return all_.With([](auto& all) { return std::exchange(all, {}); });
  }

 private:
  Guarded<std::map<std::string, std::vector<Result<std::uint64_t>>>> all_;
};

// What a reader was given, in order: entry and payload.
class Read {
 public:
  std::function<void(const LogMessage&)> Each() {
    return [this](const LogMessage& m) {
      all_.With([&](auto& all) { all.emplace_back(EntryOf(m.seq), std::string(m.payload)); });
    };
  }
  std::size_t count() const {
    return all_.With([](const auto& all) { return all.size(); });
  }
  std::vector<std::pair<std::uint64_t, std::string>> all() const {
    return all_.With([](const auto& all) { return all; });
  }

 private:
  Guarded<std::vector<std::pair<std::uint64_t, std::string>>> all_;
};

class PushLogLive : public LiveTest {
 protected:
  PushLogLive() { EnsureLog(); }

  Result<std::uint64_t> PublishOne(Publisher& publisher, int partition, const std::string& id) {
    Answers answers;
    publisher.Publish(partition, id, "body of " + id, answers.For(id));
    EXPECT_TRUE(Eventually([&] { return answers.count() == 1; }));
    return answers.Take()[id].at(0);
  }
  void Store(Publisher& publisher, int partition, const std::string& id) {
    const auto answer = PublishOne(publisher, partition, id);
    EXPECT_TRUE(answer) << answer.error().text;
  }
  std::unique_ptr<PartitionReader> Open(int partition, std::uint64_t entry, Read& read) {
    auto reader =
        PartitionReader::Open(*nats_, Log(), partition, {LastPlace(entry - 1) + 1}, read.Each());
    EXPECT_TRUE(reader);
    return std::move(*reader);
  }
};

}  // namespace encke::bus
