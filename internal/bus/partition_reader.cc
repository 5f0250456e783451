// Reading one partition: our own loop on a pull consumer without acknowledgements.
//
// The ordered consumer of cnats would push as fast as it can into a queue of the library; here the
// server sends at most kBatch messages ahead of `each`, so that a slow reader is plain
// back-pressure.  There is one way to recover from everything (lost connection, killed server,
// missing message, silence, deleted consumer): make a new consumer from the last sequence + 1.
#include <algorithm>
#include <atomic>
#include <cassert>
#include <charconv>
#include <thread>

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/threads.h"
#include "bus/inlet.h"
#include "bus/kv.h"
#include "bus/push_log.h"

namespace encke::bus {
namespace {

constexpr int kBatch = 256;
constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::int64_t kExpiresMs = 10'000;   // an unfilled request ends and is made again
constexpr std::int64_t kHeartbeatMs = 500;    // of the server while a request is open
constexpr std::int64_t kSilenceMs = 1'600;    // three heartbeats missed: something is lost
constexpr std::int64_t kInactiveMs = 15'000;  // then the server forgets a consumer without us
constexpr std::int64_t kHeadCheckMs = 5'000;  // while behind: has the log been cut before us?
// A log that lost its tail gets the next number; it will not do so a million times.
constexpr std::uint64_t kLogsPerCreation = 1'000'000;
constexpr Duration kWait{250};  // then it is looked whether something is lost
constexpr Duration kRetryWait{200};

enum class Kind : std::uint8_t { kMessage, kHeartbeat, kRequestEnded, kConsumerGone };

Kind Judge(natsMsg* msg) {
  const std::string_view status = HeaderOf(msg, "Status");
  if (status.empty()) return Kind::kMessage;
  if (status == "100") return Kind::kHeartbeat;
  if (status == "404" || status == "408") return Kind::kRequestEnded;
  // 409 also tells of limits ("Exceeded ...", "Leadership Change"): starting anew cures them all.
  return Kind::kConsumerGone;
}

}  // namespace

struct PartitionReader::Impl {
  Impl(Nats& the_nats,
       const LogOptions& log,
       int the_partition,
       LogPlace start,
       std::function<void(const LogMessage&)> callback)
      : nats(the_nats),
        stream(log.stream),
        subject(log.subject + "." + std::to_string(the_partition)),
        cut_age_ns(log.max_age.count() * kNsPerMs / 2),
        partition(the_partition),
        each(std::move(callback)),
        log_id(start.log),
        from(start.seq),
        next_entry(std::max<std::uint64_t>(EntryOf(start.seq), 1)) {}

  Nats& nats;
  const std::string stream;
  const std::string subject;
  const std::int64_t cut_age_ns;  // younger entries are still there, whatever our clock says
  const int partition;
  const std::function<void(const LogMessage&)> each;

  std::atomic<bool> stopping{false};
  const int bell = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);  // rings when stopping
  std::atomic<std::uint64_t> skipped{0};
  std::atomic<std::uint64_t> consumers_made{0};
  Pulse pause;
  std::thread thread;

  // Of the thread alone:
  std::uint64_t log_id;           // 0: not known yet
  std::uint64_t skipped_now = 0;  // since the last entry
  std::uint64_t from;             // of the first entry only what is at this place or later
  std::uint64_t next_entry;
  std::string consumer;
  std::unique_ptr<Inlet> inlet;  // of this consumer
  std::uint64_t deliveries = 0;  // what this consumer has sent
  std::uint64_t reconnects_seen = 0;
  std::int64_t head_checked_ms = 0;
  std::int64_t last_stored_ns = 0;  // the server's time of the last entry
  int wanted = 0;                   // what the open request may still bring
  log::RateLimit retry_lines{1};    // a server that refuses is asked five times a second

  void Run() {
    NameThread(("bus.read." + std::to_string(partition)).c_str());
    while (!stopping) {
      if (!MakeConsumer()) {
        pause.Wait(kRetryWait);
        continue;
      }
      Consume();
      if (deliveries == 0) pause.Wait(kRetryWait);  // refused at once: do not spin
    }
    inlet.reset();
    DeleteConsumer();
  }

  StreamInfoHandle LookAtLog() {
    jsStreamInfo* raw = nullptr;
    head_checked_ms = MonotonicMs();
    js_GetStreamInfo(&raw, NatsHandles::Js(nats), stream.c_str(), nullptr, nullptr);
    return StreamInfoHandle(raw);
  }

  // Moves next_entry to where the log begins when that is later.  A log made at another time is
  // another log, one that ends before next_entry has lost its tail: all of it is new to us then.
  bool FindStart() {
    const StreamInfoHandle info = LookAtLog();
    if (!info) return false;
    const auto made = static_cast<std::uint64_t>(info->Created);
    const bool another = log_id < made || log_id >= made + kLogsPerCreation;
    if (another && log_id != 0) {
      log::Error("bus.log_replaced partition={} read_up_to={}: what it held besides is lost",
                 partition, next_entry - 1);
      next_entry = 1;
      from = 0;
    }
    if (another) log_id = made;
    const std::uint64_t first = std::max<std::uint64_t>(info->State.FirstSeq, 1);
    const std::uint64_t last = info->State.LastSeq;
    if (last + 1 < next_entry) {
      log::Error("bus.log_went_back partition={} wanted={} last={}", partition, next_entry, last);
      next_entry = first;
      from = 0;
      ++log_id;
    } else if (first > next_entry) {
      skipped += first - next_entry;
      skipped_now += first - next_entry;
      log::Error("bus.log_skipped partition={} from={} to={} entries_of_all_partitions={}",
                 partition, next_entry, first - 1, first - next_entry);
      next_entry = first;
    }
    return true;
  }

  bool MakeConsumer() {
    if (!nats.connected()) return false;
    reconnects_seen = nats.counts().reconnects.value();
    if (!FindStart() || !OpenInlet()) return false;
    last_stored_ns = WallUs() * 1000;  // nothing is missing now
    jsConsumerConfig config;
    jsConsumerConfig_Init(&config);
    config.DeliverPolicy = js_DeliverByStartSequence;
    config.OptStartSeq = next_entry;
    config.AckPolicy = js_AckNone;
    config.FilterSubject = subject.c_str();
    config.InactiveThreshold = kInactiveMs * kNsPerMs;
    config.MemoryStorage = true;
    config.Replicas = 1;
    jsConsumerInfo* raw = nullptr;
    jsErrCode code{};
    const natsStatus s =
        js_AddConsumer(&raw, NatsHandles::Js(nats), stream.c_str(), &config, nullptr, &code);
    if (s != NATS_OK) {
      log::WarnSome(retry_lines, "bus.no_consumer partition={} why=\"{}\"", partition,
                    NatsError(s, "creating", code).text);
      return false;
    }
    const ConsumerInfoHandle info(raw);
    consumer = info->Name;
    ++consumers_made;
    deliveries = 0;
    wanted = 0;
    return true;
  }

  bool OpenInlet() {
    auto opened = Inlet::Open(nats.options(), bell);
    if (!opened) {
      log::WarnSome(retry_lines, "bus.no_inlet partition={} why=\"{}\"", partition,
                    opened.error().text);
      return false;
    }
    inlet = std::move(*opened);
    return true;
  }

  // The server forgets it by itself when this does not arrive.
  void DeleteConsumer() {
    if (consumer.empty() || !nats.connected()) return;
    js_DeleteConsumer(NatsHandles::Js(nats), stream.c_str(), consumer.c_str(), nullptr, nullptr);
  }

  bool Request() {
    const std::string to = "$JS.API.CONSUMER.MSG.NEXT." + stream + "." + consumer;
    const std::string what = "{\"batch\":" + std::to_string(kBatch) +
                             ",\"expires\":" + std::to_string(kExpiresMs * kNsPerMs) +
                             ",\"idle_heartbeat\":" + std::to_string(kHeartbeatMs * kNsPerMs) + "}";
    wanted = kBatch;
    return inlet->Ask(to, what) == NATS_OK;
  }

  // Until something is wrong with the consumer, or we are stopped.
  void Consume() {
    std::int64_t heard_ms = MonotonicMs();
    while (!stopping) {
      if (wanted <= 0 && !Request()) return;
      natsMsg* raw = nullptr;
      const natsStatus s = inlet->Next(&raw, kWait);
      if (s == NATS_TIMEOUT) {
        if (MonotonicMs() - heard_ms > kSilenceMs) return LogRestart("silence");
        if (nats.counts().reconnects.value() != reconnects_seen) return LogRestart("reconnected");
        continue;
      }
      if (s != NATS_OK) return LogRestart(natsStatus_GetText(s));
      const MsgHandle msg(raw);
      if (!Take(raw)) return;
      heard_ms = MonotonicMs();
    }
  }

  // False: the consumer is of no use any more.
  bool Take(natsMsg* msg) {
    switch (Judge(msg)) {
      case Kind::kMessage:
        return Deliver(msg);
      case Kind::kHeartbeat:
        return true;
      case Kind::kRequestEnded:
        wanted = 0;
        return true;
      case Kind::kConsumerGone:
        LogRestart(HeaderOf(msg, "Description"));
        return false;
    }
    assert(false);
    return false;
  }

  bool Deliver(natsMsg* msg) {
    jsMsgMetaData* raw = nullptr;
    if (natsMsg_GetMetaData(&raw, msg) != NATS_OK) return true;  // not of JetStream
    const MetaHandle meta(raw);
    if (meta->Sequence.Consumer != ++deliveries) {
      LogRestart("a message is missing");
      return false;
    }
    --wanted;
    const std::uint64_t entry = meta->Sequence.Stream;
    assert(entry >= next_entry);
    // What lies between is younger than the one before: it can only be gone when that one is old.
    const bool cut = entry > next_entry && WallUs() * 1000 - last_stored_ns > cut_age_ns;
    if (cut && !HeadIsBehind()) return false;
    last_stored_ns = meta->Timestamp;
    EachPush(entry, DataOf(msg), [&](std::uint64_t place, std::string_view push) {
      if (place < from) return;
      each(LogMessage{place, push, meta->NumPending, log_id, std::exchange(skipped_now, 0)});
    });
    next_entry = entry + 1;
    return meta->NumPending == 0 || MonotonicMs() - head_checked_ms < kHeadCheckMs ||
           HeadIsBehind();
  }

  // The server passes over what it has thrown away without a word.  When that has overtaken us, a
  // new consumer finds out, counts and tells.
  bool HeadIsBehind() {
    const StreamInfoHandle info = LookAtLog();
    return !info || info->State.FirstSeq <= next_entry;
  }

  void LogRestart(std::string_view why) const {
    if (!stopping)
      log::Info("bus.read_again partition={} from={} why=\"{}\"", partition, next_entry, why);
  }
};

PartitionReader::PartitionReader() = default;

PartitionReader::~PartitionReader() {
  if (!impl_) return;
  impl_->stopping = true;
  impl_->pause.Stop();
  ::eventfd_write(impl_->bell, 1);
  impl_->thread.join();
  ::close(impl_->bell);
}

Result<std::unique_ptr<PartitionReader>> PartitionReader::Open(
    Nats& nats,
    const LogOptions& log,
    int partition,
    LogPlace from,
    std::function<void(const LogMessage&)> each) {
  if (partition < 0 || partition >= log.partitions) {
    return Error{Errc::kInvalid, "no partition " + std::to_string(partition)};
  }
  std::unique_ptr<PartitionReader> reader(new PartitionReader());
  auto impl = std::make_unique<Impl>(nats, log, partition, from, std::move(each));
  if (impl->bell < 0) return Error{Errc::kUnavailable, "no eventfd left"};
  reader->impl_ = std::move(impl);
  reader->impl_->thread = std::thread([impl = reader->impl_.get()] { impl->Run(); });
  return reader;
}

std::uint64_t PartitionReader::skipped() const { return impl_->skipped; }
std::uint64_t PartitionReader::restarts() const {
  const std::uint64_t made = impl_->consumers_made;
  return made == 0 ? 0 : made - 1;
}

}  // namespace encke::bus
