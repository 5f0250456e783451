#include "bus/leases.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <map>
#include <optional>
#include <thread>

#include "base/ids.h"
#include "base/log.h"
#include "base/threads.h"
#include "bus/kv.h"

namespace encke::bus {
namespace {

std::string KeyOf(int partition) { return "p." + std::to_string(partition); }

// One call may not cost so much time that renewals come too late.
Duration CallWait(const LeaseOptions& options) {
  return std::max(Duration(100), options.renew_interval / 2);
}

class KvLeaseStore final : public fleet::LeaseStore {
 public:
  KvLeaseStore(Nats& nats, Duration wait) : kv_(nats, "encke_leases", wait) {}

  Result<Entry> Read(int partition) override {
    auto entry = kv_.Get(KeyOf(partition));
    if (entry) return Entry{entry->deleted ? "" : std::move(entry->value), entry->revision};
    if (entry.error().code == Errc::kNotFound) return Entry{};
    return entry.error();
  }

  Result<std::uint64_t> Write(int partition,
                              const std::string& holder,
                              std::uint64_t expected) override {
    return kv_.Write(KeyOf(partition), holder, expected);
  }

  Result<std::int64_t> MadeNs() { return kv_.MadeNs(); }

 private:
  Kv kv_;
};

// checkpoint := seq ' ' fence ' ' log, all decimal
struct Checkpoint {
  std::uint64_t seq = 0;
  std::uint64_t fence = 0;
  std::uint64_t log = 0;
};

std::string Encode(const Checkpoint& checkpoint) {
  return std::to_string(checkpoint.seq) + ' ' + std::to_string(checkpoint.fence) + ' ' +
         std::to_string(checkpoint.log);
}

Checkpoint Decode(std::string_view text) {
  Checkpoint checkpoint;
  const char* at = text.data();
  const char* const end = at + text.size();
  for (std::uint64_t* number : {&checkpoint.seq, &checkpoint.fence, &checkpoint.log}) {
    const auto read = std::from_chars(at, end, *number);
    if (read.ec != std::errc()) break;
    at = read.ptr == end ? end : read.ptr + 1;
  }
  return checkpoint;
}

// A bucket never sees a write per nanosecond, so one made later begins above all of an older one.
std::uint64_t FenceOf(std::int64_t bucket_made_ns, std::uint64_t revision) {
  return static_cast<std::uint64_t>(bucket_made_ns) + revision;
}

}  // namespace

class Leases::Impl {
 public:
  Impl(Nats& nats, int partitions, const std::string& holder, const LeaseOptions& options)
      : options_(options),
        store_(nats, CallWait(options)),
        checkpoints_(nats, "encke_checkpoints", CallWait(options)),
        table_(partitions, holder + "/" + NewUuid(), options, store_, MakeEvents()) {}

  ~Impl() {
    pulse_.Stop();
    if (thread_.joinable()) thread_.join();
  }

  void Start(std::function<void(const Lease&)> gained, std::function<void(int)> lost) {
    gained_ = std::move(gained);
    lost_ = std::move(lost);
    thread_ = std::thread([this] { Run(); });
  }

  void SetHolders(std::size_t live_jobs) {
    live_jobs_.store(live_jobs);
    pulse_.Wake();
  }

  void Save(const Lease& lease) {
    saved_.With([&](auto& saved) {
      Checkpoint& newest = saved[lease.partition];
      if (lease.fence < newest.fence) return;
      const bool same = lease.fence == newest.fence && lease.log == newest.log;
      newest = {same ? std::max(newest.seq, lease.checkpoint) : lease.checkpoint, lease.fence,
                lease.log};
    });
  }

  std::vector<int> held() const {
    return held_.With([](const std::vector<int>& held) { return held; });
  }

 private:
  struct Kept {  // the checkpoint of a partition we hold, as the server has it
    Checkpoint checkpoint;
    std::uint64_t revision = 0;
  };

  fleet::LeaseTable::Events MakeEvents() {
    return {[] { return MonotonicMs(); },
            [this](int partition, std::uint64_t revision) { return OnGained(partition, revision); },
            [this](int partition, bool ours) { OnLost(partition, ours); }};
  }

  void Run() {
    NameThread("bus.leases");
    while (pulse_.Wait(options_.renew_interval / 4)) {
      table_.SetHolders(live_jobs_.load());
      table_.Turn();
      SaveAll();
    }
    table_.GiveUpAll();
  }

  // Writing the checkpoint again under our fence makes every later write of a former holder fail:
  // it may have been paused between looking at its lease and writing.
  bool OnGained(int partition, std::uint64_t lease_revision) {
    const auto fence = Fence(partition, lease_revision);
    if (!fence) return false;
    auto entry = checkpoints_.Get(KeyOf(partition));
    if (!entry && entry.error().code != Errc::kNotFound) return false;
    Checkpoint checkpoint;
    std::uint64_t revision = 0;
    if (entry) {
      checkpoint = Decode(entry->value);
      revision = entry->revision;
    }
    checkpoint.fence = *fence;
    auto written = checkpoints_.Write(KeyOf(partition), Encode(checkpoint), revision);
    if (!written) return false;
    kept_[partition] = {checkpoint, *written};
    PublishHeld(partition, true);
    log::Info("lease.gained partition={} fence={} checkpoint={}", partition, *fence,
              checkpoint.seq);
    gained_(Lease{partition, *fence, checkpoint.seq, checkpoint.log});
    return true;
  }

  // That our entry is in the bucket afterwards proves that the time is of the bucket it is in.
  std::optional<std::uint64_t> Fence(int partition, std::uint64_t revision) {
    const auto made_ns = store_.MadeNs();
    const auto entry = store_.Read(partition);
    if (!made_ns || !entry || entry->revision != revision) return std::nullopt;
    return FenceOf(*made_ns, revision);
  }

  void OnLost(int partition, bool ours) {
    PublishHeld(partition, false);
    log::Info("lease.lost partition={} why={}", partition, ours ? "given_up" : "not_renewed");
    lost_(partition);
    if (ours) SaveOne(partition);
    kept_.erase(partition);
    saved_.With([&](auto& saved) { saved.erase(partition); });
  }

  void PublishHeld(int partition, bool held) {
    held_.With([&](std::vector<int>& all) {
      std::erase(all, partition);
      if (held) all.insert(std::lower_bound(all.begin(), all.end(), partition), partition);
    });
  }

  void SaveAll() {
    const std::int64_t now_ms = MonotonicMs();
    if (now_ms - saved_at_ms_ < options_.renew_interval.count()) return;
    saved_at_ms_ = now_ms;
    for (const int partition : table_.held()) {
      if (!SaveOne(partition)) return;  // out of reach: the lease goes first
    }
  }

  // False: the server is out of reach.
  bool SaveOne(int partition) {
    const auto wanted = saved_.With([&](auto& saved) {
      const auto found = saved.find(partition);
      return found == saved.end() ? Checkpoint{} : found->second;
    });
    Kept& kept = kept_[partition];
    const Checkpoint& known = kept.checkpoint;
    if (wanted.fence != known.fence) return true;
    if (wanted.log == known.log && wanted.seq <= known.seq) return true;
    auto written = checkpoints_.Write(KeyOf(partition), Encode(wanted), kept.revision);
    if (written) {
      kept.checkpoint = wanted;
      kept.revision = *written;
      return true;
    }
    return written.error().code == Errc::kConflict && Reread(partition);
  }

  // Ours but not answered: the next write uses the new revision.  Another's: ours are refused from
  // now on, and the lease will tell us so.
  bool Reread(int partition) {
    auto entry = checkpoints_.Get(KeyOf(partition));
    if (!entry) return false;
    Kept& kept = kept_[partition];
    if (Decode(entry->value).fence == kept.checkpoint.fence) kept.revision = entry->revision;
    return true;
  }

  const LeaseOptions options_;
  KvLeaseStore store_;
  Kv checkpoints_;
  fleet::LeaseTable table_;
  std::function<void(const Lease&)> gained_;
  std::function<void(int)> lost_;
  std::atomic<std::size_t> live_jobs_{1};
  Guarded<std::map<int, Checkpoint>> saved_;
  Guarded<std::vector<int>> held_;
  std::map<int, Kept> kept_;
  std::int64_t saved_at_ms_ = 0;
  Pulse pulse_;
  std::thread thread_;
};

Leases::Leases(Nats& nats, int partitions, const std::string& holder, const LeaseOptions& options)
    : impl_(std::make_unique<Impl>(nats, partitions, holder, options)) {}
Leases::~Leases() = default;

void Leases::Start(std::function<void(const Lease&)> gained,
                   std::function<void(int partition)> lost) {
  impl_->Start(std::move(gained), std::move(lost));
}
void Leases::SetHolders(std::size_t live_jobs) { impl_->SetHolders(live_jobs); }
void Leases::Save(const Lease& lease) { impl_->Save(lease); }
std::vector<int> Leases::held() const { return impl_->held(); }

}  // namespace encke::bus
