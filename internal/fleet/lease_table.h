#pragma once
// LeaseTable: who takes which lease when.  The rule of Leases, without network, thread or clock.
//
// One Turn: drop what could not be renewed in time, renew, look at what others hold, give up what
// is more than our share, take what is free.  Every write is a compare-and-set, so whatever a table
// believes wrongly costs a refusal and never a second holder.
//
// Shares: with P partitions and N jobs everybody holds P/N, and P mod N of them one more.  N is
// what the registry says, less those of whom we have evidence that they are gone: their leases
// expired, or a free partition found nobody who wanted it.
//
// Owner    Leases; in tests a simulation of many.
// Thread   one.
// Limit    one row per partition.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace encke::fleet {

struct LeaseOptions {
  Duration renew_interval{1000};
  Duration expire{4000};
};

// Where leases are kept: the holder's name per partition, "" when free.
class LeaseStore {
 public:
  struct Entry {
    std::string holder;
    std::uint64_t revision = 0;  // 0: never written
  };
  virtual ~LeaseStore() = default;
  virtual Result<Entry> Read(int partition) = 0;
  // Writes when the revision is still `expected`; else kConflict.  Any other error: nobody knows.
  virtual Result<std::uint64_t> Write(int partition,
                                      const std::string& holder,
                                      std::uint64_t expected) = 0;
};

class LeaseTable {
 public:
  struct Events {
    std::function<std::int64_t()> now_ms;
    // We hold it; false when we cannot make use of it now.
    std::function<bool(int partition, std::uint64_t fence)> gained;
    // We stop using it; `ours`: nobody else can have it yet (it is given up, not lost).
    std::function<void(int partition, bool ours)> lost;
  };

  // me: unique to this process and start.
  LeaseTable(int partitions,
             const std::string& me,
             const LeaseOptions& options,
             LeaseStore& store,
             Events events);

  void SetHolders(std::size_t live_jobs);
  void Turn();
  void GiveUpAll();

  std::vector<int> held() const;
  std::uint64_t fence(int partition) const;  // 0: not held

 private:
  struct Row {
    int partition = 0;
    // What we saw last, and when we first saw this revision.
    std::string holder;
    std::uint64_t revision = 0;
    std::int64_t since_ms = 0;
    bool seen = false;
    std::int64_t open_since_ms = -1;  // -1: not open
    // While we hold it.
    bool held = false;
    std::uint64_t fence = 0;
    std::int64_t renewed_ms = 0;  // when the last successful renewal was sent
    std::int64_t asked_ms = -1;   // when the first renewal without an answer was sent
  };
  struct Share {
    std::size_t least = 0;       // everybody holds at least this
    std::size_t with_extra = 0;  // so many hold one more
    std::size_t jobs = 1;
  };

  void DropOverdue();
  bool Renew();
  bool RenewOne(Row& row);
  bool Look();
  void Saw(Row& row, const LeaseStore::Entry& entry);
  void Blind();  // nothing can be said about the others' time
  void CountGone();
  bool GiveUp();
  bool Take();
  bool TakeOne(Row& row);
  bool Release(Row& row);
  void Lose(Row& row, bool ours);
  void NoticeUnclaimed();

  bool Expired(const Row& row) const;
  bool Open(const Row& row) const;
  std::size_t held_count() const;
  std::map<std::string, std::size_t> Others() const;  // how many each living other holds
  Share FairShare() const;
  std::size_t Surplus() const;
  std::size_t Wanted() const;

  const std::string me_;
  const LeaseOptions options_;
  LeaseStore& store_;
  const Events events_;
  std::vector<Row> rows_;
  std::size_t live_jobs_ = 1;
  std::map<std::string, std::int64_t> gone_;  // evidence, and until when it counts
  std::uint64_t nobodies_ = 0;
};

}  // namespace encke::fleet
