#pragma once
// Roll: who is in a room on this comet, in pages by key.
//
// Every shard looks at all of its members for each page and keeps the smallest keys behind the last
// one, some thousand members at a time, so that pushes go on in between.  Nothing is kept from page
// to page: whoever stays in the room is found, once, whatever the others do.
//
// Owner    main of comet; borrows the shards.
// Thread   Ask: any; the answer comes on a shard's.
// Limit    kPageMax members a page, kUnderWayMax pages under way; past it "may pass".

#include <atomic>
#include <functional>

#include "api/comet.pb.h"

#include "base/metrics.h"
#include "comet/shard.h"
#include "rpc/calls.h"

namespace encke::comet {

struct RollCounts {
  Counter pages, busy;
  Counter looked_at;  // members
};

class Roll {
 public:
  static constexpr std::size_t kPageMax = 1000;
  static constexpr int kUnderWayMax = 16;

  explicit Roll(Shards& shards) : shards_(shards) {}
  Roll(const Roll&) = delete;
  Roll& operator=(const Roll&) = delete;

  using Done = std::function<void(rpc::Answer<MembersTold>)>;
  void Ask(const MembersAsk& ask, Done done);
  const RollCounts& counts() const { return counts_; }

 private:
  struct Page;
  void Look(const std::shared_ptr<Page>& page, std::uint32_t shard, std::size_t end);

  Shards& shards_;
  RollCounts counts_;
  std::atomic<int> under_way_{0};
};

}  // namespace encke::comet
