#include "bus/leases.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <map>
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

 private:
  Kv kv_;
};

// checkpoint := seq ' ' fence, both decimal
struct Checkpoint {
  std::uint64_t seq = 0;
  std::uint64_t fence = 0;
};

std::string Encode(const Checkpoint& checkpoint) {
  return std::to_string(checkpoint.seq) + ' ' + std::to_string(checkpoint.fence);
}

Checkpoint Decode(std::string_view text) {
  Checkpoint checkpoint;
  const char* const end = text.data() + text.size();
  const auto seq = std::from_chars(text.data(), end, checkpoint.seq);
  if (seq.ec == std::errc() && seq.ptr != end) {
    std::from_chars(seq.ptr + 1, end, checkpoint.fence);
  }
  return checkpoint;
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

  void Save(int partition, std::uint64_t fence, std::uint64_t seq) {
    saved_.With([&](auto& saved) {
      Checkpoint& newest = saved[partition];
      if (fence > newest.fence) {
        newest = {seq, fence};
      } else if (fence == newest.fence) {
        newest.seq = std::max(newest.seq, seq);
      }
    });
  }

  std::vector<int> held() const {
    return held_.With([](const std::vector<int>& held) { return held; });
  }

 private:
  struct Kept {  // the checkpoint of a partition we hold, as the server has it
    std::uint64_t fence = 0;
    std::uint64_t seq = 0;
    std::uint64_t revision = 0;
  };

  fleet::LeaseTable::Events MakeEvents() {
    return {[] { return MonotonicMs(); },
            [this](int partition, std::uint64_t fence) { return OnGained(partition, fence); },
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
  bool OnGained(int partition, std::uint64_t fence) {
    auto entry = checkpoints_.Get(KeyOf(partition));
    if (!entry && entry.error().code != Errc::kNotFound) return false;
    Checkpoint checkpoint;
    std::uint64_t revision = 0;
    if (entry) {
      checkpoint = Decode(entry->value);
      revision = entry->revision;
    }
    checkpoint.fence = fence;
    auto written = checkpoints_.Write(KeyOf(partition), Encode(checkpoint), revision);
    if (!written) return false;
    kept_[partition] = {fence, checkpoint.seq, *written};
    PublishHeld(partition, true);
    log::Info("lease.gained partition={} fence={} checkpoint={}", partition, fence, checkpoint.seq);
    gained_(Lease{partition, fence, checkpoint.seq});
    return true;
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
    if (wanted.fence != kept.fence || wanted.seq <= kept.seq) return true;
    auto written = checkpoints_.Write(KeyOf(partition), Encode(wanted), kept.revision);
    if (written) {
      kept.seq = wanted.seq;
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
    if (Decode(entry->value).fence == kept.fence) kept.revision = entry->revision;
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
void Leases::Save(int partition, std::uint64_t fence, std::uint64_t seq) {
  impl_->Save(partition, fence, seq);
}
std::vector<int> Leases::held() const { return impl_->held(); }

}  // namespace encke::bus
