// Appending to the push log, and the bundles it is made of.  js_PublishMsgAsync would do the same,
// but nothing tells when its last callback is over, and it forgets what is under way when the
// connection is closed.  Here the answers come to an inbox of ours whose subscription says when it
// is complete, and a second thread looks after deadlines: a retry never happens on the thread that
// delivers answers to others.
#include <algorithm>
#include <atomic>
#include <charconv>
#include <deque>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>

#include "api/push.pb.h"

#include "base/bytes.h"
#include "base/threads.h"
#include "bus/kv.h"
#include "bus/push_log.h"

namespace encke::bus {
namespace {

constexpr std::string_view kTag =
    "\xc2\x02";  // field 40, length-delimited: no other push begins so

constexpr Duration kDeadlineStep{250};
constexpr Duration kStopStep{20};
constexpr Duration kCompletePatience{10'000};

std::string Seal(PushMsg& bundle) {
  if (bundle.together_size() == 1) return std::move(*bundle.mutable_together(0));
  return bundle.SerializeAsString();
}

struct Flight {  // one publish under way; never changes after it took off
  std::string subject;
  std::string id;
  std::string payload;
  std::function<void(Result<std::uint64_t>)> done;
  std::int64_t started_us = 0;
};

struct Attempt {
  std::shared_ptr<const Flight> flight;
  bool again = false;
};

struct Deadline {
  std::uint64_t number = 0;
  std::int64_t at_ms = 0;
};

struct Sky {
  std::unordered_map<std::uint64_t, Attempt> attempts;  // by the last token of the reply subject
  std::deque<Deadline> deadlines;                       // ascending: every attempt waits as long
  std::uint64_t next_number = 1;
};

// The text after `"name":`, or nothing.
std::optional<std::string_view> Member(std::string_view json, std::string_view name) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::string quoted = '"' + std::string(name) + '"';
  std::size_t at = json.find(quoted);
  while (at != std::string_view::npos) {
    at = json.find_first_not_of(kBlank, at + quoted.size());
    if (at == std::string_view::npos) break;
    if (json[at] == ':') {
      const std::size_t value = json.find_first_not_of(kBlank, at + 1);
      if (value == std::string_view::npos) break;
      return json.substr(value);
    }
    at = json.find(quoted, at);  // it was a value, not a name
  }
  return std::nullopt;
}

std::string_view TextMember(std::string_view json, std::string_view name) {
  const auto value = Member(json, name);
  if (!value || value->front() != '"') return "";
  const std::size_t end = value->find('"', 1);
  return end == std::string_view::npos ? "" : value->substr(1, end - 1);
}

}  // namespace

int PartitionOf(std::string_view name, int partitions) {
  assert(partitions > 0);
  return static_cast<int>(Fnv1a(name) % static_cast<std::uint64_t>(partitions));
}

// reply := {"stream":"S","seq":7[,"duplicate":true]} |
// {"error":{"code":503,"description":"why"},...}
Result<StoreReply> ParseStoreReply(std::string_view json) {
  if (const auto error = Member(json, "error")) {
    const std::string_view why = TextMember(*error, "description");
    return Error{Errc::kUnavailable, "not stored: " + std::string(why.empty() ? *error : why)};
  }
  StoreReply reply;
  const auto seq = Member(json, "seq");
  if (!seq ||
      std::from_chars(seq->data(), seq->data() + seq->size(), reply.seq).ec != std::errc()) {
    return Error{Errc::kUnavailable, "not stored: unreadable answer"};
  }
  const auto duplicate = Member(json, "duplicate");
  reply.duplicate = duplicate && duplicate->starts_with("true");
  return reply;
}

class Publisher::Impl {
 public:
  Impl(Nats& nats, const LogOptions& log, const PublisherOptions& options)
      : nats_(nats), subject_(log.subject + "."), options_(options), inbox_(NewInbox() + ".") {
    // A callback, because the synchronous form keeps "nobody is there" from us.
    natsSubscription* raw = nullptr;
    const natsStatus s = natsConnection_Subscribe(&raw, NatsHandles::Connection(nats),
                                                  (inbox_ + "*").c_str(), &Impl::OnMessage, this);
    assert(s == NATS_OK);  // works without a connection too
    answers_.reset(raw);
    natsSubscription_SetPendingLimits(raw, -1, -1);  // bounded by in_flight_max
    natsSubscription_SetOnCompleteCB(raw, &Impl::OnComplete, this);
    thread_ = std::thread([this] { WatchDeadlines(); });
  }

  ~Impl() { Stop(); }

  void Stop() {
    if (!thread_.joinable()) return;
    gate_.CloseAndWait();
    give_up_at_ms_.store(MonotonicMs() + options_.ack_timeout.count());
    pause_.Wake();
    thread_.join();
    natsSubscription_Unsubscribe(answers_.get());
    complete_->Wait(kCompletePatience);
    for (auto& [number, attempt] : sky_.With([](Sky& sky) { return std::move(sky.attempts); })) {
      Fail(*attempt.flight, Error{Errc::kClosed, "the publisher stops"});
    }
  }

  void Publish(std::string subject,
               const std::string& id,
               std::string payload,
               std::function<void(Result<std::uint64_t>)> done) {
    const auto flight = std::make_shared<const Flight>(
        Flight{std::move(subject), id, std::move(payload), std::move(done), MonotonicUs()});
    const auto pass = gate_.TryEnter();
    if (!pass) return Fail(*flight, Error{Errc::kClosed, "the publisher stops"});
    if (!nats_.connected()) return Fail(*flight, Error{Errc::kUnavailable, "nats is away"});
    const std::uint64_t number = TakeOff(flight, false);
    if (number == 0) return Fail(*flight, Error{Errc::kOverloaded, "too many pushes in flight"});
    if (auto sent = Send(*flight, number); !sent && Land(number)) Fail(*flight, sent.error());
  }

  const std::string& subject() const { return subject_; }
  std::size_t in_flight() const {
    return sky_.With([](const Sky& sky) { return sky.attempts.size(); });
  }
  const PublisherCounts& counts() const { return counts_; }

 private:
  // The number of the attempt; 0 when too many are under way.  A retry has its place already.
  std::uint64_t TakeOff(const std::shared_ptr<const Flight>& flight, bool again) {
    return sky_.With([&](Sky& sky) -> std::uint64_t {
      if (!again && sky.attempts.size() >= options_.in_flight_max) return 0;
      const std::uint64_t number = sky.next_number++;
      sky.attempts.emplace(number, Attempt{flight, again});
      sky.deadlines.push_back({number, MonotonicMs() + options_.ack_timeout.count()});
      return number;
    });
  }

  // Whoever gets the attempt answers for it; nobody else will.
  std::optional<Attempt> Land(std::uint64_t number) {
    return sky_.With([number](Sky& sky) -> std::optional<Attempt> {
      const auto found = sky.attempts.find(number);
      if (found == sky.attempts.end()) return std::nullopt;
      Attempt attempt = std::move(found->second);
      sky.attempts.erase(found);
      return attempt;
    });
  }

  Status Send(const Flight& flight, std::uint64_t number) {
    const std::string reply = inbox_ + std::to_string(number);
    natsMsg* raw = nullptr;
    natsStatus s = natsMsg_Create(&raw, flight.subject.c_str(), reply.c_str(),
                                  flight.payload.data(), static_cast<int>(flight.payload.size()));
    const MsgHandle msg(raw);
    if (s == NATS_OK) s = natsMsgHeader_Set(raw, "Nats-Msg-Id", flight.id.c_str());
    if (s == NATS_OK) s = natsConnection_PublishMsg(NatsHandles::Connection(nats_), raw);
    if (s != NATS_OK) return NatsError(s, "publishing");
    return Ok{};
  }

  void Fail(const Flight& flight, Error error) {
    counts_.failed.Add();
    flight.done(std::move(error));
  }

  static void OnMessage(natsConnection*, natsSubscription*, natsMsg* msg, void* closure) {
    static_cast<Impl*>(closure)->OnAnswer(MsgHandle(msg));
  }
  static void OnComplete(void* closure) {
    const std::shared_ptr<Pulse> complete = static_cast<Impl*>(closure)->complete_;
    complete->Wake();  // from here on the publisher may be gone
  }

  void WatchDeadlines() {
    NameThread("bus.deadlines");
    const Duration step = std::min(kDeadlineStep, options_.ack_timeout / 4);
    while (!Finished()) {
      pause_.Wait(give_up_at_ms_ != 0 ? kStopStep : step);
      while (const auto late = NextLate())
        OnLate(*late);
    }
  }

  bool Finished() const {
    const std::int64_t give_up_at_ms = give_up_at_ms_.load();
    return give_up_at_ms != 0 && (in_flight() == 0 || MonotonicMs() >= give_up_at_ms);
  }

  void OnAnswer(const MsgHandle& msg) {
    const std::string_view subject = natsMsg_GetSubject(msg.get());
    std::uint64_t number = 0;
    std::from_chars(subject.data() + inbox_.size(), subject.data() + subject.size(), number);
    const auto attempt = Land(number);
    if (!attempt) return;  // too late: retried or given up
    if (natsMsg_IsNoResponders(msg.get())) {
      return Fail(*attempt->flight, Error{Errc::kUnavailable, "nobody keeps the push log"});
    }
    auto reply = ParseStoreReply(DataOf(msg.get()));
    if (!reply) return Fail(*attempt->flight, reply.error());
    const std::int64_t took_us = MonotonicUs() - attempt->flight->started_us;
    counts_.ack_us.Observe(static_cast<std::uint64_t>(took_us));
    counts_.published.Add();
    if (reply->duplicate) counts_.duplicates.Add();
    attempt->flight->done(reply->seq);
  }

  // An attempt whose time is up, taken out.
  std::optional<Attempt> NextLate() {
    const std::int64_t now = MonotonicMs();
    return sky_.With([now](Sky& sky) -> std::optional<Attempt> {
      while (!sky.deadlines.empty() && sky.deadlines.front().at_ms <= now) {
        const auto found = sky.attempts.find(sky.deadlines.front().number);
        sky.deadlines.pop_front();
        if (found == sky.attempts.end()) continue;
        Attempt attempt = std::move(found->second);
        sky.attempts.erase(found);
        return attempt;
      }
      return std::nullopt;
    });
  }

  // The same id again: what was stored without our hearing of it is not stored twice.
  void OnLate(const Attempt& attempt) {
    const Error unanswered{Errc::kTimeout, "the push log does not answer"};
    if (attempt.again) return Fail(*attempt.flight, unanswered);
    counts_.retried.Add();
    const std::uint64_t number = TakeOff(attempt.flight, true);
    const auto sent = Send(*attempt.flight, number);
    if (!sent && Land(number)) Fail(*attempt.flight, unanswered);
  }

  Nats& nats_;
  const std::string subject_;  // with the last dot
  const PublisherOptions options_;
  const std::string inbox_;  // with the last dot
  SubHandle answers_;
  Gate gate_;
  Guarded<Sky> sky_;
  PublisherCounts counts_;
  std::atomic<std::int64_t> give_up_at_ms_{0};  // 0: not stopping
  Pulse pause_;
  const std::shared_ptr<Pulse> complete_ = std::make_shared<Pulse>();
  std::thread thread_;
};

Publisher::Publisher(Nats& nats, const LogOptions& log, const PublisherOptions& options)
    : impl_(std::make_unique<Impl>(nats, log, options)) {}
Publisher::~Publisher() = default;

void Publisher::Publish(int partition,
                        const std::string& id,
                        std::string payload,
                        std::function<void(Result<std::uint64_t>)> done) {
  impl_->Publish(impl_->subject() + std::to_string(partition), id, std::move(payload),
                 std::move(done));
}
void Publisher::PublishTo(std::string subject,
                          const std::string& id,
                          std::string payload,
                          std::function<void(Result<std::uint64_t>)> done) {
  impl_->Publish(std::move(subject), id, std::move(payload), std::move(done));
}
void Publisher::Stop() { impl_->Stop(); }
std::size_t Publisher::in_flight() const { return impl_->in_flight(); }
const PublisherCounts& Publisher::counts() const { return impl_->counts(); }

std::vector<std::string> Bundle(std::vector<std::string> pushes) {
  std::vector<std::string> entries;
  PushMsg bundle;
  std::size_t bytes = 0;
  for (std::string& push : pushes) {
    const auto count = static_cast<std::size_t>(bundle.together_size());
    if (count > 0 && (count == kBundlePushesMax || bytes + push.size() > kBundleBytesMax)) {
      entries.push_back(Seal(bundle));
      bundle.Clear();
      bytes = 0;
    }
    bytes += push.size();
    bundle.add_together(std::move(push));
  }
  if (bundle.together_size() > 0) entries.push_back(Seal(bundle));
  return entries;
}

void EachPush(std::uint64_t entry,
              std::string_view payload,
              const std::function<void(std::uint64_t place, std::string_view push)>& visit) {
  PushMsg bundle;
  const bool bundled = payload.starts_with(kTag) &&
                       bundle.ParseFromArray(payload.data(), static_cast<int>(payload.size())) &&
                       static_cast<std::size_t>(bundle.together_size()) <= kBundlePushesMax;
  const int count = bundled ? bundle.together_size() : 0;
  if (count == 0) return visit(LastPlace(entry), payload);
  for (int i = 0; i + 1 < count; ++i)
    visit(entry * kPlaces + static_cast<std::uint64_t>(i), bundle.together(i));
  visit(LastPlace(entry), bundle.together(count - 1));
}

}  // namespace encke::bus
