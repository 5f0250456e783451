#pragma once
// Reader: one partition, read in order and routed; its checkpoint is what every comet that had to
// get it has acknowledged.  Readers: one for each lease we hold.
//
// Owner    main owns Readers, Readers owns a Reader from Gained to Lost.
// Thread   OnEntry: the partition's own thread.  Readers: any; a keeper thread saves checkpoints
//          and opens again what could not be opened.
// Limit    one reader per partition.

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "api/push.pb.h"

#include "base/clock.h"
#include "base/result.h"
#include "base/threads.h"
#include "bus/leases.h"
#include "bus/push_log.h"
#include "job/router.h"
#include "job/stats.h"
#include "sequence/sequencer.h"

namespace encke::job {

// Starts calling `each` from there on; stops when the answer is destroyed.
using OpenPartition = std::function<Result<std::shared_ptr<void>>(
    int partition, bus::LogPlace from, std::function<void(const bus::LogMessage&)> each)>;
OpenPartition OpenOn(bus::Nats& nats, const bus::LogOptions& log);

struct ReaderView {
  int partition = 0;
  bool open = false;
  std::uint64_t lag = 0;  // entries behind the newest
  std::uint64_t checkpoint = 0;
};

class Reader {
 public:
  // repair: where what the log did not bring is read; nothing = timelines are left as they come.
  Reader(const bus::Lease& lease,
         Router& router,
         Stats& stats,
         const sequence::Sequencer::Ports& repair = {});
  ~Reader();  // stops reading; OnEntry may be waiting for a full queue, that ends at once
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  Status Open(const OpenPartition& open);
  void Close();

  void OnEntry(const bus::LogMessage& entry);
  // The lease, with what is done by now.
  bus::Lease Checkpoint();

  ReaderView view();

 private:
  bool Order(Message& message, const PushMsg& push);
  struct Progress {
    std::uint64_t log = 0;     // what the others are of
    std::uint64_t routed = 0;  // up to here everything is with the links
    std::uint64_t checkpoint = 0;
  };
  bool EnterLog(std::uint64_t log);

  const bus::Lease lease_;
  Router& router_;
  Stats& stats_;
  const bool repairs_;
  sequence::Sequencer sequencer_;
  Guarded<Progress> progress_;
  std::atomic<std::uint64_t> lag_{0};
  std::atomic<bool> closing_{false};
  std::shared_ptr<void> source_;
};

class Readers {
 public:
  using Save = std::function<void(const bus::Lease& done)>;

  Readers(OpenPartition open, Router& router, Stats& stats, sequence::Sequencer::Ports repair = {});
  ~Readers();
  Readers(const Readers&) = delete;
  Readers& operator=(const Readers&) = delete;

  void Start(Save save);
  void Gained(const bus::Lease& lease);
  void Lost(int partition);
  // Reads no more, waits until everything is acknowledged or `patience` is over, saves for the last
  // time.  Leases gained after that are not read.
  void Drain(Duration patience);

  std::vector<ReaderView> views() const;

 private:
  // One lock over all readers: opening and closing wait for NATS, so only Gained, Lost, Drain and
  // the keeper take it; what is asked from outside goes through views_.
  struct State {
    std::map<int, std::unique_ptr<Reader>> readers;
    bool draining = false;
  };
  void Keep();
  void Tend();
  void StopKeeper();

  const OpenPartition open_;
  Router& router_;
  Stats& stats_;
  const sequence::Sequencer::Ports repair_;
  Save save_;
  Guarded<State> state_;
  Guarded<std::vector<ReaderView>> views_;
  Pulse pulse_;
  std::thread keeper_;
};

}  // namespace encke::job
