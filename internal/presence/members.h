#pragma once
// Members: who is in a room, in pages by key, asked of every live comet at the time.
//
// Owner    main of logic; outlives what its ports ask.
// Thread   any; answers on gRPC threads, or inline.
// Limit    kPageMax members a page, kUnderWayMax pages under way.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/comet.pb.h"
#include "api/registry.pb.h"

#include "base/metrics.h"
#include "base/result.h"

namespace encke::presence {

struct MemberPage {
  struct One {
    std::string key;
    std::int64_t mid = 0;
    std::string comet;
  };
  std::vector<One> members;  // ascending keys, each once
  bool more = false;         // there are keys behind them
};

struct MembersPorts {
  std::function<Result<std::vector<Instance>>()> comets;
  std::function<void(const std::string& address,
                     const MembersAsk& ask,
                     std::function<void(Result<MembersTold>)> done)>
      ask;
};

struct MembersCounts {
  Counter pages, busy, failed;
};

class Members {
 public:
  static constexpr std::size_t kPageMax = 1000;
  static constexpr int kUnderWayMax = 64;

  explicit Members(MembersPorts ports) : ports_(std::move(ports)) {}
  Members(const Members&) = delete;
  Members& operator=(const Members&) = delete;

  using OnPage = std::function<void(Result<MemberPage>)>;
  // The first `limit` keys behind `after`.  A comet that does not answer makes it an error: half
  // of a room is not told as if it were the whole.
  void Read(const std::string& room, const std::string& after, std::size_t limit, OnPage done);
  const MembersCounts& counts() const { return counts_; }

 private:
  struct Page;
  void Finish(const std::shared_ptr<Page>& page);

  const MembersPorts ports_;
  MembersCounts counts_;
  std::atomic<int> under_way_{0};
};

}  // namespace encke::presence
